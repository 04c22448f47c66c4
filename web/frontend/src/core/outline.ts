// Which steps stand on which line of the outline.
//
// Owns folding and filtering. A line is a step number; a negative number stands for a fold: a stretch of
// siblings with the same name and no trouble, shown as one line until it is opened. All of 100,000 open
// steps are laid out within a few milliseconds, so nothing here is kept between two calls but room.

import { Status, type Columns } from './columns.ts';
import { grown } from './growing.ts';
import type { Moments } from './moment.ts';

/** Stretches of same-named siblings longer than this are folded into one line. */
export const FOLD_ABOVE = 8;

export interface Wanted {
    /** Steps whose children are hidden; all others are open. */
    closed: ReadonlySet<number>;
    /** First steps of folds that a person has opened. */
    unfolded: ReadonlySet<number>;
    /** Steps that a query has found; null when nothing is looked for. */
    found: ReadonlySet<number> | null;
    /** Show only what had started at this event; see `hideFuture`. */
    moment: number;
    hideFuture: boolean;
    /** Only this step and what is below it; 0 for the whole run. */
    top: number;
    foldAlike: boolean;
}

let room = new Int32Array(0);

/** Return the lines from top to bottom. Found steps come with the steps above them. */
export function outline(columns: Columns, _moments: Moments, wanted: Wanted): Int32Array {
    room = grown(room, columns.size + 1) as Int32Array<ArrayBuffer>;
    const shown = wanted.found && withAncestors(columns, wanted.found);
    let count = 0;
    for (const root of wanted.top ? [wanted.top] : columns.roots) {
        count = layOut(columns, root, wanted, shown, count);
    }
    return room.slice(0, count);
}

/** Return the steps that a fold stands for; `line` is negative. */
export function folded(columns: Columns, line: number): number[] {
    const first = -line;
    const steps: number[] = [];
    for (let step = first; step && isAlike(columns, step, first); step = columns.nextSibling[step])
        steps.push(step);
    return steps;
}

/** Return the first step of the fold that a step is in, or 0 when it stands for itself. */
export function foldOf(columns: Columns, step: number): number {
    const parent = columns.parent[step];
    if (!parent || !isAlike(columns, step, step)) return 0;
    let sibling = columns.firstChild[parent];
    while (sibling && sibling <= step) {
        const first = sibling;
        let length = 0;
        let holds = false;
        for (; sibling && isAlike(columns, sibling, first); sibling = columns.nextSibling[sibling]) {
            holds ||= sibling === step;
            length += 1;
        }
        if (holds) return length > FOLD_ABOVE ? first : 0;
        if (!length) sibling = columns.nextSibling[sibling];
    }
    return 0;
}

/** Write the lines of `top` and what is below it to `room` from `count` on; return the new count. */
function layOut(
    columns: Columns,
    top: number,
    wanted: Wanted,
    shown: Uint8Array | null,
    count: number,
): number {
    const { firstChild, nextSibling, parent, startEvent } = columns;
    const until = wanted.hideFuture ? wanted.moment : Infinity;
    const closed = wanted.closed.size ? wanted.closed : null;
    const folds = wanted.foldAlike && !shown;
    let step = top;
    for (;;) {
        const isThere = (!shown || shown[step] === 1) && startEvent[step] <= until;
        if (isThere) {
            const length = folds && step !== top ? stretch(columns, step, until) : 1;
            if (length > FOLD_ABOVE && !wanted.unfolded.has(step)) {
                room[count++] = -step;
                for (let i = 1; i < length; i++) step = nextSibling[step];
            } else {
                room[count++] = step;
                // A stretch that is shown step by step must not be looked at again from its second step.
                for (let i = 1; i < length; i++) room[count++] = step = nextSibling[step];
            }
            if (firstChild[step] && !closed?.has(step)) {
                step = firstChild[step];
                continue;
            }
        }
        while (step !== top && !nextSibling[step]) step = parent[step];
        if (step === top) return count;
        step = nextSibling[step];
    }
}

/** Return how many siblings from `first` on may stand in one fold; 1 when it is not the start of one. */
function stretch(columns: Columns, first: number, until: number): number {
    const { nextSibling, startEvent } = columns;
    let length = 0;
    let step = first;
    while (step && startEvent[step] <= until && isAlike(columns, step, first)) {
        length += 1;
        step = nextSibling[step];
    }
    return length || 1;
}

/** Whether a step may stand in the same fold as the first of it: same name, a leaf, no trouble. */
function isAlike(columns: Columns, step: number, first: number): boolean {
    const outcome = columns.outcome[step];
    return (
        columns.name[step] === columns.name[first] &&
        !columns.firstChild[step] &&
        (outcome === Status.succeeded || outcome === Status.cancelled)
    );
}

function withAncestors(columns: Columns, found: ReadonlySet<number>): Uint8Array {
    const shown = new Uint8Array(columns.size + 1);
    for (const step of found) {
        for (let at = step; at && !shown[at]; at = columns.parent[at]) shown[at] = 1;
    }
    return shown;
}
