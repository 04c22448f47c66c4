// Two runs as one outline, on random pairs of runs, against a slow version made of nested objects.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Columns } from '../src/core/columns.ts';
import {
    allClosed,
    closedAtFirst,
    differenceWords,
    figuresOf,
    forkOf,
    Mark,
    merge,
    nextPlace,
    shownRows,
    signed,
    summaryOf,
    sumsOf,
    type Merged,
} from '../src/core/comparing.ts';
import type { Page, Run } from '../src/core/types.ts';

interface Node {
    key: string;
    up: string;
    tokens: number;
}

/** Numbers from 0 up to `below`, the same ones for a seed. */
function dice(seed: number): (below: number) => number {
    let state = seed * 2654435761 + 1;
    return (below) => {
        state = (Math.imul(state ^ (state >>> 15), 2246822519) + 3266489917) | 0;
        return ((state ^ (state >>> 13)) >>> 0) % below;
    };
}

/** Return nodes in the order they start; a key holds those above it. */
function randomRun(roll: (below: number) => number, size: number): Node[] {
    const nodes: Node[] = [{ key: '0', up: '', tokens: 0 }];
    for (let i = 1; i < size; i++) {
        const up = nodes[Math.max(0, nodes.length - 1 - roll(6))].key;
        nodes.push({ key: `${up}.${i}`, up, tokens: roll(100) });
    }
    return nodes;
}

/** Return the run without some branches, with others, and in places in another order. */
function changed(roll: (below: number) => number, run: Node[]): Node[] {
    const gone = new Set<string>();
    const nodes: Node[] = [];
    for (const node of run) {
        if (gone.has(node.up) || (node.up && roll(9) === 0)) {
            gone.add(node.key);
            continue;
        }
        nodes.push({ ...node, tokens: roll(3) ? node.tokens : roll(100) });
        if (roll(9) === 0) nodes.push({ key: `${node.key}.new`, up: node.key, tokens: 7 });
    }
    for (let i = 2; i < nodes.length; i++) {
        // Branches run side by side: neighbours may start the other way round.
        if (roll(4) === 0 && nodes[i].up !== nodes[i - 1].key)
            [nodes[i - 1], nodes[i]] = [nodes[i], nodes[i - 1]];
    }
    return nodes;
}

function columnsOf(run: Node[]): Columns {
    const number = new Map(run.map((node, i) => [node.key, i + 1]));
    const page: Page = {
        run: 'r',
        after: 0,
        to: 2 * run.length + 1,
        last: 2 * run.length + 1,
        status: 'succeeded',
        at: 1000,
        types: `B${'S'.repeat(run.length)}${'E'.repeat(run.length)}`,
        dt: Array.from({ length: 2 * run.length + 1 }, () => 10_000),
        step: run.map(() => 1),
        start: {
            step: run.map(() => 1),
            parent: run.map((node, i) => (node.up ? i + 1 - (number.get(node.up) ?? 0) : 0)),
            name: run.map(() => 0),
        },
        names: [['step', 'model']],
        tokens: {
            step: run.map(() => 1),
            input: run.map((node) => node.tokens),
            output: run.map(() => 0),
            cost: run.map((node) => (node.tokens === 13 ? -1 : node.tokens * 1e6)),
        },
        model: { names: [], step: [], name: [] },
        taken: [],
        effect: [],
        attempts: {},
        errors: {},
        links: {},
    };
    const columns = new Columns();
    columns.apply(page);
    return columns;
}

/** All steps of both, in the order of the second; what only the first has comes after its predecessor. */
function paired(a: Node[], b: Node[]): { left: number[]; right: number[]; changed: string[] } {
    const before = new Map(a.map((node, i) => [node.key, i + 1]));
    const after = new Map(b.map((node, i) => [node.key, i + 1]));
    const keys = b.map((node) => node.key);
    let at = 0;
    for (const { key } of a) {
        if (after.has(key)) at = keys.indexOf(key) + 1;
        else keys.splice(at++, 0, key);
    }
    const same = (key: string): boolean =>
        a[(before.get(key) ?? 0) - 1]?.tokens === b[(after.get(key) ?? 0) - 1]?.tokens;
    return {
        left: keys.map((key) => before.get(key) ?? 0),
        right: keys.map((key) => after.get(key) ?? 0),
        changed: keys.map((key) =>
            before.has(key) && after.has(key) && !same(key) ? (key.length % 2 ? 'i' : 'o') : '',
        ),
    };
}

interface Branch {
    left: number;
    right: number;
    letters: string;
    differs: boolean;
    below: number;
    children: Branch[];
    only: string;
}

