// One run on the screen: what is loaded, what is selected, and at which moment it is looked at.
//
// Owns every choice a person makes on the page of a run; the views only read it and call its methods.
// The columns are not reactive (they are large): `revision` counts their changes, and what derives from
// them reads it.

import { Columns } from '../core/columns.ts';
import { isError, Moments } from '../core/moment.ts';
import { Sums } from '../core/below.ts';
import { found } from '../core/finding.ts';
import { foldOf, outline } from '../core/outline.ts';
import { parse } from '../core/query.ts';
import type { Annotation, Run, Step } from '../core/types.ts';
import type { Source } from '../source/source.ts';
import { SourceError } from '../source/source.ts';
import { addressOf, takeAddress } from './address.ts';
import { TimeAxis } from './axis.svelte.ts';
import { Contents } from './contents.ts';
import { router, type ViewName } from './route.svelte.ts';

export const PAGE_EVENTS = 60_000;
/** The first page is small, so that rows are there before the server has read the rest. */
const FIRST_EVENTS = 5_000;
const POLL_MS = 400;
const POLL_SLOW_MS = 5_000;
const ADDRESS_MS = 200;
const NONE: ReadonlySet<number> = new Set();

export type Axis = 'run' | 'parent' | 'self';
/** What one step of the playhead is: any event, the selected branch, steps of the same name, errors. */
export type Unit = 'event' | 'branch' | 'name' | 'error' | 'root';

export type Dialog = '' | 'fork' | 'share' | 'keys' | 'annotate' | 'prune' | 'regrow';

export class RunView {
    readonly source: Source;
    readonly id: string;
    readonly columns = new Columns();
    readonly moments = new Moments(this.columns);
    private sums = new Sums(this.columns, this.moments);
    readonly time = new TimeAxis(this);

    /** Counts changes of the columns. */
    revision = $state(0);
    run = $state.raw<Run | null>(null);
    problem = $state('');
    /** Whether all events that are known to exist have been loaded. */
    isLoaded = $state(false);
    /** Whether new events are fetched as they come. */
    isFollowing = $state(true);

    selected = $state(0);
    /** The event that is looked at; null is the newest one, whatever comes. */
    cursor = $state<number | null>(null);
    view = $state<ViewName>('tree');
    query = $state('');
    errorsOnly = $state(false);
    hideFuture = $state(false);
    foldAlike = $state(true);
    axis = $state<Axis>('parent');
    /** Part of the time axis that a person has zoomed to, in Unix seconds; null follows `axis`. */
    zoom = $state.raw<[number, number] | null>(null);
    unit = $state<Unit>('event');
    isPlaying = $state(false);
    speed = $state(1);
    /** The time between two events that playing has come to, in Unix seconds. */
    playedTo = $state<number | null>(null);
    /** The reader's clock in Unix seconds, moved on while running steps are watched; otherwise 0. */
    wall = $state(0);
    dialog = $state<Dialog>('');
    /** The last thing that was done, in words for the person. */
    notice = $state('');
    private closedOfAll = $state.raw<ReadonlySet<number>>(new Set());
    /** What was closed among the steps that a query found: a new query opens all again. */
    private closedOfFound = $state.raw({ asked: '', steps: new Set() as ReadonlySet<number> });
    unfolded = $state.raw<ReadonlySet<number>>(new Set());
    annotations = $state.raw<Annotation[]>([]);
    /** Steps whose contents hold the words of the query; null while nothing was asked for. */
    private inContents = $state.raw<ReadonlySet<number> | null>(null);
    isSearching = $state(false);

    private contents = new Contents(this);
    private timer: ReturnType<typeof setTimeout> | undefined;
    private addressTimer: ReturnType<typeof setTimeout> | undefined;
    private isClosed = false;

    /** The event that is shown. */
    readonly moment = $derived.by(() => {
        void this.revision;
        return Math.min(this.cursor ?? this.columns.lastEvent, this.columns.lastEvent);
    });
    readonly isAtEnd = $derived(this.cursor === null);
    /** Whether the run is at work. */
    readonly isRunning = $derived.by(() => {
        void this.revision;
        return !this.columns.isOver;
    });
    readonly totals = $derived.by(() => {
        void this.revision;
        return this.moments.totals(this.moment);
    });
    /** The time that is looked at; at the end of a run at work, the reader's clock. */
    readonly now = $derived.by(() => {
        void this.revision;
        const at = this.moments.timeOf(this.moment);
        return this.playedTo ?? (this.isAtEnd ? Math.max(at, this.wall) : at);
    });
    /** What the steps of each branch add up to at the moment. */
    readonly below = $derived.by(() => {
        void this.revision;
        return this.sums.at(this.moment);
    });
    readonly parsed = $derived.by(() => parse(this.query, this.columns, this.moments));
    /** Steps that the query finds; null when there is none. */
    readonly found = $derived.by(() => this.find());
    readonly lines = $derived.by(() => {
        void this.revision;
        return outline(this.columns, this.moments, {
            closed: this.closed,
            unfolded: this.unfolded,
            found: this.found,
            moment: this.hideFuture ? this.moment : 0,
            hideFuture: this.hideFuture,
            top: 0,
            foldAlike: this.foldAlike,
        });
    });
    /** Steps whose branch is closed. */
    get closed(): ReadonlySet<number> {
        if (!this.found) return this.closedOfAll;
        return this.closedOfFound.asked === this.asked ? this.closedOfFound.steps : NONE;
    }
    private set closed(steps: ReadonlySet<number>) {
        if (this.found) this.closedOfFound = { asked: this.asked, steps };
        else this.closedOfAll = steps;
    }
    private get asked(): string {
        return `${this.errorsOnly ? '!' : ''}${this.query}`;
    }
    /** How many steps below each step had failed by the moment. */
    get errorsBelow(): Int32Array {
        return this.below.errors;
    }

