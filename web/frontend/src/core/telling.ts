// One step in one sentence: what a picture of it shows, for a tooltip and for a screen reader.

import { Flag, type Columns } from './columns.ts';
import type { Moments } from './moment.ts';
import { standing } from './rows.ts';
import { exact, seconds } from './words.ts';

/** prove, model step 12,406: succeeded in 3.10 s */
export function told(columns: Columns, moments: Moments, step: number, moment: number): string {
    return `${columns.nameOf(step)}, ${columns.kindOf(step)} step ${exact(step)}: ${toldState(columns, moments, step, moment)}`;
}

/** succeeded in 3.10 s · running for 12.0 s · not started yet */
export function toldState(columns: Columns, moments: Moments, step: number, moment: number): string {
    if (!moments.has(step, moment)) return 'not started yet';
    const end = moments.endAt(step, moment);
    const { word } = standing(columns, moments, step, moment);
    if (Number.isNaN(end)) {
        return `${word} for ${seconds(Math.max(0, moments.timeOf(moment) - columns.startAt[step]))}`;
    }
    const taken = columns.flags[step] & Flag.taken ? ', taken over' : '';
    return `${word} ${word === 'succeeded' ? 'in' : 'after'} ${seconds(end - columns.startAt[step])}${taken}`;
}
