// From times to places on an axis and back.
//
// Owns the folding of idle gaps: a stretch in which nothing works (a person is waited for, the process
// was gone) takes a short fixed place, so that what happens before and after it can be read. The scale
// is piecewise linear and grows everywhere, so each place is one time.

import type { Columns } from './columns.ts';

/** A stretch of time, in Unix seconds. */
export interface Gap {
    from: number;
    to: number;
}

/** Shorter stretches are not folded. */
export const GAP_ABOVE_S = 60;
/** Runs longer than this are folded unless a person says otherwise. */
export const FOLDED_ABOVE_S = 3600;
/** What a folded gap takes, as a share of the time in which something happens. */
const GAP_SHARE = 0.012;

const BEGIN = 'B'.charCodeAt(0);
const START = 'S'.charCodeAt(0);
const NO_END = new Set(['X', 'N'].map((letter) => letter.charCodeAt(0)));
const FLOW = 0;
const ASK = 4;

/** Finds idle gaps; goes on where it stopped when events have been added. */
export class Gaps {
    private columns: Columns;
    private found: Gap[] = [];
    private event = 0;
    private working = 0;

    constructor(columns: Columns) {
        this.columns = columns;
    }

    /** Return the stretches between two events that are long and idle. */
    all(): readonly Gap[] {
        const { eventAt, eventType, eventStep, lastEvent, kind } = this.columns;
        for (let event = this.event + 1; event <= lastEvent; event++) {
            const type = eventType[event];
            const isIdle = this.working <= 0 || type === BEGIN;
            if (event > 1 && isIdle && eventAt[event] - eventAt[event - 1] > GAP_ABOVE_S) {
                this.found = [...this.found, { from: eventAt[event - 1], to: eventAt[event] }];
            }
            const step = eventStep[event];
            if (type === BEGIN) this.working = 0;
            else if (step && kind[step] !== FLOW && kind[step] !== ASK && !NO_END.has(type))
                this.working += type === START ? 1 : -1;
        }
        this.event = lastEvent;
        return this.found;
    }
}

/** Time with its gaps made short: `place` is in seconds too, but counts little for a gap. */
export class Folding {
    readonly gaps: readonly Gap[];
    /** Where each gap begins, and what it takes; the same for all. */
    private begins: Float64Array;
    private size: number;

    /** Gaps are in order and do not overlap; `from` and `to` are what the whole axis spans. */
    constructor(gaps: readonly Gap[], from: number, to: number) {
        const idle = gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
        this.gaps = gaps;
        this.size = Math.min(GAP_ABOVE_S, Math.max(0.1, (to - from - idle) * GAP_SHARE));
        this.begins = new Float64Array(gaps.length);
        let saved = 0;
        gaps.forEach((gap, i) => {
            this.begins[i] = gap.from - saved;
            saved += gap.to - gap.from - this.size;
        });
    }

    place(time: number): number {
        const i = this.last((gap) => gap.from <= time);
        if (i < 0) return time;
        const { from, to } = this.gaps[i];
        if (time >= to) return this.begins[i] + this.size + time - to;
        return this.begins[i] + ((time - from) / (to - from)) * this.size;
    }

    time(place: number): number {
        const i = this.last((_, begin) => begin <= place);
        if (i < 0) return place;
        const { from, to } = this.gaps[i];
        const into = place - this.begins[i];
        return into >= this.size ? to + into - this.size : from + (into / this.size) * (to - from);
    }

    /** Return the end of the gap that a time is in, or the time itself. */
    after(time: number): number {
        const i = this.last((gap) => gap.from <= time);
        return i >= 0 && time < this.gaps[i].to ? this.gaps[i].to : time;
    }

    private last(holds: (gap: Gap, begin: number) => boolean): number {
        let low = 0;
        let high = this.gaps.length;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (holds(this.gaps[middle], this.begins[middle])) low = middle + 1;
            else high = middle;
        }
        return low - 1;
    }
}

/** A stretch of time on so many pixels. */
export class Scale {
    readonly from: number;
    readonly to: number;
    readonly width: number;
    private folding: Folding;
    private first: number;
    private perSecond: number;

    constructor(from: number, to: number, width: number, folding: Folding) {
        this.from = from;
        this.to = to;
        this.width = width;
        this.folding = folding;
        this.first = folding.place(from);
        this.perSecond = width / Math.max(1e-6, folding.place(to) - this.first);
    }

    x(time: number): number {
        return (this.folding.place(time) - this.first) * this.perSecond;
    }

    time(x: number): number {
        return this.folding.time(this.first + x / this.perSecond);
    }
}

/** Return a window made `factor` as long around a time in it, within `whole`. */
export function zoomed(
    [from, to]: readonly [number, number],
    factor: number,
    around: number,
    whole: readonly [number, number],
): [number, number] {
    const length = Math.min(whole[1] - whole[0], Math.max(0.001, (to - from) * factor));
    const share = to > from ? (around - from) / (to - from) : 0.5;
    return within(around - share * length, length, whole);
}

/** Return a window moved by `share` of its length, within `whole`. */
export function panned(
    [from, to]: readonly [number, number],
    share: number,
    whole: readonly [number, number],
): [number, number] {
    return within(from + (to - from) * share, to - from, whole);
}

function within(from: number, length: number, whole: readonly [number, number]): [number, number] {
    const start = Math.max(whole[0], Math.min(from, whole[1] - length));
    return [start, start + length];
}