    constructor(source: Source, id: string) {
        this.source = source;
        this.id = id;
        this.isFollowing = source.actions !== null; // a file does not change
        this.readAddress(router.route.params);
    }

    /** Load the run and follow it as long as it runs. */
    async open(): Promise<void> {
        // Each by itself, so that one that fails now keeps none of the others away.
        const parts = [this.load(), this.loadRun(), this.reloadAnnotations()];
        for (const part of await Promise.allSettled(parts)) {
            if (part.status === 'rejected') this.problem = said(part.reason);
        }
        if (!this.selected && this.columns.roots.length) this.selected = this.columns.roots.at(-1) ?? 0;
        this.reveal(this.selected);
        this.schedule();
    }

    close(): void {
        this.isClosed = true;
        clearTimeout(this.timer);
        clearTimeout(this.addressTimer);
    }

    // Choosing --------------------------------------------------------------------------------

    /** Select a step and open what hides it. */
    select(step: number): void {
        if (step < 1 || step > this.columns.size) return;
        this.reveal(step);
        this.selected = step;
        this.writeAddress();
    }

    /** Select what stands on a line of the outline; a fold stays closed. */
    selectLine(line: number): void {
        if (line > 0) return this.select(line);
        if (!line) return;
        this.selected = -line;
        this.writeAddress();
    }

    /** Open what hides a step. */
    private reveal(step: number): void {
        const hiding = this.columns
            .path(step)
            .slice(0, -1)
            .filter((above) => this.closed.has(above));
        if (hiding.length) this.closed = without(this.closed, hiding);
        const fold = this.foldAlike ? foldOf(this.columns, step) : 0;
        if (fold && fold !== step && !this.unfolded.has(fold)) this.setUnfolded(fold, true);
    }

    /** Look at the run as it was at an event; null: as it is. */
    moveTo(event: number | null): void {
        const last = this.columns.lastEvent;
        this.playedTo = null;
        this.cursor = event === null || event >= last ? null : Math.max(1, Math.round(event));
        this.writeAddress();
    }

    /** Go on to a time after event `event`, as playing does; the address follows when it stops. */
    playTo(time: number, event: number): void {
        this.playedTo = time;
        this.cursor = event;
    }

    show(view: ViewName): void {
        this.view = view;
        this.writeAddress();
    }

    ask(query: string): void {
        this.query = query;
        this.inContents = null;
        this.writeAddress();
    }

    /** Open or close a step; what is selected below a closed one gives way to it. */
    setOpen(step: number, isOpen: boolean): void {
        if (!isOpen && this.columns.isUnder(this.selected, step)) this.selected = step;
        this.closed = isOpen ? without(this.closed, [step]) : new Set([...this.closed, step]);
    }

    setUnfolded(first: number, isUnfolded: boolean): void {
        this.unfolded = isUnfolded ? new Set([...this.unfolded, first]) : without(this.unfolded, [first]);
    }

    /** Close every step at `depth` and below; Infinity opens all. */
    openTo(depth: number): void {
        const closed = new Set<number>();
        for (let step = 1; step <= this.columns.size; step++) {
            if (this.columns.firstChild[step] && this.columns.depth[step] + 1 >= depth) closed.add(step);
        }
        this.closed = depth === Infinity ? new Set() : closed;
        const hiding = this.columns.path(this.selected).find((step) => this.closed.has(step));
        if (hiding) this.selected = hiding;
    }

    /** Go to the next (1) or previous (-1) moment of the chosen unit. */
    stepBy(direction: 1 | -1, unit: Unit = this.unit): void {
        const { eventStep, lastEvent } = this.columns;
        for (let event = this.moment + direction; event >= 1 && event <= lastEvent; event += direction) {
            if (!this.isOfUnit(eventStep[event], event, unit)) continue;
            if (eventStep[event] && unit !== 'branch') this.selected = eventStep[event];
            this.moveTo(event);
            return;
        }
        if (direction === 1) this.moveTo(null);
    }

    /** Select the next (1) or previous (-1) step that failed, in the order of steps. */
    nextError(direction: 1 | -1): void {
        const { outcome, size } = this.columns;
        for (let i = 1; i <= size; i++) {
            const step = ((this.selected - 1 + direction * i + 2 * size) % size) + 1;
            if (isError(outcome[step])) return this.select(step);
        }
    }

