// What stands on one row of the outline, and which rows are in sight.
//
// Owns the row's height, the limit on rows in the document, and the words for how a step stands at a
// moment. Knows nothing of the document.

import { KINDS, Status, STATUS_WORDS, type Columns } from './columns.ts';
import type { Moments } from './moment.ts';

export const ROW_PX = 24;
/** Rows in the document, the selected one included even when it is scrolled off. */
export const MOST_ROWS = 60;
const AROUND = 6;

/** Rows `first` to `last - 1` are in the document. */
export interface Sight {
    first: number;
    last: number;
}

/** Return the rows around what is in sight: a few more than that, at most one less than the limit. */
export function sightOf(scrollTop: number, height: number, count: number): Sight {
    const inSight = Math.ceil(height / ROW_PX) + 1;
    // A screen that shows more rows than the limit gets what it shows: rows may not be missing.
    const size = Math.max(inSight, Math.min(inSight + 2 * AROUND, MOST_ROWS - 1));
    const top = Math.floor(scrollTop / ROW_PX) - ((size - inSight) >> 1);
    const first = Math.max(0, Math.min(top, count - size));
    return { first, last: Math.min(count, first + size) };
}

/** Return where to scroll so that a row is in sight: as little as it takes, or it to the middle from afar. */
export function scrolledTo(row: number, scrollTop: number, height: number): number {
    const top = row * ROW_PX;
    const off = top < scrollTop ? scrollTop - top : top + ROW_PX - height - scrollTop;
    if (off <= 0) return scrollTop;
    if (off > height) return Math.max(0, top - Math.floor((height - ROW_PX) / 2));
    return top < scrollTop ? top : top + ROW_PX - height;
}

/** Return the row of a step, or of the fold that begins with it; -1 when neither is there. */
export function rowOf(lines: Int32Array, step: number): number {
    if (!step) return -1;
    const row = lines.indexOf(step);
    return row >= 0 ? row : lines.indexOf(-step);
}

/** How a step stands: a mark to see, a word to read, and whether it is good or bad. */
export interface Standing {
    mark: string;
    word: string;
    tone: 'good' | 'bad' | 'warn' | 'dim' | 'busy';
}

const STANDINGS: readonly Standing[] = [
    { mark: '◐', word: STATUS_WORDS[Status.running], tone: 'busy' },
    { mark: '✓', word: STATUS_WORDS[Status.succeeded], tone: 'good' },
    { mark: '✗', word: STATUS_WORDS[Status.failed], tone: 'bad' },
    { mark: '⊘', word: STATUS_WORDS[Status.refused], tone: 'bad' },
    { mark: '–', word: STATUS_WORDS[Status.cancelled], tone: 'dim' },
    { mark: '◌', word: 'cut off', tone: 'warn' },
];
export const WAITS: Standing = { mark: '?', word: 'waits', tone: 'warn' };
const AHEAD: Standing = { mark: '·', word: 'later', tone: 'dim' };

/** Return how a step stood at event `moment`. */
export function standing(columns: Columns, moments: Moments, step: number, moment: number): Standing {
    if (!moments.has(step, moment)) return AHEAD;
    const outcome = moments.outcome(step, moment);
    const isOpen = outcome === Status.running || outcome === Status.left;
    const isWaiting = isOpen && (columns.status === 'paused' || columns.status === 'running');
    if (isWaiting && KINDS[columns.kind[step]] === 'ask') return WAITS;
    if (outcome === Status.left && columns.status === 'paused') return STANDINGS[Status.running];
    return STANDINGS[outcome];
}

/** How a whole run stands, in the same marks. */
export function runStanding(status: string): Standing {
    switch (status) {
        case 'running':
            return STANDINGS[Status.running];
        case 'succeeded':
            return STANDINGS[Status.succeeded];
        case 'failed':
            return STANDINGS[Status.failed];
        case 'paused':
            return { ...WAITS, word: 'paused' };
        case 'interrupted':
            return { ...STANDINGS[Status.cancelled], word: 'interrupted', tone: 'warn' };
        default:
            return { mark: '◌', word: status, tone: 'warn' };
    }
}

/** Return the line that comes `by` rows after a step's; the first or last at the ends. */
export function lineAt(lines: Int32Array, step: number, by: number): number {
    if (!lines.length) return 0;
    const row = rowOf(lines, step);
    const to = row < 0 ? (by > 0 ? 0 : lines.length - 1) : row + by;
    return lines[Math.max(0, Math.min(lines.length - 1, to))];
}
