// Two runs as one outline.
//
// Owns the merge of two trees (which steps are a pair is decided by the journal, see `Comparison`), what
// is a difference worth going to, and the figures of both sides. Rows are numbered in the order they
// are shown, a step before all that is below it, so that a branch is a stretch of rows.

import { Flag, type Columns } from './columns.ts';
import { parentsOf, walk } from './merging.ts';
import type { Comparison, Run } from './types.ts';

/** How a row stands; the numbers are the values of `Merged.mark`. From `changed` on it is a difference. */
export const Mark = { same: 0, taken: 1, changed: 2, onlyA: 3, onlyB: 4 } as const;
export const MARK_WORDS = ['same', 'taken over', 'changed', 'only in A', 'only in B'] as const;
export const MARK_SIGNS = ['', '↻', '≠', '−', '+'] as const;

const DIFFERENCES: Record<string, string> = { i: 'input', o: 'output', s: 'status', m: 'model' };

export class Merged {
    readonly size: number;
    /** Step numbers, 0 where a run does not have the step. */
    readonly left: Int32Array;
    readonly right: Int32Array;
    /** Row of the parent; -1 for a root. */
    readonly parent: Int32Array;
    readonly depth: Uint16Array;
    /** The row after the last one below. */
    readonly end: Int32Array;
    readonly mark: Uint8Array;
    /** Differences below the row, without itself. */
    readonly below: Int32Array;
    /** Whether something begins to differ here, and not only follows from what is below or above. */
    readonly isPlace: Uint8Array;
    readonly letters: string[] = [];
    /** The first place in the order the steps started; -1 when the runs are the same. */
    first = -1;
    private rowOfLeft: Int32Array;
    private rowOfRight: Int32Array;

    constructor(size: number, a: Columns, b: Columns) {
        this.size = size;
        this.left = new Int32Array(size);
        this.right = new Int32Array(size);
        this.parent = new Int32Array(size);
        this.depth = new Uint16Array(size);
        this.end = new Int32Array(size);
        this.mark = new Uint8Array(size);
        this.below = new Int32Array(size);
        this.isPlace = new Uint8Array(size);
        this.rowOfLeft = new Int32Array(a.size + 1).fill(-1);
        this.rowOfRight = new Int32Array(b.size + 1).fill(-1);
    }

    /** Put a row in its place; a row comes after its parent. */
    put(row: number, parent: number, left: number, right: number, letters: string): void {
        this.left[row] = left;
        this.right[row] = right;
        this.parent[row] = parent;
        this.depth[row] = parent < 0 ? 0 : Math.min(this.depth[parent] + 1, 65535);
        this.letters[row] = letters;
        this.mark[row] = markOf(left, right, letters);
        if (left) this.rowOfLeft[left] = row;
        if (right) this.rowOfRight[right] = row;
    }

    /** Work out what is below each row, once all are there. */
    finish(): void {
        for (let row = this.size - 1; row >= 0; row--) {
            this.end[row] = Math.max(this.end[row], row + 1);
            const parent = this.parent[row];
            if (parent >= 0) {
                this.end[parent] = Math.max(this.end[parent], this.end[row]);
                this.below[parent] += this.below[row] + (this.differs(row) ? 1 : 0);
            }
        }
        for (let row = 0; row < this.size; row++) this.isPlace[row] = this.begins(row) ? 1 : 0;
    }

    differs = (row: number): boolean => this.mark[row] >= Mark.changed;
    hasChildren = (row: number): boolean => this.end[row] > row + 1;

    /** A name for a row that holds when rows come in between: the second run's step, or minus the first's. */
    keyOf = (row: number): number => this.right[row] || -this.left[row];

    /** Return the row of a key; -1 when there is none. */
    rowOf(key: number): number {
        return (key < 0 ? this.rowOfLeft[-key] : this.rowOfRight[key]) ?? -1;
    }

    /** Return the rows above `row`, the root first. */
    above(row: number): number[] {
        const path: number[] = [];
        for (let at = this.parent[row]; at >= 0; at = this.parent[at]) path.unshift(at);
        return path;
    }

    private begins(row: number): boolean {
        const mark = this.mark[row];
        if (mark < Mark.changed) return false;
        if (mark === Mark.changed) return /[im]/.test(this.letters[row]) || !this.below[row];
        const parent = this.parent[row];
        return parent < 0 || this.mark[parent] !== mark;
    }
}

/** Return two runs as one tree. */
export function merge(
    comparison: Pick<Comparison, 'left' | 'right' | 'changed'>,
    a: Columns,
    b: Columns,
): Merged {
    const { left, right, changed } = comparison;
    const parents = parentsOf(comparison, a, b);
    const merged = new Merged(left.length, a, b);
    const rows = new Int32Array(left.length);
    let row = 0;
    walk(parents, (given) => {
        rows[given] = row;
        const parent = parents[given] < 0 ? -1 : rows[parents[given]];
        merged.put(row++, parent, left[given], right[given], changed[given]);
    });
    merged.finish();
    const first = rows.find((at) => merged.isPlace[at] > 0);
    merged.first = first ?? -1;
    return merged;
}

/** Return the rows to show from top to bottom; `closed` holds keys. */
export function shownRows(merged: Merged, closed: ReadonlySet<number>, differencesOnly: boolean): Int32Array {
    const shown = new Int32Array(merged.size);
    let count = 0;
    for (let row = 0; row < merged.size;) {
        const isIn = !differencesOnly || merged.differs(row) || merged.below[row] > 0;
        if (isIn) shown[count++] = row;
        row = !isIn || closed.has(merged.keyOf(row)) ? merged.end[row] : row + 1;
    }
    return shown.slice(0, count);
}