/** The same merge, slowly: a tree of objects by key. */
function slowly(a: Node[], b: Node[]): Branch[] {
    const { left, right, changed: letters } = paired(a, b);
    const all = new Map<string, Branch>();
    const ups = new Map<string, string>();
    left.forEach((number, row) => {
        const node = right[row] ? b[right[row] - 1] : a[number - 1];
        const only = number ? (right[row] ? '' : 'a') : 'b';
        const differs = only !== '' || letters[row] !== '';
        ups.set(node.key, node.up);
        all.set(node.key, {
            left: number,
            right: right[row],
            letters: letters[row],
            differs,
            below: 0,
            children: [],
            only,
        });
    });
    const roots: Branch[] = [];
    for (const [key, branch] of all) (all.get(ups.get(key) ?? '')?.children ?? roots).push(branch);
    const count = (branch: Branch): number => {
        branch.below = branch.children.reduce((sum, child) => sum + count(child), 0);
        return branch.below + (branch.differs ? 1 : 0);
    };
    roots.forEach(count);
    return roots;
}

function slowRows(
    branches: Branch[],
    isOpen: (branch: Branch) => boolean,
    isIn: (branch: Branch) => boolean,
): [number, number][] {
    return branches
        .filter(isIn)
        .flatMap((branch) => [
            [branch.left, branch.right] as [number, number],
            ...(isOpen(branch) ? slowRows(branch.children, isOpen, isIn) : []),
        ]);
}

const pairs = (merged: Merged, rows: Iterable<number>): [number, number][] =>
    Array.from(rows, (row) => [merged.left[row], merged.right[row]]);

function* cases(): Generator<{ a: Node[]; b: Node[]; merged: Merged; roll: (below: number) => number }> {
    for (let seed = 1; seed <= 120; seed++) {
        const roll = dice(seed);
        const a = randomRun(roll, 1 + roll(60));
        const b = changed(roll, a);
        yield { a, b, merged: merge(paired(a, b), columnsOf(a), columnsOf(b)), roll };
    }
}

test('every step of both runs is one row below its parent', () => {
    for (const { a, b, merged } of cases()) {
        const expected = slowRows(
            slowly(a, b),
            () => true,
            () => true,
        );
        assert.deepEqual(pairs(merged, Array(merged.size).keys()), expected);
        for (let row = 0; row < merged.size; row++) {
            const node = merged.right[row] ? b[merged.right[row] - 1] : a[merged.left[row] - 1];
            const parent = merged.parent[row];
            const up =
                parent < 0
                    ? ''
                    : (merged.right[parent] ? b : a)[(merged.right[parent] || merged.left[parent]) - 1].key;
            assert.equal(up, node.up);
            assert.equal(merged.rowOf(merged.keyOf(row)), row);
        }
    }
});

test('a closed branch hides what is below it, and only differences and what is above them are left', () => {
    for (const { a, b, merged, roll } of cases()) {
        const closed = new Set<number>();
        for (let row = 0; row < merged.size; row++) if (roll(4) === 0) closed.add(merged.keyOf(row));
        for (const only of [false, true]) {
            const expected = slowRows(
                slowly(a, b),
                (branch) => !closed.has(branch.right || -branch.left),
                (branch) => !only || branch.differs || branch.below > 0,
            );
            assert.deepEqual(pairs(merged, shownRows(merged, closed, only)), expected);
        }
    }
});

test('a place of difference is where something begins to differ', () => {
    for (const { a, b, merged } of cases()) {
        const places: [number, number][] = [];
        const look = (branch: Branch, above: string): void => {
            const begins = branch.only ? branch.only !== above : branch.letters === 'i' || !branch.below;
            if (branch.differs && begins) places.push([branch.left, branch.right]);
            branch.children.forEach((child) => look(child, branch.only));
        };
        slowly(a, b).forEach((branch) => look(branch, ''));
        const found: number[] = [];
        for (let row = nextPlace(merged, -1, 1); row >= 0; row = nextPlace(merged, row, 1)) found.push(row);
        assert.deepEqual(pairs(merged, found), places);
        const back: number[] = [];
        for (let row = nextPlace(merged, merged.size, -1); row >= 0; row = nextPlace(merged, row, -1))
            back.push(row);
        assert.deepEqual(back, found.toReversed());
        assert.equal(summaryOf(merged).places, places.length);
        assert.equal(merged.first >= 0, places.length > 0);
    }
});

