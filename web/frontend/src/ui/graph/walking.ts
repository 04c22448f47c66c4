// Where an arrow key leads in the graph.

import type { GraphNode } from '../../core/graph.ts';
import type { Placement } from '../../core/placing.ts';

/** Return the index of the node that a key leads to from another one; -1 for none. */
export function walked(nodes: readonly GraphNode[], placement: Placement, from: number, key: string): number {
    const isRight = placement.direction === 'right';
    switch (key) {
        case isRight ? 'ArrowRight' : 'ArrowDown':
            return nodes[from].below[0] ?? -1;
        case isRight ? 'ArrowLeft' : 'ArrowUp':
            return nodes[from].up;
        case isRight ? 'ArrowDown' : 'ArrowRight':
            return besides(nodes, from, 1);
        case isRight ? 'ArrowUp' : 'ArrowLeft':
            return besides(nodes, from, -1);
        case 'Home':
            return 0;
        case 'End':
            return nodes.length - 1;
        default:
            return -1;
    }
}

function besides(nodes: readonly GraphNode[], from: number, by: 1 | -1): number {
    const siblings = nodes[nodes[from].up]?.below ?? [from];
    return siblings[siblings.indexOf(from) + by] ?? -1;
}
