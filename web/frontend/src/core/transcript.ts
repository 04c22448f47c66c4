// Which events a transcript tells of, in order.
//
// Owns the choice of entries and the search for the call before a call; what an entry shows is fetched
// when it comes into sight.

import { KINDS, type Columns } from './columns.ts';

const FLOW = KINDS.indexOf('flow');
const MODEL = KINDS.indexOf('model');
const CODES = Object.fromEntries([...'SEFRCXN'].map((type) => [type, type.charCodeAt(0)]));

/**
 * Return the numbers of the events to tell of a step and all below it, up to `moment`.
 *
 * A call of a model, tool, program or person is one entry, at its start; a flow is told by its start, its
 * expansions, its notes and its end.
 */
export function entriesOf(columns: Columns, top: number, moment: number): Int32Array {
    const { eventStep, eventType, kind } = columns;
    const isUnder = below(columns, top);
    const events: number[] = [];
    for (let event = columns.startEvent[top]; event > 0 && event <= moment; event++) {
        const step = eventStep[event];
        if (!step || !isUnder[step]) continue;
        const type = eventType[event];
        const isAlways = type === CODES.S || type === CODES.X || type === CODES.N;
        if (isAlways || (kind[step] === FLOW && isEnd(type))) events.push(event);
    }
    return Int32Array.from(events);
}

/** Return a mark for `top` and each step below it. */
export function below(columns: Columns, top: number): Uint8Array {
    const marks = new Uint8Array(columns.size + 1);
    marks[top] = 1;
    for (let step = top + 1; step <= columns.size; step++) marks[step] = marks[columns.parent[step]];
    return marks;
}

/** Return, for each call of a model, the call of a model before it under the same parent; 0: none. */
export function callsBefore(columns: Columns): Int32Array {
    const before = new Int32Array(columns.size + 1);
    const newest = new Int32Array(columns.size + 1);
    for (let step = 1; step <= columns.size; step++) {
        if (columns.kind[step] !== MODEL) continue;
        const parent = columns.parent[step];
        before[step] = newest[parent];
        newest[parent] = step;
    }
    return before;
}

function isEnd(type: number): boolean {
    return type === CODES.E || type === CODES.F || type === CODES.R || type === CODES.C;
}
