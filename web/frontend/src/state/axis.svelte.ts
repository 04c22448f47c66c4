// The time axis of one run: what it spans, which part the bars show, and which gaps are folded.
//
// Every view that draws times reads this, so that all show the same window.

import { FOLDED_ABOVE_S, Folding, Gaps, panned, zoomed } from '../core/scale.ts';
import type { Axis, RunView } from './run.svelte.ts';

const MARGIN = 0.02;
type Stretch = readonly [number, number];

export class TimeAxis {
    private view: RunView;
    private found: Gaps;

    /** Whether idle gaps are folded; null leaves it to the length of the run. */
    foldGaps = $state<boolean | null>(null);

    readonly gaps = $derived.by(() => {
        void this.view.revision;
        return this.found.all();
    });
    /** The first and the last known time of the run. */
    readonly span = $derived.by<Stretch>(() => {
        void this.view.revision;
        const { startedAt, lastAt } = this.view.columns;
        return [startedAt, Math.max(lastAt, this.view.wall, startedAt + 0.001)];
    });
    readonly isFolded = $derived(this.foldGaps ?? this.span[1] - this.span[0] > FOLDED_ABOVE_S);
    readonly folding = $derived(new Folding(this.isFolded ? this.gaps : [], this.span[0], this.span[1]));
    /** The part of the run that the bars show. */
    readonly window = $derived.by<Stretch>(() => this.view.zoom ?? this.chosen());

    constructor(view: RunView) {
        this.view = view;
        this.found = new Gaps(view.columns);
    }

    /** Zoom in (below 1) or out around a time; without one, around the playhead or the middle. */
    zoomBy(factor: number, around?: number): void {
        const [from, to] = this.window;
        const { now } = this.view;
        const middle = now > from && now < to ? now : (from + to) / 2;
        this.show(zoomed([from, to], factor, around ?? middle, this.span));
    }

    panBy(share: number): void {
        this.show(panned(this.window, share, this.span));
    }

    /** Show a stretch of time; the whole run when it is about that long. */
    show([from, to]: Stretch): void {
        const [first, last] = this.span;
        if (to - from >= (last - first) * 0.999) return this.toRun();
        this.view.zoom = [from, to];
        this.view.writeAddress();
    }

    /** From the run to the parent's time, to the step's own, and back to the run. */
    inward(): void {
        const { axis } = this.view;
        this.follow(axis === 'run' ? 'parent' : axis === 'parent' ? 'self' : 'run');
    }

    toRun(): void {
        this.follow('run');
    }

    /** Follow the run, the parent of what is selected, or the step itself. */
    follow(axis: Axis): void {
        this.view.zoom = null;
        this.view.axis = axis;
        this.view.writeAddress();
    }

    private chosen(): Stretch {
        void this.view.revision;
        const { columns, selected, axis } = this.view;
        const step = axis === 'self' ? selected : axis === 'parent' ? columns.parent[selected] : 0;
        if (!step) return this.span;
        const from = columns.startAt[step];
        const end = columns.endAt[step];
        const to = Number.isNaN(end) ? this.span[1] : end;
        const [first, last] = [this.folding.place(from), this.folding.place(to)];
        const margin = Math.max(0.0005, (last - first) * MARGIN);
        return [this.folding.time(first - margin), this.folding.time(last + margin)];
    }
}
