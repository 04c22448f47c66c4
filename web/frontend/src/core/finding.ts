// Which steps fit what is asked for.

import type { Columns } from './columns.ts';
import { isError, type Moments } from './moment.ts';
import type { Query } from './query.ts';

export interface Asked {
    parsed: Query;
    /** Only steps that had failed. */
    errorsOnly: boolean;
    /** Steps whose contents hold the words; null while nobody has looked into contents. */
    inContents: ReadonlySet<number> | null;
    moment: number;
}

/** Return the steps that fit everything that is asked for. */
export function found(asked: Asked, columns: Columns, moments: Moments): Set<number> {
    const { errorsOnly, inContents, moment } = asked;
    const { tests, texts } = asked.parsed;
    const fitting = new Set<number>();
    for (let step = 1; step <= columns.size; step++) {
        if (errorsOnly && !isError(moments.outcome(step, moment))) continue;
        let fits = true;
        for (let i = 0; fits && i < tests.length; i++) fits = tests[i](step, moment);
        if (!fits) continue;
        if (texts.length && !inContents?.has(step) && !isNamed(columns, step, texts)) continue;
        fitting.add(step);
    }
    return fitting;
}

function isNamed(columns: Columns, step: number, texts: readonly string[]): boolean {
    const name = columns.nameOf(step).toLowerCase();
    const error = columns.errors.get(step)?.toLowerCase() ?? '';
    return texts.every((text) => name.includes(text) || error.includes(text));
}
