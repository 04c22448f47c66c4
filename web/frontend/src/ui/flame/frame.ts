// What of the run the flame shows, and what the keys change about it.

import { beside, type Way } from '../../core/flame.ts';
import type { Lanes } from '../../core/lanes.ts';
import { panned, zoomed } from '../../core/scale.ts';
import type { RunView } from '../../state/run.svelte.ts';

export type Stretch = readonly [number, number];

/** The part of the run that the flame shows, and how to show another one. */
export interface Frame {
    placed: Lanes;
    /** Only this step and what is below it; 0 for all. */
    top: number;
    /** The first lane, and how many there are. */
    first: number;
    total: number;
    /** Whether all lanes are to be on the screen at once. */
    isFitted: boolean;
    window: Stretch;
    /** What can be shown at most. */
    whole: Stretch;
    show: (window: [number, number]) => void;
    zoomTo: (step: number) => void;
}

const ZOOM = 0.7;
const PAN = 0.15;
const WAYS: Record<string, Way> = {
    ArrowUp: 'parent',
    ArrowDown: 'child',
    ArrowLeft: 'previous',
    ArrowRight: 'next',
};

/** Do what a key asks for; return whether it asks for anything here. */
export function pressed(event: KeyboardEvent, view: RunView, frame: Frame): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const { window, whole, show, zoomTo } = frame;
    const way = WAYS[event.key];
    if (way) {
        const next = beside(view.columns, view.selected, way);
        if (next && !(view.hideFuture && !view.moments.has(next, view.moment))) view.select(next);
        return true;
    }
    const middle = (window[0] + window[1]) / 2;
    switch (event.key) {
        case 'Enter':
            if (view.selected) zoomTo(view.selected);
            return true;
        case 'Home':
            view.select(frame.top || view.columns.roots[0]);
            return true;
        case '+':
        case 'w':
            show(zoomed(window, ZOOM, middle, whole));
            return true;
        case '-':
        case 's':
            show(zoomed(window, 1 / ZOOM, middle, whole));
            return true;
        case 'a':
        case 'd':
            show(panned(window, event.key === 'a' ? -PAN : PAN, whole));
            return true;
    }
    return false;
}
