import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Columns } from '../src/core/columns.ts';
import { isError, Moments } from '../src/core/moment.ts';
import { Cells, ordered, sorted, sortedGroups, SORTS, summed, type Sort } from '../src/core/sorting.ts';
import { forest, random } from './forest.ts';

const runs = [1, 2, 3, 4].map((seed) => forest({ seed, steps: 400, isRunning: seed % 2 === 0 }));
const all = (columns: Columns): Int32Array => Int32Array.from({ length: columns.size }, (_, i) => i + 1);

function plainValue(columns: Columns, cells: Cells, step: number, sort: Sort): number | string | null {
    switch (sort) {
        case 'step':
            return step;
        case 'started':
            return columns.startEvent[step];
        case 'depth':
            return columns.depth[step];
        case 'name':
            return columns.nameOf(step);
        case 'kind':
            return columns.kindOf(step);
        case 'model':
            return columns.modelOf(step) || null;
        case 'error':
            return cells.error(step) || null;
        case 'outcome': {
            const words = ['running', 'succeeded', 'failed', 'refused', 'cancelled', 'left'];
            const outcome = cells.outcome(step);
            return outcome === null ? null : words[outcome];
        }
        default:
            return cells[sort](step);
    }
}

test('every column sorts like a plain stable sort with what is unknown last', () => {
    const collator = new Intl.Collator('en', { numeric: true });
    for (const columns of runs) {
        for (const moment of [columns.lastEvent >> 1, columns.lastEvent]) {
            const cells = new Cells(columns, new Moments(columns), moment);
            for (const sort of SORTS) {
                for (const direction of [1, -1]) {
                    const plain = [...all(columns)].sort((a, b) => {
                        const [x, y] = [a, b].map((step) => plainValue(columns, cells, step, sort));
                        if (x === null || y === null) return (x === null ? 1 : 0) - (y === null ? 1 : 0);
                        if (typeof x === 'string') return direction * collator.compare(x, y as string);
                        return direction * (x - (y as number));
                    });
                    const found = sorted(columns, cells, all(columns), sort, direction === -1);
                    assert.deepEqual([...found], plain, `${sort} ${direction} at ${moment}`);
                }
            }
        }
    }
});

test('numbers of any size and sign come in order, and equal ones stay as they were', () => {
    const next = random(3);
    const keys = Float64Array.from({ length: 5000 }, () => {
        const size = 10 ** Math.floor(next() * 20 - 8);
        return next() < 0.3 ? Math.floor(next() * 3) - 1 : (next() - 0.5) * size;
    });
    keys.set([0, -0, Infinity, -Infinity, 5e-324, -5e-324], 100);
    const plain = [...keys.keys()].sort((a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0));
    assert.deepEqual([...ordered(keys)], plain);
});

test('the sums by name count every step that had started, once', () => {
    for (const columns of runs) {
        for (const moment of [columns.lastEvent >> 1, columns.lastEvent]) {
            const moments = new Moments(columns);
            const groups = summed(columns, new Cells(columns, moments, moment), all(columns));
            const started = [...all(columns)].filter((step) => moments.has(step, moment));
            const failed = started.filter((step) => isError(moments.outcome(step, moment)));
            assert.equal(
                groups.reduce((sum, group) => sum + group.count, 0),
                started.length,
            );
            assert.equal(
                groups.reduce((sum, group) => sum + group.failed, 0),
                failed.length,
            );
            const tokens = groups.reduce((sum, group) => sum + (group.tokens ?? 0), 0);
            assert.equal(tokens, moments.totals(moment).tokens);
            assert.ok(groups.every((group) => Math.abs(group.mean * group.count - group.total) < 1e-6));
        }
    }
});

test('the cost of a name is what is known of it, and says how many parts are not', () => {
    const [columns] = runs;
    const cells = new Cells(columns, new Moments(columns), columns.lastEvent);
    const groups = summed(columns, cells, all(columns));
    for (const group of groups) {
        const costs = [...all(columns)]
            .filter((step) => columns.nameOf(step) === group.name && columns.kindOf(step) === group.kind)
            .map((step) => columns.cost[step]);
        const known = costs.filter((cost) => cost >= 0);
        assert.equal(
            group.cost ?? 0,
            known.reduce((sum, cost) => sum + cost, 0),
        );
        assert.equal(group.unpriced, costs.length - known.length);
    }
    for (const isDescending of [true, false]) {
        const costs = sortedGroups(groups, 'cost', isDescending).map((group) => group.cost);
        const known = costs.filter((cost) => cost !== null);
        assert.deepEqual(costs.slice(0, known.length), known);
        assert.deepEqual(
            known,
            [...known].sort((a, b) => (isDescending ? b - a : a - b)),
        );
    }
});
