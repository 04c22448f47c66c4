// The steps below one step as a graph that a person can take in.
//
// Owns what is drawn: siblings of one name become one node, what does not fit is counted and not drawn.
// Knows nothing of places; see `placing.ts`.

import type { Columns } from './columns.ts';

/** No more nodes than this are drawn. */
export const MOST_NODES = 300;
/** More siblings of one name than this are one node, until it is opened. */
export const GROUP_ABOVE = 3;
/** The same for siblings that feed each other: their order is what the graph is looked at for. */
export const GROUP_LINKED_ABOVE = 24;

export interface GraphNode {
    /** A step; several of one name; those for which there was no room; or the run above its first steps. */
    form: 'step' | 'group' | 'rest' | 'run';
    /** The steps it stands for, in order; none for the run. */
    steps: number[];
    /** Index of the node above; -1 for the first. */
    up: number;
    below: number[];
    /** Siblings whose results went into it or into what is below it. */
    after: number[];
    /** Steps below it that are not drawn. */
    hidden: number;
    /** First step of the opened group that it belongs to; 0 for none. */
    group: number;
}

export interface DataEdge {
    from: number;
    to: number;
    /** How many links between steps it stands for. */
    count: number;
}

export interface Graph {
    /** A node comes after the one above it. */
    nodes: GraphNode[];
    edges: DataEdge[];
    /** Steps that were to be shown, and those of them that no node stands for. */
    total: number;
    hidden: number;
}

export interface Shown {
    /** The step at the top; 0 for the run. */
    root: number;
    /** First steps of the groups that are open. */
    opened: ReadonlySet<number>;
    isThere: (step: number) => boolean;
    /** At most this many nodes. */
    most?: number;
}

/** Return the graph of what is below a step. */
export function graph(columns: Columns, shown: Shown): Graph {
    const sizes = sizesOf(columns, shown.isThere);
    const links = siblingLinks(columns, shown.root);
    const most = shown.most ?? MOST_NODES;
    const root = node(shown.root ? 'step' : 'run', shown.root ? [shown.root] : [], -1, 0);
    const nodes = [root];
    for (let i = 0; i < nodes.length; i++) {
        const one = nodes[i];
        const below =
            one.form === 'run'
                ? columns.roots
                : one.form === 'step'
                  ? [...columns.children(one.steps[0])]
                  : null;
        if (!below) {
            one.hidden = sum(one.steps, (step) => sizes[step] - (one.form === 'group' ? 1 : 0));
            continue;
        }
        const there = below.filter(shown.isThere);
        const room = most - nodes.length;
        const [children, left] = fitted(grouped(columns, there, shown.opened, links), room, most);
        one.hidden = sum(left, (step) => sizes[step]);
        for (const child of children) {
            child.up = i;
            one.below.push(nodes.push(child) - 1);
        }
    }
    const nodeOf = new Map<number, number>();
    nodes.forEach((one, i) => one.form !== 'rest' && one.steps.forEach((step) => nodeOf.set(step, i)));
    order(nodes, nodeOf, links);
    const total = shown.root ? sizes[shown.root] : sum(columns.roots, (step) => sizes[step]);
    const hidden = sum(nodes, (one) => one.hidden);
    return { nodes, edges: edgesOf(columns, nodeOf, shown.root), total, hidden };
}

/** Return how many steps there are at and below each step. */
export function sizesOf(columns: Columns, isThere: (step: number) => boolean): Int32Array {
    const sizes = new Int32Array(columns.size + 1);
    for (let step = columns.size; step > 0; step--) {
        if (isThere(step)) sizes[step] += 1;
        sizes[columns.parent[step]] += sizes[step];
    }
    return sizes;
}

/** Return the index of the node that stands for a step or holds it; -1 where it is not in the graph. */
export function nodeHolding(columns: Columns, nodes: readonly GraphNode[], step: number): number {
    const nodeOf = new Map<number, number>();
    nodes.forEach((one, i) => one.steps.forEach((step) => nodeOf.set(step, i)));
    return climbed(columns, nodeOf, step);
}

const node = (form: GraphNode['form'], steps: number[], up: number, group: number): GraphNode => ({
    form,
    steps,
    up,
    below: [],
    after: [],
    hidden: 0,
    group,
});

