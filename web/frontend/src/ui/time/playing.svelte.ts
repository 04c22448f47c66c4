// Playing: the playhead moves by the clock, so many times as fast, and jumps over idle gaps.

import { untrack } from 'svelte';
import type { RunView } from '../../state/run.svelte.ts';

/** Without motion the playhead moves in steps, this far apart. */
const CALM_MS = 500;

/** Move the playhead as long as `isPlaying`; at the end of what is known it stops. */
export function playWhileAsked(current: () => RunView): void {
    $effect(() => {
        const view = current();
        if (view.isPlaying) return untrack(() => play(view));
    });
}

function play(view: RunView): () => void {
    const { columns, moments } = view;
    if (view.isAtEnd) view.moveTo(1);
    const pause = matchMedia('(prefers-reduced-motion: reduce)').matches ? CALM_MS : 0;
    let before = performance.now();
    let at = view.now;
    let frame = 0;
    const go = (time: number): void => {
        frame = requestAnimationFrame(go);
        if (time - before < pause) return;
        // Something else has moved the playhead: go on from there.
        if (view.playedTo === null) at = view.now;
        at = view.time.folding.after(at + (Math.max(0, time - before) / 1000) * view.speed);
        before = time;
        if (at >= columns.lastAt) {
            view.isPlaying = false;
            view.moveTo(null);
        } else {
            view.playTo(at, moments.eventAt(at));
        }
    };
    frame = requestAnimationFrame(go);
    return () => {
        cancelAnimationFrame(frame);
        view.writeAddress();
    };
}
