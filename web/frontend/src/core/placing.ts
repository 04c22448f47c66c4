// Where the nodes of a graph stand.
//
// Owns the layout, in pixels, for both ways it can run. A node stands one rank behind the one above it;
// one that is fed by siblings stands behind them and all that is below them, so that a plan reads as
// its layers.

import { hierarchy, tree } from 'd3-hierarchy';
import type { Graph, GraphNode } from './graph.ts';

export const NODE = { width: 164, height: 40 } as const;
const BESIDE = 12; // between neighbours of one rank
const BEHIND = 46; // between two ranks, where the edges run

export type Direction = 'right' | 'down';

export interface Placement {
    direction: Direction;
    /** Upper left corner of each node; the least are 0. */
    x: Float64Array;
    y: Float64Array;
    width: number;
    height: number;
}

interface Place {
    /** -1 keeps the rank free between a node and one that stands further behind. */
    node: number;
    below: Place[];
}

/** Return the placement that can be shown larger in a space of this size. */
export function placed(graph: Graph, width: number, height: number): Placement {
    const right = place(graph, 'right');
    const down = place(graph, 'down');
    const scale = (one: Placement): number => Math.min(width / one.width, height / one.height, 1);
    return scale(down) > scale(right) * 1.15 ? down : right;
}

export function place(graph: Graph, direction: Direction): Placement {
    const size = graph.nodes.length;
    const across = new Float64Array(size);
    const along = new Float64Array(size);
    const root = hierarchy(spanned(graph), (one) => one.below);
    const laid = tree<Place>()
        .nodeSize([1, 1])
        .separation((a, b) => (a.parent === b.parent ? 1 : 1.35))(root);
    let least = Infinity;
    laid.each((one) => (least = Math.min(least, one.data.node < 0 ? Infinity : one.x)));
    laid.each((one) => {
        if (one.data.node < 0) return;
        across[one.data.node] = one.x - least;
        along[one.data.node] = one.y;
    });
    const isRight = direction === 'right';
    const x = isRight
        ? along.map((rank) => rank * (NODE.width + BEHIND))
        : across.map((at) => at * (NODE.width + BESIDE));
    const y = isRight
        ? across.map((at) => at * (NODE.height + BESIDE))
        : along.map((rank) => rank * (NODE.height + BEHIND));
    return { direction, x, y, width: highest(x) + NODE.width, height: highest(y) + NODE.height };
}

/** Return the graph as a tree in which a node hangs on the last of the siblings that fed it. */
function spanned(graph: Graph): Place {
    const { nodes } = graph;
    const { rank, length } = ranks(nodes);
    const places: Place[] = nodes.map((_, node) => ({ node, below: [] }));
    nodes.forEach((one, i) => {
        if (one.up < 0) return;
        const last = lastOf(one, rank, length);
        let at = places[last < 0 ? one.up : last];
        for (let free = rank[i] - (last < 0 ? 0 : rank[last]) - 1; free > 0; free--) {
            const between: Place = { node: -1, below: [] };
            at.below.push(between);
            at = between;
        }
        at.below.push(places[i]);
    });
    return places[0];
}

/** Return how many ranks each node stands behind the one above it, and how many it takes itself. */
export function ranks(nodes: readonly GraphNode[]): { rank: Int32Array; length: Int32Array } {
    const rank = new Int32Array(nodes.length);
    const length = new Int32Array(nodes.length).fill(1);
    for (let i = nodes.length - 1; i >= 0; i--) {
        for (const child of nodes[i].below) {
            const last = lastOf(nodes[child], rank, length);
            rank[child] = last < 0 ? 1 : rank[last] + length[last];
            length[i] = Math.max(length[i], rank[child] + length[child]);
        }
    }
    return { rank, length };
}

/** Return the sibling behind which a node must stand; -1 when none fed it. */
function lastOf(one: GraphNode, rank: Int32Array, length: Int32Array): number {
    let last = -1;
    let end = 0;
    for (const before of one.after) {
        if (rank[before] + length[before] <= end) continue;
        last = before;
        end = rank[before] + length[before];
    }
    return last;
}

const highest = (values: Float64Array): number => values.reduce((most, value) => Math.max(most, value), 0);

/** Return the path of the line from a node to one below it. */
export function stem(placement: Placement, from: number, to: number): string {
    const { x, y } = placement;
    if (placement.direction === 'right') {
        return bent(x[from] + NODE.width, y[from] + NODE.height / 2, x[to], y[to] + NODE.height / 2, 'right');
    }
    return bent(x[from] + NODE.width / 2, y[from] + NODE.height, x[to] + NODE.width / 2, y[to], 'down');
}

/** Return the path along which a result went; it leaves and arrives beside the stems. */
export function flowed(placement: Placement, from: number, to: number): string {
    const { x, y, direction } = placement;
    const isRight = direction === 'right';
    const isAhead = isRight ? x[to] > x[from] : y[to] > y[from];
    if (isAhead && isRight)
        return bent(
            x[from] + NODE.width,
            y[from] + NODE.height * 0.75,
            x[to],
            y[to] + NODE.height * 0.75,
            'right',
        );
    if (isAhead)
        return bent(
            x[from] + NODE.width * 0.75,
            y[from] + NODE.height,
            x[to] + NODE.width * 0.75,
            y[to],
            'down',
        );
    // Of the same rank or back: around the outside.
    const startX = x[from] + NODE.width * (isRight ? 1 : 0.75);
    const startY = y[from] + NODE.height * (isRight ? 0.75 : 1);
    const endX = x[to] + NODE.width * (isRight ? 1 : 0.6);
    const endY = y[to] + NODE.height * (isRight ? 0.6 : 1);
    const out = isRight ? [BEHIND * 0.9, 0] : [0, BEHIND * 0.9];
    return `M${startX},${startY}C${startX + out[0]},${startY + out[1]} ${endX + out[0]},${endY + out[1]} ${endX},${endY}`;
}

function bent(x1: number, y1: number, x2: number, y2: number, direction: Direction): string {
    if (direction === 'right') {
        const middle = (x1 + x2) / 2;
        return `M${x1},${y1}C${middle},${y1} ${middle},${y2} ${x2},${y2}`;
    }
    const middle = (y1 + y2) / 2;
    return `M${x1},${y1}C${x1},${middle} ${x2},${middle} ${x2},${y2}`;
}
