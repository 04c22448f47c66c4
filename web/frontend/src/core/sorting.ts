// The steps as a table: put in order by a column, and summed up by name.
//
// Owns sorting. Steps with the same value stay in the order of their numbers; a value that is not known
// (a price, a duration of what has not begun) comes last whichever way the rest is sorted.

import { STATUS_WORDS, Flag, KINDS, type Columns } from './columns.ts';
import { isError, type Moments } from './moment.ts';
import { standing, type Standing } from './rows.ts';
import type { Kind } from './types.ts';

export const SORTS = [
    'step',
    'name',
    'kind',
    'outcome',
    'started',
    'duration',
    'input',
    'output',
    'cost',
    'model',
    'attempts',
    'depth',
    'error',
] as const;
export type Sort = (typeof SORTS)[number];

/** What a step shows at event `moment`; null where there is nothing to show. */
export class Cells {
    private readonly columns: Columns;
    private readonly moments: Moments;
    private readonly moment: number;
    private readonly now: number;

    /** `now` is the time until which running steps have taken. */
    constructor(columns: Columns, moments: Moments, moment: number, now = moments.timeOf(moment)) {
        this.columns = columns;
        this.moments = moments;
        this.moment = moment;
        this.now = now;
    }

    has = (step: number): boolean => this.moments.has(step, this.moment);

    /** Whether the step had ended, so that what it used was known. */
    private isOver(step: number): boolean {
        const end = this.columns.endEvent[step];
        return end > 0 && end <= this.moment;
    }

    duration(step: number): number | null {
        if (!this.has(step)) return null;
        const end = this.moments.endAt(step, this.moment);
        return (
            (Number.isNaN(end) ? Math.max(this.now, this.columns.startAt[step]) : end) -
            this.columns.startAt[step]
        );
    }

    outcome(step: number): number | null {
        return this.has(step) ? this.moments.outcome(step, this.moment) : null;
    }

    standing = (step: number): Standing => standing(this.columns, this.moments, step, this.moment);

    /** What the step itself used, not what is below it; null where it used no model itself. */
    input = (step: number): number | null => (this.usesModel(step) ? this.columns.inputTokens[step] : null);
    output = (step: number): number | null => (this.usesModel(step) ? this.columns.outputTokens[step] : null);

    /** Micro-dollars; null where it used no model itself, and for an unknown price. */
    cost(step: number): number | null {
        const cost = this.columns.cost[step];
        return this.usesModel(step) && cost >= 0 ? cost : null;
    }

    isPriceUnknown = (step: number): boolean => this.usesModel(step) && this.columns.cost[step] < 0;

    private usesModel(step: number): boolean {
        const { columns } = this;
        if (!this.isOver(step) || columns.flags[step] & Flag.taken) return false;
        return columns.inputTokens[step] + columns.outputTokens[step] > 0 || columns.cost[step] !== 0;
    }

    attempts = (step: number): number | null =>
        this.isOver(step) ? Math.max(1, this.columns.attempts[step]) : null;

    error = (step: number): string => (this.isOver(step) ? (this.columns.errors.get(step) ?? '') : '');
}

/** Return `steps`, which are in the order of their numbers, sorted by a column. */
export function sorted(
    columns: Columns,
    cells: Cells,
    steps: Int32Array,
    sort: Sort,
    isDescending: boolean,
): Int32Array {
    const value = reader(columns, cells, steps, sort);
    const keys = new Float64Array(steps.length);
    for (let i = 0; i < steps.length; i++) {
        const key = value(steps[i]);
        keys[i] = key === null || Number.isNaN(key) ? Infinity : isDescending ? -key : key;
    }
    const order = ordered(keys);
    for (let i = 0; i < order.length; i++) order[i] = steps[order[i]];
    return order;
}

/** Return a number for each step by which a column is sorted. */
function reader(
    columns: Columns,
    cells: Cells,
    steps: Int32Array,
    sort: Sort,
): (step: number) => number | null {
    switch (sort) {
        case 'step':
            return (step) => step;
        case 'started':
            return (step) => columns.startEvent[step];
        case 'depth':
            return (step) => columns.depth[step];
        case 'name': {
            const ranks = ranked(columns.names);
            return (step) => ranks[columns.name[step]];
        }
        case 'kind': {
            const ranks = ranked(KINDS);
            return (step) => ranks[columns.kind[step]];
        }
        case 'model': {
            const ranks = ranked(columns.models);
            return (step) => (columns.model[step] ? ranks[columns.model[step]] : null);
        }
        case 'outcome': {
            const ranks = ranked(STATUS_WORDS);
            return (step) => {
                const outcome = cells.outcome(step);
                return outcome === null ? null : ranks[outcome];
            };
        }
        case 'error':
            return byError(cells, steps);
        default:
            return (step) => cells[sort](step);
    }
}

