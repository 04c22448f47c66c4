// Where the steps of two runs stand in one tree.
//
// Owns which row is the parent of which, also where a resumed run has a step twice, and the order of rows
// from the top. It does not know how two steps differ.

import type { Columns } from './columns.ts';
import type { Comparison } from './types.ts';

/** Return the row of the parent of each given row, -1 for none. */
export function parentsOf(
    { left, right }: Pick<Comparison, 'left' | 'right'>,
    a: Columns,
    b: Columns,
): Int32Array {
    const inA = new Finder(a, left);
    const inB = new Finder(b, right);
    return Int32Array.from(left, (step, row) =>
        right[row] ? inB.parentRow(right[row]) : inA.parentRow(step),
    );
}

/** Finds rows of the steps of one run. */
class Finder {
    private columns: Columns;
    private rows: Int32Array;
    private standIns: Map<number, number>;

    constructor(columns: Columns, steps: readonly number[]) {
        this.columns = columns;
        this.rows = new Int32Array(columns.size + 1).fill(-1);
        steps.forEach((step, row) => {
            if (step && step <= columns.size) this.rows[step] = row;
        });
        this.standIns = columns.begins.length > 1 ? this.findStandIns() : new Map();
    }

    parentRow(step: number): number {
        const { parent } = this.columns;
        for (let at = parent[step]; at; at = parent[at]) {
            const row = this.rows[this.standIns.get(at) ?? at];
            if (row >= 0) return row;
        }
        return -1;
    }

    /**
     * A resumed run has some steps twice, of which only one counts and has a row. Return the one that
     * counts for each that does not: the one of the same name at the same place in another attempt.
     */
    private findStandIns(): Map<number, number> {
        const { parent, name, size, startEvent, begins } = this.columns;
        const places = new Map<string, number>();
        const placeOf = new Int32Array(size + 1);
        const counted = new Map<number, number>();
        let seen = new Map<string, number>();
        let attempt = 0;
        for (let step = 1; step <= size; step++) {
            while (begins[attempt + 1] < startEvent[step]) {
                attempt += 1;
                seen = new Map();
            }
            const alike = `${placeOf[parent[step]]} ${name[step]}`;
            const nth = (seen.get(alike) ?? 0) + 1;
            seen.set(alike, nth);
            const place = places.get(`${alike} ${nth}`) ?? places.size + 1;
            places.set(`${alike} ${nth}`, place);
            placeOf[step] = place;
            if (this.rows[step] >= 0) counted.set(place, step);
        }
        const found = new Map<number, number>();
        for (let step = 1; step <= size; step++) {
            const other = counted.get(placeOf[step]);
            if (this.rows[step] < 0 && other) found.set(step, other);
        }
        return found;
    }
}

/** Visit the rows of a forest, each before those below it, siblings in their given order. */
export function walk(parents: Int32Array, visit: (row: number) => void): void {
    const size = parents.length;
    const firstChild = new Int32Array(size + 1).fill(-1); // the last is for the roots
    const next = new Int32Array(size).fill(-1);
    for (let row = size - 1; row >= 0; row--) {
        const parent = parents[row] < 0 ? size : parents[row];
        next[row] = firstChild[parent];
        firstChild[parent] = row;
    }
    const pending = [firstChild[size]];
    while (pending.length) {
        const row = pending.pop() as number;
        if (row < 0) continue;
        visit(row);
        pending.push(next[row], firstChild[row]);
    }
}