/** Return the keys to close at first: what is the same, and what only one run has. */
export function closedAtFirst(merged: Merged): Set<number> {
    const closed = new Set<number>();
    for (let row = 0; row < merged.size; row++) {
        const isOneSided = merged.mark[row] >= Mark.onlyA;
        if (merged.depth[row] && merged.hasChildren(row) && (isOneSided || !merged.below[row]))
            closed.add(merged.keyOf(row));
    }
    return closed;
}

/** Return all keys that can be closed. */
export function allClosed(merged: Merged): Set<number> {
    const closed = new Set<number>();
    for (let row = 0; row < merged.size; row++) if (merged.hasChildren(row)) closed.add(merged.keyOf(row));
    return closed;
}

/** Return the next (1) or previous (-1) place of difference after `row`; -1 when there is none. */
export function nextPlace(merged: Merged, row: number, direction: 1 | -1): number {
    for (let at = row + direction; at >= 0 && at < merged.size; at += direction)
        if (merged.isPlace[at]) return at;
    return -1;
}

export interface Summary {
    same: number;
    taken: number;
    changed: number;
    onlyA: number;
    onlyB: number;
    places: number;
}

export function summaryOf(merged: Merged): Summary {
    const counts = [0, 0, 0, 0, 0];
    let places = 0;
    for (let row = 0; row < merged.size; row++) {
        counts[merged.mark[row]] += 1;
        places += merged.isPlace[row];
    }
    const [same, taken, changed, onlyA, onlyB] = counts;
    return { same, taken, changed, onlyA, onlyB, places };
}

/** What differs at a row, in words: "input and output". */
export function differenceWords(letters: string): string {
    const words = Object.keys(DIFFERENCES)
        .filter((letter) => letters.includes(letter))
        .map((letter) => DIFFERENCES[letter]);
    return words.length < 3 ? words.join(' and ') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** What the steps of one run spent, by row, with all below. Costs in dollars; NaN: nobody knows the price. */
export interface Sums {
    tokens: Float64Array;
    cost: Float64Array;
}

/** Return the sums of one side of a comparison: the first run's (`left`) or the second's (`right`). */
export function sumsOf(merged: Merged, columns: Columns, side: 'left' | 'right'): Sums {
    const steps = merged[side];
    const tokens = new Float64Array(merged.size);
    const cost = new Float64Array(merged.size);
    for (let row = merged.size - 1; row >= 0; row--) {
        const step = steps[row];
        if (step && step <= columns.size && !(columns.flags[step] & Flag.taken)) {
            tokens[row] += columns.inputTokens[step] + columns.outputTokens[step];
            cost[row] += columns.cost[step] < 0 ? NaN : columns.cost[step] / 1e6;
        }
        const parent = merged.parent[row];
        if (parent < 0) continue;
        tokens[parent] += tokens[row];
        cost[parent] += cost[row];
    }
    return { tokens, cost };
}

export interface Figure {
    a: number;
    b: number;
    /** B less A; what a run does not have counts as nothing. */
    delta: number;
}

export interface Figures {
    seconds: Figure;
    tokens: Figure;
    cost: Figure;
}

/** One run of the two, with its sums. */
export interface Side {
    columns: Columns;
    sums: Sums;
}

/** The figures of a row; a run that lacks the step counts as 0. */
export function figuresOf(merged: Merged, row: number, a: Side, b: Side): Figures {
    const left = secondsOf(a.columns, merged.left[row]);
    const right = secondsOf(b.columns, merged.right[row]);
    return {
        seconds: { a: left, b: right, delta: right - left },
        tokens: figure(a.sums.tokens, b.sums.tokens, row),
        cost: figure(a.sums.cost, b.sums.cost, row),
    };
}

/** +3.1 s · −12 · ±0; an unknown figure is a dash. */
export function signed(value: number, word: (value: number) => string): string {
    if (!Number.isFinite(value)) return '–';
    const text = word(Math.abs(value));
    if (text === word(0)) return '±0';
    return `${value < 0 ? '−' : '+'}${text}`;
}

export interface ForkWords {
    step: number;
    /** What was changed there: its name, and the new value as text. None: it was done again. */
    changes: [string, string][];
}

/** Return what a run changed when it was forked off `other`; null when it was not. */
export function forkOf(run: Run, other: string): ForkWords | null {
    const fork = run.settings.fork as
        { run?: string; step?: number; change?: Record<string, unknown> } | undefined;
    if (run.parent !== other || fork?.run !== other) return null;
    const { input, ...rest } = fork.change ?? {};
    const changes = [
        ...Object.entries((input ?? {}) as Record<string, unknown>).map(([name, value]) => [
            `input ${name}`,
            value,
        ]),
        ...Object.entries(rest),
    ].map(([name, value]): [string, string] => [
        String(name),
        typeof value === 'string' ? value : JSON.stringify(value),
    ]);
    return { step: fork.step ?? 0, changes };
}

function markOf(left: number, right: number, letters: string): number {
    const isTaken = letters.includes('r');
    if (!left) return Mark.onlyB;
    if (!right && !isTaken) return Mark.onlyA;
    if (/[iosm]/.test(letters)) return Mark.changed;
    return isTaken ? Mark.taken : Mark.same;
}

function figure(a: Float64Array, b: Float64Array, row: number): Figure {
    return { a: a[row], b: b[row], delta: b[row] - a[row] };
}

function secondsOf(columns: Columns, step: number): number {
    return step && step <= columns.size ? columns.seconds(step, columns.lastAt) : 0;
}