function byError(cells: Cells, steps: Int32Array): (step: number) => number | null {
    const texts = new Map<string, number>();
    for (const step of steps) {
        const text = cells.error(step);
        if (text && !texts.has(text)) texts.set(text, texts.size);
    }
    const ranks = ranked([...texts.keys()]);
    return (step) => {
        const number = texts.get(cells.error(step));
        return number === undefined ? null : ranks[number];
    };
}

/** Return the place of each word among all of them; equal words have equal places. */
export function ranked(words: readonly string[]): Int32Array {
    const order = words.map((_, i) => i).sort((a, b) => compared(words[a], words[b]));
    const ranks = new Int32Array(words.length);
    order.forEach((word, i) => {
        const isSame = i > 0 && compared(words[order[i - 1]], words[word]) === 0;
        ranks[word] = isSame ? ranks[order[i - 1]] : i;
    });
    return ranks;
}

const collator = new Intl.Collator('en', { numeric: true });
const compared = (a: string, b: string): number => collator.compare(a, b);

/** Return the places of `keys` from the least to the greatest; equal ones stay in order. */
export function ordered(keys: Float64Array): Int32Array {
    // By 16 bits at a time, from the lowest: 4 passes whatever the values, where a comparing sort of
    // 100,000 calls back 1.7 million times.
    const size = keys.length;
    const numbers = new Float64Array(size);
    const words = new Uint32Array(numbers.buffer);
    for (let i = 0; i < size; i++) {
        numbers[i] = keys[i] + 0; // -0 is 0
        const isNegative = words[2 * i + 1] >>> 31;
        words[2 * i] ^= isNegative ? 0xffffffff : 0;
        words[2 * i + 1] ^= isNegative ? 0xffffffff : 0x80000000;
    }
    let from = Int32Array.from({ length: size }, (_, i) => i);
    let to = new Int32Array(size);
    for (let pass = 0; pass < 4; pass++) {
        const word = pass >> 1;
        const shift = (pass & 1) * 16;
        const starts = new Int32Array(65537);
        for (let i = 0; i < size; i++) starts[((words[2 * i + word] >>> shift) & 0xffff) + 1] += 1;
        for (let i = 0; i < 65536; i++) starts[i + 1] += starts[i];
        for (let i = 0; i < size; i++) to[starts[(words[2 * from[i] + word] >>> shift) & 0xffff]++] = from[i];
        [from, to] = [to, from];
    }
    return from;
}

/** All steps of one name and kind. Figures are of the steps themselves, not of what is below them. */
export interface Group {
    name: string;
    kind: Kind;
    first: number;
    count: number;
    failed: number;
    /** Seconds. */
    total: number;
    mean: number;
    /** Null where no model was used. */
    tokens: number | null;
    /** Micro-dollars of the parts with a known price; null where there are none. */
    cost: number | null;
    /** How many parts have no known price. */
    unpriced: number;
}

export const GROUP_SORTS = ['name', 'kind', 'count', 'failed', 'total', 'mean', 'tokens', 'cost'] as const;
export type GroupSort = (typeof GROUP_SORTS)[number];

/** Sum up the steps that had started by name and kind, in the order in which the names first come. */
export function summed(columns: Columns, cells: Cells, steps: Int32Array): Group[] {
    const groups = new Map<number, Group>();
    for (const step of steps) {
        if (!cells.has(step)) continue;
        const key = columns.name[step] * KINDS.length + columns.kind[step];
        let group = groups.get(key);
        if (!group) groups.set(key, (group = begun(columns, step)));
        group.count += 1;
        if (isError(cells.outcome(step) ?? 0)) group.failed += 1;
        group.total += cells.duration(step) ?? 0;
        group.tokens = added(added(group.tokens, cells.input(step)), cells.output(step));
        group.cost = added(group.cost, cells.cost(step));
        if (cells.isPriceUnknown(step)) group.unpriced += 1;
    }
    const all = [...groups.values()];
    for (const group of all) group.mean = group.total / group.count;
    return all;
}

const begun = (columns: Columns, step: number): Group => ({
    name: columns.nameOf(step),
    kind: columns.kindOf(step),
    first: step,
    count: 0,
    failed: 0,
    total: 0,
    mean: 0,
    tokens: null,
    cost: null,
    unpriced: 0,
});

const added = (sum: number | null, value: number | null): number | null =>
    value === null ? sum : (sum ?? 0) + value;

/** Return the groups sorted by a column. */
export function sortedGroups(groups: Group[], sort: GroupSort, isDescending: boolean): Group[] {
    const ranks = sort === 'name' || sort === 'kind' ? ranked(groups.map((group) => group[sort])) : null;
    const keys = Float64Array.from(groups, (group, i) => {
        const key = ranks ? ranks[i] : (group[sort as 'count'] as number | null);
        return key === null ? Infinity : isDescending ? -key : key;
    });
    return Array.from(ordered(keys), (i) => groups[i]);
}
