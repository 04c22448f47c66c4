// The wheel over a picture that zooms.

/** Hear the wheel before the page does: the browser's own listener is passive, and the page would scroll too. */
export function onWheel(turn: (event: WheelEvent) => void): (node: HTMLElement) => () => void {
    return (node) => {
        const take = (event: WheelEvent): void => {
            event.preventDefault();
            turn(event);
        };
        node.addEventListener('wheel', take, { passive: false });
        return () => node.removeEventListener('wheel', take);
    };
}

/** Return the factor by which a turn of the wheel makes a stretch longer. */
export function stretchOf(event: WheelEvent): number {
    return Math.exp(Math.max(-80, Math.min(80, event.deltaY)) / 300);
}