    /** Select the next (1) or previous (-1) step that the query has found, in the order of steps. */
    nextFound(direction: 1 | -1): void {
        const { found, selected } = this;
        const { size } = this.columns;
        for (let i = 1; found?.size && i <= size; i++) {
            const step = ((selected - 1 + direction * i + 2 * size) % size) + 1;
            if (found.has(step)) return this.select(step);
        }
    }

    /** Select the next (1) or previous (-1) step of the same name. */
    nextPeer(direction: 1 | -1): void {
        const { name, size } = this.columns;
        for (let step = this.selected + direction; step >= 1 && step <= size; step += direction) {
            if (name[step] === name[this.selected]) return this.select(step);
        }
    }

    // Contents --------------------------------------------------------------------------------

    /** Return what went into a step and came out; the same promise as long as it cannot have changed. */
    step(number: number): Promise<Step> {
        return this.contents.step(number);
    }

    /** Return several steps with few requests, in the order asked for. */
    steps(numbers: readonly number[]): Promise<Step[]> {
        return this.contents.steps(numbers);
    }

    /** Look for the words of the query in contents too; what is found joins `found`. */
    async search(): Promise<void> {
        const { texts } = this.parsed;
        if (!texts.length) return;
        const asked = this.query;
        this.isSearching = true;
        try {
            const { steps } = await this.source.search(this.id, texts.map((text) => `"${text}"`).join(' '));
            if (this.query === asked) this.inContents = new Set(steps);
        } catch (error) {
            this.problem = said(error);
        } finally {
            this.isSearching = false;
        }
    }

    async reloadAnnotations(): Promise<void> {
        this.annotations = await this.source.annotations(this.id);
    }

    /** Fetch how the run stands anew, and follow it again if it has gone on. */
    async refresh(): Promise<void> {
        await this.loadRun();
        await this.load();
        this.schedule();
    }

    // Loading ---------------------------------------------------------------------------------

    private async loadRun(): Promise<void> {
        this.run = await this.source.run(this.id);
    }

    private async load(): Promise<void> {
        for (;;) {
            const { lastEvent } = this.columns;
            const page = await this.source.changes(
                this.id,
                lastEvent,
                lastEvent ? PAGE_EVENTS : FIRST_EVENTS,
            );
            if (this.isClosed) return;
            if (page.reset) throw new SourceError('The run was rewritten; load the page again.');
            const isChanged = page.types.length > 0 || page.status !== this.columns.status;
            this.columns.apply(page);
            if (isChanged) this.revision += 1;
            if (page.to >= page.last) break;
        }
        this.isLoaded = true;
        this.problem = '';
    }

    private schedule(): void {
        clearTimeout(this.timer);
        if (this.isClosed || !this.source.actions) return;
        if (this.columns.status === 'succeeded' && this.isLoaded && this.run) return;
        // What has stopped may be resumed by somebody else, so it is asked for now and then.
        const isSlow = document.hidden || this.columns.isOver || this.problem;
        this.timer = setTimeout(() => void this.poll(), isSlow ? POLL_SLOW_MS : POLL_MS);
    }

    private async poll(): Promise<void> {
        if (this.isFollowing) {
            try {
                await this.load();
                if (this.columns.status !== this.run?.status) await this.loadRun();
            } catch (error) {
                this.problem = said(error);
            }
        }
        this.schedule();
    }

    // Working out -----------------------------------------------------------------------------

    private find(): ReadonlySet<number> | null {
        void this.revision;
        const { parsed, errorsOnly, columns, moments, inContents } = this;
        if (!parsed.tests.length && !parsed.texts.length && !errorsOnly) return null;
        // Without a need for it the moment is not read, so that moving it finds nothing anew.
        const moment = parsed.isTimed || errorsOnly ? this.moment : 0;
        return found({ parsed, errorsOnly, inContents, moment }, columns, moments);
    }

    private isOfUnit(step: number, event: number, unit: Unit): boolean {
        const { columns, selected } = this;
        if (unit === 'event') return true;
        if (unit === 'branch') return step > 0 && columns.isUnder(step, selected);
        if (unit === 'name') return columns.name[step] === columns.name[selected];
        if (unit === 'root') return columns.depth[step] <= 1;
        return columns.endEvent[step] === event && isError(columns.outcome[step]);
    }

    /** Take selection, moment and the rest from an address of this run. */
    readAddress(params: URLSearchParams): void {
        takeAddress(this, params);
        this.playedTo = null;
        if (this.isLoaded) this.reveal(this.selected);
    }

    /** Put what is looked at into the address; a moment later, as browsers slow down who does it often. */
    writeAddress(): void {
        clearTimeout(this.addressTimer);
        this.addressTimer = setTimeout(() => router.note(addressOf(this)), ADDRESS_MS);
    }

    /** Return a link to what is looked at. */
    link(): string {
        clearTimeout(this.addressTimer);
        router.note(addressOf(this));
        return location.href;
    }
}

/** Return an error in words for a person. */
export function said(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}

function without(set: ReadonlySet<number>, gone: readonly number[]): ReadonlySet<number> {
    const left = new Set(set);
    for (const one of gone) left.delete(one);
    return left;
}
