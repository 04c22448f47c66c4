// Two runs on the screen side by side: what is loaded, what is open, what is selected.
//
// Owns every choice a person makes on the page of a comparison. Rows change their numbers while a run is
// at work, so what is chosen is kept by key (see `Merged.keyOf`).

import { Columns } from '../../core/columns.ts';
import {
    allClosed,
    closedAtFirst,
    merge,
    nextPlace,
    shownRows,
    summaryOf,
    sumsOf,
    type Merged,
    type Side,
    type Summary,
} from '../../core/comparing.ts';
import type { Comparison } from '../../core/types.ts';
import { SourceError, type Source } from '../../source/source.ts';
import { router } from '../../state/route.svelte.ts';
import { PAGE_EVENTS, said } from '../../state/run.svelte.ts';

const POLL_MS = 2_000;

/** Everything that was loaded; taken as one, so that rows and columns always fit. */
export interface Loaded {
    comparison: Comparison;
    merged: Merged;
    summary: Summary;
    a: Side;
    b: Side;
}

export class Compared {
    readonly source: Source;
    readonly a: string;
    readonly b: string;
    loaded = $state.raw<Loaded | null>(null);
    problem = $state('');
    /** Key of the selected row; 0 for none. */
    selected = $state(0);
    closed = $state.raw<ReadonlySet<number>>(new Set());
    differencesOnly = $state(false);

    private columnsA = new Columns();
    private columnsB = new Columns();
    private timer: ReturnType<typeof setTimeout> | undefined;
    private isClosed = false;

    readonly rows = $derived.by(() =>
        this.loaded ? shownRows(this.loaded.merged, this.closed, this.differencesOnly) : new Int32Array(0),
    );
    /** The selected row, and its place among those that are shown; -1 for none. */
    readonly row = $derived.by(() => this.loaded?.merged.rowOf(this.selected) ?? -1);
    readonly place = $derived.by(() => this.rows.indexOf(this.row));

    constructor(source: Source, a: string, b: string) {
        this.source = source;
        this.a = a;
        this.b = b;
        const { params } = router.route;
        this.differencesOnly = params.has('only');
        this.selected = Number(params.get('s')) || 0;
    }

    /** Load both runs, and again while one of them is at work. Return what ends that. */
    open(): () => void {
        const see = (): void => {
            if (!document.hidden) this.schedule(0);
        };
        document.addEventListener('visibilitychange', see);
        void this.load();
        return () => {
            this.isClosed = true;
            clearTimeout(this.timer);
            document.removeEventListener('visibilitychange', see);
        };
    }

    // Choosing --------------------------------------------------------------------------------

    /** Select a row and open what hides it. */
    select(row: number): void {
        const merged = this.loaded?.merged;
        if (!merged || row < 0 || row >= merged.size) return;
        const hiding = merged.above(row).map(merged.keyOf);
        if (hiding.some((key) => this.closed.has(key))) {
            const closed = new Set(this.closed);
            hiding.forEach((key) => closed.delete(key));
            this.closed = closed;
        }
        this.selected = merged.keyOf(row);
        this.note();
    }

    /** Select another of the rows that are shown. */
    move(by: number): void {
        const at = Math.min(Math.max(this.place + by, 0), this.rows.length - 1);
        if (this.rows.length) this.select(this.rows[at]);
    }

    setOpen(row: number, isOpen: boolean): void {
        const key = this.loaded?.merged.keyOf(row);
        if (key === undefined) return;
        const closed = new Set(this.closed);
        if (isOpen) closed.delete(key);
        else closed.add(key);
        this.closed = closed;
    }

    openAll(): void {
        this.closed = new Set();
    }

    closeAll(): void {
        if (!this.loaded) return;
        this.closed = allClosed(this.loaded.merged);
        this.select(0);
    }

    /** Show differences only, or everything; what is selected stays in sight. */
    showOnly(differencesOnly: boolean): void {
        this.differencesOnly = differencesOnly;
        if (this.place < 0) this.go(1);
        this.note();
    }

    /** Go to the next (1) or previous (-1) place of difference. */
    go(direction: 1 | -1): void {
        if (this.loaded) this.select(nextPlace(this.loaded.merged, this.row, direction));
    }

    // Loading ---------------------------------------------------------------------------------

    private async load(): Promise<void> {
        try {
            const comparison = await this.source.compare(this.a, this.b);
            await Promise.all([this.extend(this.columnsA, this.a), this.extend(this.columnsB, this.b)]);
            if (!this.isClosed) this.take(comparison);
        } catch (error) {
            this.problem = said(error);
        }
        this.schedule(POLL_MS);
    }

    private take(comparison: Comparison): void {
        const { columnsA, columnsB } = this;
        const merged = merge(comparison, columnsA, columnsB);
        const isFirst = !this.loaded;
        this.loaded = {
            comparison,
            merged,
            summary: summaryOf(merged),
            a: { columns: columnsA, sums: sumsOf(merged, columnsA, 'left') },
            b: { columns: columnsB, sums: sumsOf(merged, columnsB, 'right') },
        };
        this.problem = '';
        if (isFirst) this.closed = closedAtFirst(merged);
        if (this.row < 0) this.select(Math.max(merged.first, 0));
        else if (isFirst) this.select(this.row);
    }

    private async extend(columns: Columns, id: string): Promise<void> {
        for (;;) {
            const page = await this.source.changes(id, columns.lastEvent, PAGE_EVENTS);
            if (page.reset) throw new SourceError('A run was rewritten; load the page again.');
            columns.apply(page);
            if (page.to >= page.last) return;
        }
    }

    private schedule(after: number): void {
        clearTimeout(this.timer);
        const isOver = this.columnsA.isOver && this.columnsB.isOver;
        if (this.isClosed || document.hidden || !this.source.actions || (isOver && this.loaded)) return;
        this.timer = setTimeout(() => void this.load(), after);
    }

    private note(): void {
        router.note({ s: String(this.selected || ''), only: this.differencesOnly ? '1' : '' });
    }
}
