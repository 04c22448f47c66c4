// The clock by which running bars grow. It stands still when nothing runs or nobody looks.

import type { RunView } from '../../state/run.svelte.ts';

const TICK_MS = 250;

/** Move `view.wall` on while a run at work is followed at its end in a visible page. */
export function tickWhileRunning(current: () => RunView): void {
    let isVisible = $state(!document.hidden);
    $effect(() => {
        const see = (): void => void (isVisible = !document.hidden);
        document.addEventListener('visibilitychange', see);
        return () => document.removeEventListener('visibilitychange', see);
    });
    $effect(() => {
        const view = current();
        if (!view.isRunning || !view.isLoaded || !view.isFollowing || !view.isAtEnd || !isVisible) {
            return;
        }
        const tick = (): void => void (view.wall = Date.now() / 1000);
        tick();
        const timer = setInterval(tick, TICK_MS);
        return () => {
            clearInterval(timer);
            view.wall = 0;
        };
    });
}
