// The run as a flame: the bars of a window in time, and what lies beside a step.
//
// Owns which bars are drawn: however many steps there are, no more than can be told apart. Where a step
// stands is said by `lanes.ts`.

import { Flag, type Columns } from './columns.ts';
import { under, type Lanes } from './lanes.ts';
import { isError } from './moment.ts';
import type { Scale } from './scale.ts';

/** More bars than this are not drawn; the narrow ones are merged instead. */
export const MOST_BARS = 10_000;

/** How a bar looks; the numbers are added up. */
export const Look = { future: 1, open: 2, error: 4, taken: 8 } as const;

export interface Window {
    scale: Scale;
    /** The first lane to draw and the one after the last; far fewer than `MOST_BARS`. */
    first: number;
    last: number;
    /** Only this step and what is below it; 0 for all. */
    top: number;
}

/** Bars from left to right within each lane, as columns. `merged` narrow steps are one bar, of which `step` is the first. */
export interface Bars {
    count: number;
    step: Int32Array;
    lane: Int32Array;
    left: Float32Array;
    right: Float32Array;
    look: Uint8Array;
    merged: Int32Array;
}

/** Return the bars of a window as they are at event `moment` and time `now`, at most about `MOST_BARS`. */
export function bars(
    columns: Columns,
    placed: Lanes,
    window: Window,
    moment: number,
    now: number,
    hideFuture: boolean,
): Bars {
    for (let grain = 1; ; grain *= 2) {
        const found = new Collector(placed, window, grain).collect(columns, moment, now, hideFuture);
        if (found.count <= MOST_BARS || grain >= window.scale.width) return found;
    }
}

/** Bars narrower than `grain` pixels are merged with the narrow ones beside them. */
class Collector {
    private bars: Bars;
    private newest: Int32Array; // by visible lane: the bar at the far right, plus 1

    constructor(
        private readonly placed: Lanes,
        private readonly window: Window,
        private readonly grain: number,
    ) {
        this.bars = room(4096);
        this.newest = new Int32Array(Math.max(0, window.last - window.first));
    }

    collect(columns: Columns, moment: number, now: number, hideFuture: boolean): Bars {
        const { lane } = this.placed;
        const { first, last, scale, top } = this.window;
        const { from, to } = scale;
        const isIn = top ? under(columns, top) : null;
        for (let step = 1; step <= columns.size; step++) {
            if (lane[step] < first || lane[step] >= last || (isIn && !isIn[step])) continue;
            const start = columns.startAt[step];
            const isFuture = columns.startEvent[step] > moment;
            if (start > to || (isFuture && hideFuture)) continue;
            const isEnded = columns.endEvent[step] > 0 && columns.endEvent[step] <= moment;
            const known = columns.endAt[step];
            const end = Number.isNaN(known) ? Math.max(now, start) : known;
            if (end < from && start < from) continue;
            const look = columns.flags[step] & Flag.taken ? Look.taken : 0;
            const left = scale.x(start);
            if (isFuture) {
                this.put(step, left, scale.x(end), look | Look.future);
            } else if (isEnded || Number.isNaN(known)) {
                const error = isEnded && isError(columns.outcome[step]) ? Look.error : 0;
                this.put(step, left, scale.x(end), look | error | (isEnded ? 0 : Look.open));
            } else {
                // It was under way then; how long it took is not known yet, but shown faintly.
                const middle = scale.x(Math.max(now, start));
                this.put(step, left, middle, look | Look.open);
                if (!hideFuture && end > now) this.put(step, middle, scale.x(end), look | Look.future);
            }
        }
        return this.bars;
    }

    private put(step: number, left: number, right: number, look: number): void {
        const row = this.placed.lane[step] - this.window.first;
        const from = Math.max(left, -2);
        const to = Math.min(Math.max(right, from + this.grain), this.window.scale.width + 2);
        if (to < 0 || from > this.window.scale.width + 1) return;
        const isNarrow = right - left < this.grain;
        const previous = this.newest[row] - 1;
        const { bars } = this;
        if (isNarrow && previous >= 0 && this.fits(previous, from, look)) {
            bars.right[previous] = Math.max(bars.right[previous], to);
            bars.look[previous] |= look & (Look.error | Look.open);
            bars.merged[previous] += 1;
            return;
        }
        if (bars.count === bars.step.length) this.bars = enlarged(bars);
        const bar = this.bars.count++;
        this.newest[row] = bar + 1;
        this.bars.step[bar] = step;
        this.bars.lane[bar] = this.placed.lane[step];
        this.bars.left[bar] = from;
        this.bars.right[bar] = to;
        this.bars.look[bar] = look;
        this.bars.merged[bar] = isNarrow ? 1 : 0;
    }

    /** Whether a narrow bar may join one that is made of narrow bars itself. */
    private fits(bar: number, left: number, look: number): boolean {
        const { merged, right, look: looks } = this.bars;
        return merged[bar] > 0 && left - right[bar] < this.grain && !((looks[bar] ^ look) & Look.future);
    }
}

export type Way = 'parent' | 'child' | 'next' | 'previous';

/** Return the step beside another one; 0 where there is none. */
export function beside(columns: Columns, step: number, way: Way): number {
    if (way === 'parent') return columns.parent[step];
    if (way === 'child') return columns.firstChild[step];
    const parent = columns.parent[step];
    const siblings = parent ? [...columns.children(parent)] : columns.roots;
    return siblings[siblings.indexOf(step) + (way === 'next' ? 1 : -1)] ?? 0;
}

/** Return the seconds between round times, so that there are about `wanted` of them between two. */
export function tickGap(from: number, to: number, wanted: number): number {
    const rough = (to - from) / Math.max(1, wanted);
    return GAPS_S.find((gap) => gap >= rough) ?? 10 ** Math.ceil(Math.log10(rough));
}

/** Return the multiples of `gap` between two times, counted in seconds from `zero`. */
export function ticks(from: number, to: number, zero: number, gap: number): number[] {
    const times: number[] = [];
    for (let i = Math.ceil((from - zero) / gap); zero + i * gap <= to; i++) times.push(i * gap);
    return times;
}

const GAPS_S = [
    ...[1e-4, 1e-3, 1e-2, 1e-1, 1].flatMap((unit) => [unit, 2 * unit, 5 * unit]),
    10,
    15,
    30,
    ...[1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440].map((minutes) => minutes * 60),
];

const room = (size: number): Bars => ({
    count: 0,
    step: new Int32Array(size),
    lane: new Int32Array(size),
    left: new Float32Array(size),
    right: new Float32Array(size),
    look: new Uint8Array(size),
    merged: new Int32Array(size),
});

function enlarged(bars: Bars): Bars {
    const larger = room(bars.step.length * 2);
    larger.count = bars.count;
    for (const name of ['step', 'lane', 'left', 'right', 'look', 'merged'] as const)
        larger[name].set(bars[name]);
    return larger;
}
