import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Columns } from '../src/core/columns.ts';
import { graph, MOST_NODES, nodeHolding, siblingLinks, type Graph } from '../src/core/graph.ts';
import { NODE, place, placed, ranks } from '../src/core/placing.ts';
import { forest, pageOf } from './forest.ts';

const runs = [1, 2, 3, 4, 5, 6].map((seed) =>
    forest({ seed, steps: seed * 150, serial: 0.3 + seed / 20, linked: 0.3 }),
);
const closed = { opened: new Set<number>(), isThere: () => true };

/** A plan: steps below one root, each fed by those listed. */
function plan(names: string[], links: Record<number, number[]>): Columns {
    const page = pageOf({ seed: 1, steps: 0 });
    page.names = names.map((name) => [name, 'flow']);
    page.types = `B${'S'.repeat(names.length)}`;
    page.dt = Array.from(page.types, () => 1);
    page.step = [];
    page.start = {
        step: names.map(() => 1),
        parent: names.map((_, i) => i),
        name: names.map((_, i) => i),
    };
    page.links = links;
    page.to = page.last = page.types.length;
    const columns = new Columns();
    columns.apply(page);
    return columns;
}

const isCovered = (drawn: Graph): number =>
    drawn.hidden + drawn.nodes.reduce((sum, node) => sum + (node.form === 'rest' ? 0 : node.steps.length), 0);

test('every step is drawn, in a group, or counted as hidden: exactly once', () => {
    for (const columns of runs) {
        for (const root of [0, 1, columns.firstChild[1]]) {
            const drawn = graph(columns, { ...closed, root });
            assert.equal(isCovered(drawn), drawn.total);
            const plain = [...columns.parent.keys()].filter(
                (step) => step > 0 && step <= columns.size && (!root || columns.isUnder(step, root)),
            );
            assert.equal(drawn.total, plain.length);
            const all = drawn.nodes.flatMap((node) => node.steps);
            assert.equal(new Set(all).size, all.length);
        }
    }
});

test('a group holds siblings of one name and kind, and opens into its members', () => {
    for (const columns of runs) {
        const drawn = graph(columns, { ...closed, root: 1 });
        for (const node of drawn.nodes.filter((one) => one.form === 'group')) {
            const [first] = node.steps;
            for (const step of node.steps) {
                assert.equal(columns.name[step], columns.name[first]);
                assert.equal(columns.parent[step], columns.parent[first]);
            }
            const opened = graph(columns, { ...closed, root: 1, opened: new Set([first]) });
            const members = opened.nodes.filter((one) => one.group === first);
            if (members.length)
                assert.deepEqual(
                    members.map((one) => one.steps[0]),
                    node.steps,
                );
            assert.equal(isCovered(opened), opened.total);
        }
    }
});

test('a run of any width has at most the number of nodes that can be taken in', () => {
    const names = Array.from({ length: 900 }, (_, i) => `step ${i}`);
    const wide = graph(plan(['root', ...names], {}), { ...closed, root: 1 });
    assert.equal(wide.nodes.length, MOST_NODES);
    assert.equal(wide.nodes.at(-1)?.form, 'rest');
    assert.equal(isCovered(wide), 901);
    const large = forest({ seed: 9, steps: 20_000, serial: 0.5, linked: 0.5 });
    const drawn = graph(large, { ...closed, root: 0 });
    assert.ok(drawn.nodes.length <= MOST_NODES);
    assert.equal(isCovered(drawn), drawn.total);
});

test('what is not there yet is neither drawn nor counted', () => {
    const [columns] = runs;
    const drawn = graph(columns, { ...closed, root: 1, isThere: (step) => step <= 40 });
    assert.equal(drawn.total, 40);
    assert.equal(isCovered(drawn), 40);
});

