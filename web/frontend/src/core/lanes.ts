// A lane for every step, so that what overlaps in time does not overlap on the screen.
//
// Owns where a step stands. Below its parent siblings that overlap in time get lanes of their own, as
// many as run at once; what is below a step stays within the lanes of that step. The lanes do not
// depend on the moment that is looked at, so nothing jumps when it moves.

import type { Columns } from './columns.ts';

export interface Lanes {
    /** The lane of every step; the roots begin at 0. */
    lane: Int32Array;
    /** How many lanes a step takes with all that is below it. */
    height: Int32Array;
    /** When a step and all below it were over; Infinity as long as one is under way. */
    until: Float64Array;
    /** How many lanes there are. */
    total: number;
}

/** Return the lanes of all steps. */
export function lanes(columns: Columns): Lanes {
    const size = columns.size + 1;
    const lane = new Int32Array(size);
    const height = new Int32Array(size);
    const until = new Float64Array(size);
    for (let step = columns.size; step > 0; step--) {
        const end = columns.endAt[step];
        until[step] = Math.max(until[step], Number.isNaN(end) ? Infinity : end);
        const parent = columns.parent[step];
        until[parent] = Math.max(until[parent], until[step]);
    }
    // Until the last loop `lane` is counted from the parent.
    for (let step = columns.size; step > 0; step--) {
        const first = columns.firstChild[step];
        height[step] = first ? pack(columns, columns.children(step), lane, height, until, 1) : 1;
    }
    const total = pack(columns, columns.roots, lane, height, until, 0);
    for (let step = 1; step <= columns.size; step++) {
        if (columns.parent[step]) lane[step] += lane[columns.parent[step]];
    }
    return { lane, height, until, total };
}

/** Give siblings lanes from `base` on; return the lane after the last. */
function pack(
    columns: Columns,
    siblings: Iterable<number>,
    lane: Int32Array,
    height: Int32Array,
    until: Float64Array,
    base: number,
): number {
    const heights: number[] = []; // of each slot: it is as high as the highest step in it
    const steps: number[] = [];
    const slots: number[] = [];
    const busy = new Heap();
    const free = new Heap();
    for (const step of siblings) {
        while (busy.size && busy.least <= columns.startAt[step]) {
            const slot = busy.pop();
            free.push(slot, slot);
        }
        const slot = free.size ? free.pop() : heights.push(0) - 1;
        heights[slot] = Math.max(heights[slot], height[step]);
        busy.push(until[step], slot);
        steps.push(step);
        slots.push(slot);
    }
    const offsets = [base];
    for (const slot of heights) offsets.push(offsets[offsets.length - 1] + slot);
    steps.forEach((step, i) => (lane[step] = offsets[slots[i]]));
    return offsets[heights.length];
}

/** Numbers that come out in the order of their keys. */
class Heap {
    private keys: number[] = [];
    private values: number[] = [];

    get size(): number {
        return this.keys.length;
    }

    get least(): number {
        return this.keys[0];
    }

    push(key: number, value: number): void {
        const { keys, values } = this;
        let at = keys.length;
        while (at) {
            const up = (at - 1) >> 1;
            if (keys[up] <= key) break;
            keys[at] = keys[up];
            values[at] = values[up];
            at = up;
        }
        keys[at] = key;
        values[at] = value;
    }

    pop(): number {
        const { keys, values } = this;
        const top = values[0];
        const key = keys.pop() as number;
        const value = values.pop() as number;
        const size = keys.length;
        if (!size) return top;
        let at = 0;
        for (;;) {
            let down = 2 * at + 1;
            if (down >= size) break;
            if (down + 1 < size && keys[down + 1] < keys[down]) down += 1;
            if (keys[down] >= key) break;
            keys[at] = keys[down];
            values[at] = values[down];
            at = down;
        }
        keys[at] = key;
        values[at] = value;
        return top;
    }
}

/** Return 1 for `top` and each step below it. */
export function under(columns: Columns, top: number): Uint8Array {
    const isIn = new Uint8Array(columns.size + 1);
    isIn[top] = 1;
    for (let step = top + 1; step <= columns.size; step++) isIn[step] = isIn[columns.parent[step]];
    return isIn;
}

/** Return the step at a place in the flame, or one within `slack_s` of it; 0 where there is none. */
export function stepAt(
    columns: Columns,
    placed: Lanes,
    top: number,
    lane: number,
    time: number,
    slack_s: number,
): number {
    const isIn = top ? under(columns, top) : null;
    let nearest = 0;
    let least = slack_s;
    for (let step = 1; step <= columns.size; step++) {
        if (placed.lane[step] !== lane || (isIn && !isIn[step])) continue;
        const end = columns.endAt[step];
        const away = Math.max(columns.startAt[step] - time, time - (Number.isNaN(end) ? Infinity : end), 0);
        if (away > least) continue;
        nearest = step;
        least = away;
    }
    return nearest;
}

/** Return when a step and all below it began and were over, or the newest known time. */
export function extent(columns: Columns, placed: Lanes, step: number): [number, number] {
    const until = Math.min(step ? placed.until[step] : columns.lastAt, columns.lastAt);
    const from = step ? columns.startAt[step] : columns.startedAt;
    return [from, Math.max(until, from + 1e-4)];
}
