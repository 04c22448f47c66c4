// How many steps were at work at each place of an axis, by kind.
//
// Only leaves count: a flow is at work through what it calls. Steps shorter than a pixel add the part of
// it that they take, so a thousand quick steps in a row look like one that runs all the time.

import { KINDS, type Columns } from './columns.ts';
import { isError } from './moment.ts';
import type { Scale } from './scale.ts';

export interface Load {
    /** By kind, then by pixel: how many ran there on average. */
    kinds: Float32Array[];
    /** By pixel: the sum over kinds. */
    all: Float32Array;
    most: number;
    /** By pixel: whether a step failed there. */
    errors: Uint8Array;
}

/** Count over all pixels of a scale; steps under way last until `now`. */
export function load(columns: Columns, scale: Scale, now: number): Load {
    const width = Math.max(1, Math.ceil(scale.width));
    const kinds = KINDS.map(() => new Float32Array(width + 2));
    const errors = new Uint8Array(width);
    const { size, firstChild, kind, startAt, endAt, outcome } = columns;
    for (let step = 1; step <= size; step++) {
        const end = Number.isNaN(endAt[step]) ? now : endAt[step];
        const right = Math.max(0, Math.min(width, scale.x(end)));
        if (isError(outcome[step])) errors[Math.min(width - 1, Math.floor(right))] = 1;
        if (firstChild[step]) continue;
        const left = Math.max(0, Math.min(width, scale.x(startAt[step])));
        cover(kinds[kind[step]], left, Math.max(right, left + 0.02));
    }
    return { ...summed(kinds, width), errors };
}

/** Add 1 between two places to what will be summed up: partly at its ends. */
function cover(steps: Float32Array, left: number, right: number): void {
    // The integral of a box is a ramp; its two corners are shared by neighbouring pixels.
    corner(steps, left, 1);
    corner(steps, right, -1);
}

function corner(steps: Float32Array, at: number, sign: number): void {
    const pixel = Math.floor(at);
    const part = at - pixel;
    steps[pixel] += sign * (1 - part);
    steps[pixel + 1] += sign * part;
}

function summed(
    kinds: Float32Array[],
    width: number,
): { kinds: Float32Array[]; all: Float32Array; most: number } {
    const all = new Float32Array(width);
    let most = 0;
    for (const steps of kinds) {
        let running = 0;
        for (let x = 0; x < width; x++) {
            running += steps[x];
            steps[x] = Math.max(0, running);
            all[x] += steps[x];
        }
    }
    for (let x = 0; x < width; x++) most = Math.max(most, all[x]);
    return { kinds, all, most };
}