test('the summary counts each row once and sums come to what the rows differ by', () => {
    for (const { a, b, merged } of cases()) {
        const { same, taken, changed: differ, onlyA, onlyB } = summaryOf(merged);
        assert.equal(same + taken + differ + onlyA + onlyB, merged.size);
        assert.equal(same + taken + differ + onlyA, a.length);
        assert.equal(same + taken + differ + onlyB, b.length);
        const sides = [columnsOf(a), columnsOf(b)];
        const left = { columns: sides[0], sums: sumsOf(merged, sides[0], 'left') };
        const right = { columns: sides[1], sums: sumsOf(merged, sides[1], 'right') };
        const root = figuresOf(merged, 0, left, right);
        const total = (run: Node[]): number => run.reduce((sum, node) => sum + node.tokens, 0);
        assert.equal(root.tokens.a, total(a));
        assert.equal(root.tokens.delta, total(b) - total(a));
        const isUnknown = a.some((node) => node.tokens === 13);
        assert.equal(root.cost.a, isUnknown ? NaN : total(a));
        assert.ok(merged.size < 2 || root.seconds.a === a.length);
    }
});

test('at first the differences are open and what is the same is closed', () => {
    for (const { merged } of cases()) {
        const closed = closedAtFirst(merged);
        const shown = new Set(shownRows(merged, closed, false));
        for (let row = 0; row < merged.size; row++) {
            if (merged.isPlace[row]) assert.ok(shown.has(row));
            if (closed.has(merged.keyOf(row)))
                assert.ok(merged.mark[row] > Mark.changed || !merged.below[row]);
        }
        assert.ok(shownRows(merged, allClosed(merged), false).length <= 1);
    }
});

test('a run compared with itself has no difference', () => {
    const run = randomRun(dice(7), 50);
    const merged = merge(paired(run, run), columnsOf(run), columnsOf(run));
    assert.deepEqual(summaryOf(merged), { same: 50, taken: 0, changed: 0, onlyA: 0, onlyB: 0, places: 0 });
    assert.equal(merged.first, -1);
    assert.equal(shownRows(merged, new Set(), true).length, 0);
});

test('steps that were taken over with the branch they are in count as taken over, not as missing', () => {
    const run = columnsOf(randomRun(dice(3), 3));
    const merged = merge({ left: [1, 2, 3], right: [1, 2, 0], changed: ['o', 'r', 'r'] }, run, run);
    assert.deepEqual(Array.from(merged.mark), [Mark.changed, Mark.taken, Mark.taken]);
});

test('a step of an earlier attempt hangs below the step of the later one', () => {
    const columns = new Columns();
    const page = {
        run: 'r',
        after: 0,
        to: 8,
        last: 8,
        status: 'succeeded',
        at: 5,
        types: 'BSSEBSEZ',
        dt: [0, 1, 1, 1, 1, 1, 1, 1],
        step: [2, 1],
        start: { step: [1, 1, 1], parent: [0, 1, 0], name: [0, 1, 0] },
        names: [
            ['root', 'flow'],
            ['leaf', 'model'],
        ],
        tokens: { step: [], input: [], output: [], cost: [] },
        model: { names: [], step: [], name: [] },
        taken: [],
        effect: [],
        attempts: {},
        errors: {},
        links: {},
    } as unknown as Page;
    columns.apply(page);
    // The root began twice (1 and 3); the leaf was done in the first attempt and holds.
    const merged = merge({ left: [3, 2], right: [3, 2], changed: ['', ''] }, columns, columns);
    assert.deepEqual(Array.from(merged.parent), [-1, 0]);
});

test('50,000 steps are merged in one pass', () => {
    const run = randomRun(dice(11), 50_000);
    const columns = columnsOf(run);
    const numbers = run.map((_, i) => i + 1);
    const merged = merge({ left: numbers, right: numbers, changed: run.map(() => '') }, columns, columns);
    assert.equal(merged.end[0], 50_000);
    assert.equal(shownRows(merged, new Set(), false).length, 50_000);
});

test('a difference is written with its sign', () => {
    assert.equal(signed(3, String), '+3');
    assert.equal(signed(-3, String), '−3');
    assert.equal(signed(0, String), '±0');
    assert.equal(signed(NaN, String), '–');
    assert.equal(differenceWords('ios'), 'input, output and status');
    assert.equal(differenceWords('mr'), 'model');
});

test('what a fork changed is told only of the run it was forked off', () => {
    const run = {
        parent: 'a',
        settings: { fork: { run: 'a', step: 7, change: { input: { n: 2 }, prompt: 'again' } } },
    } as unknown as Run;
    assert.deepEqual(forkOf(run, 'a'), {
        step: 7,
        changes: [
            ['input n', '2'],
            ['prompt', 'again'],
        ],
    });
    assert.equal(forkOf(run, 'b'), null);
});