test('nodes do not overlap, in either direction', () => {
    for (const columns of runs) {
        const drawn = graph(columns, { ...closed, root: 0 });
        for (const direction of ['right', 'down'] as const) {
            const { x, y, width, height } = place(drawn, direction);
            for (let a = 0; a < x.length; a++) {
                assert.ok(
                    x[a] >= 0 && y[a] >= 0 && x[a] + NODE.width <= width && y[a] + NODE.height <= height,
                );
                for (let b = a + 1; b < x.length; b++) {
                    const isApart =
                        Math.abs(x[a] - x[b]) >= NODE.width - 1e-6 ||
                        Math.abs(y[a] - y[b]) >= NODE.height - 1e-6;
                    assert.ok(isApart, `nodes ${a} and ${b}`);
                }
            }
        }
    }
});

test('the steps of a plan stand in the layers of what feeds them', () => {
    // 2 feeds 3 and 4, which feed 5; 6 stands alone.
    const columns = plan(['root', 'a', 'b', 'c', 'd', 'e'], { 3: [2], 4: [2], 5: [3, 4] });
    const drawn = graph(columns, { ...closed, root: 1 });
    assert.deepEqual([...ranks(drawn.nodes).rank], [0, 1, 2, 2, 3, 1]);
    assert.deepEqual(
        drawn.edges.map(({ from, to }) => [from, to]),
        [
            [1, 2],
            [1, 3],
            [2, 4],
            [3, 4],
        ],
    );
    const { x } = place(drawn, 'right');
    for (const { from, to } of drawn.edges) assert.ok(x[to] > x[from] + NODE.width);
});

test('a step that is fed by a sibling stands behind all that is below that sibling', () => {
    let checked = 0;
    for (const columns of runs) {
        const drawn = graph(columns, { ...closed, root: 0 });
        const { x } = place(drawn, 'right');
        const isUnder = (node: number, top: number): boolean =>
            node === top || (node >= 0 && isUnder(drawn.nodes[node].up, top));
        drawn.nodes.forEach((node, i) => {
            for (const before of node.after) {
                for (let j = 0; j < drawn.nodes.length; j++) {
                    if (!isUnder(j, before)) continue;
                    assert.ok(x[i] > x[j], `node ${i} and ${j}`);
                    checked += 1;
                }
            }
        });
    }
    assert.ok(checked > 20);
});

test('same-named steps that feed each other are not grouped, those that do not are', () => {
    const names = ['root', 'work', 'work', 'work', 'work', 'work'];
    const chain = graph(plan(names, { 3: [2], 4: [3], 5: [4], 6: [5] }), { ...closed, root: 1 });
    assert.deepEqual(
        chain.nodes.map((node) => node.form),
        Array(6).fill('step'),
    );
    const apart = graph(plan(names, {}), { ...closed, root: 1 });
    assert.deepEqual(
        apart.nodes.map((node) => node.form),
        ['step', 'group'],
    );
});

test('links below siblings are links between them, and never go in a circle', () => {
    for (const columns of runs) {
        const found = siblingLinks(columns, 0);
        for (const [step, sources] of found) {
            for (const source of sources) {
                assert.ok(source < step);
                assert.equal(columns.parent[source], columns.parent[step]);
                const isTrue = [...columns.links].some(
                    ([to, from]) =>
                        columns.isUnder(to, step) && from.some((one) => columns.isUnder(one, source)),
                );
                assert.ok(isTrue);
            }
        }
        const drawn = graph(columns, { ...closed, root: 0 });
        drawn.nodes.forEach((node, i) => assert.ok(node.after.every((before) => before < i)));
    }
});

test('a step that is not drawn is held by the node above it', () => {
    for (const columns of runs) {
        const { nodes } = graph(columns, { ...closed, root: 1 });
        for (let step = 1; step <= columns.size; step++) {
            const holder = nodeHolding(columns, nodes, step);
            assert.equal(holder >= 0, columns.isUnder(step, 1));
            if (holder >= 0) assert.ok(nodes[holder].steps.some((above) => columns.isUnder(step, above)));
        }
    }
});

test('of the two directions the one that shows larger is taken', () => {
    const chain = graph(plan(['a', 'b'], {}), { ...closed, root: 1 });
    assert.equal(placed(chain, 2000, 100).direction, 'right');
    assert.equal(placed(chain, 200, 900).direction, 'down');
});