/** Return those that fit into `room` and the steps of which nothing is shown. */
function fitted(children: GraphNode[], room: number, most: number): [GraphNode[], number[]] {
    if (children.length <= room) return [children, []];
    // A handful of many children says little: they are shown where they are most of what is there.
    if (room < most / 10) return [[], children.flatMap((child) => child.steps)];
    const left = children.slice(room - 1).flatMap((child) => child.steps);
    return [[...children.slice(0, room - 1), node('rest', left, -1, 0)], []];
}

function grouped(
    columns: Columns,
    children: number[],
    opened: ReadonlySet<number>,
    links: Map<number, Set<number>>,
): GraphNode[] {
    const alike = new Map<number, number[]>();
    for (const child of children) {
        const key = columns.name[child] * 8 + columns.kind[child];
        const group = alike.get(key);
        if (group) group.push(child);
        else alike.set(key, [child]);
    }
    return [...alike.values()]
        .flatMap((steps) => {
            if (steps.length <= limit(steps, links)) return steps.map((step) => node('step', [step], -1, 0));
            const [first] = steps;
            if (opened.has(first)) return steps.map((step) => node('step', [step], -1, first));
            return [node('group', steps, -1, 0)];
        })
        .sort((a, b) => a.steps[0] - b.steps[0]);
}

function limit(steps: number[], links: Map<number, Set<number>>): number {
    if (steps.length > GROUP_LINKED_ABOVE) return GROUP_ABOVE;
    const own = new Set(steps);
    const isLinked = steps.some((step) => [...(links.get(step) ?? [])].some((other) => own.has(other)));
    return isLinked ? GROUP_LINKED_ABOVE : GROUP_ABOVE;
}

/**
 * Return for each step the earlier siblings that fed it, or fed what is below it from what is below them.
 * A result that goes back to an earlier sibling is left out: there is no order in a circle.
 */
export function siblingLinks(columns: Columns, root: number): Map<number, Set<number>> {
    const { depth, parent } = columns;
    const found = new Map<number, Set<number>>();
    for (const [step, sources] of columns.links) {
        if (root && !columns.isUnder(step, root)) continue;
        for (const source of sources) {
            let to = step;
            let from = source;
            while (depth[to] > depth[from]) to = parent[to];
            while (depth[from] > depth[to]) from = parent[from];
            while (to !== from && parent[to] !== parent[from]) {
                to = parent[to];
                from = parent[from];
            }
            if (from >= to) continue;
            const before = found.get(to);
            if (before) before.add(from);
            else found.set(to, new Set([from]));
        }
    }
    return found;
}

function order(nodes: GraphNode[], nodeOf: Map<number, number>, links: Map<number, Set<number>>): void {
    nodes.forEach((one, i) => {
        if (one.form === 'rest') return;
        const after = new Set<number>();
        for (const step of one.steps) {
            for (const source of links.get(step) ?? []) {
                const from = nodeOf.get(source);
                // A group may feed a step and be fed by it; its first step decides.
                if (from !== undefined && from < i) after.add(from);
            }
        }
        one.after = [...after].sort((a, b) => a - b);
    });
}

function edgesOf(columns: Columns, nodeOf: Map<number, number>, root: number): DataEdge[] {
    const edges = new Map<string, DataEdge>();
    for (const [step, sources] of columns.links) {
        if (root && !columns.isUnder(step, root)) continue;
        const to = climbed(columns, nodeOf, step);
        for (const source of sources) {
            const from = climbed(columns, nodeOf, source);
            if (from < 0 || to < 0 || from === to) continue;
            const known = edges.get(`${from} ${to}`);
            if (known) known.count += 1;
            else edges.set(`${from} ${to}`, { from, to, count: 1 });
        }
    }
    return [...edges.values()];
}

function climbed(columns: Columns, nodeOf: Map<number, number>, step: number): number {
    for (let at = step; at; at = columns.parent[at]) {
        const found = nodeOf.get(at);
        if (found !== undefined) return found;
    }
    return -1;
}

const sum = <T>(all: readonly T[], value: (one: T) => number): number =>
    all.reduce((total, one) => total + value(one), 0);
