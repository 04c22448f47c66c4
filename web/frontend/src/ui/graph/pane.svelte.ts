// Which part of the graph is in sight.
//
// Owns zoom and pan. A drag is told from a click by how far the pointer went.

import { stretchOf } from '../flame/wheel.ts';

const LEAST = 0.05;
const MOST = 3;
const MARGIN = 16;
const STILL = 4; // pixels

export class Pane {
    x = $state(0);
    y = $state(0);
    scale = $state(1);
    private grabbed: { x: number; y: number; left: number; top: number } | null = null;
    private moved = 0;

    /** Whether the pointer has only clicked. */
    get isStill(): boolean {
        return this.moved < STILL;
    }

    /** Show all of it, but not smaller than `least`: then its beginning. */
    fit(
        whole: { width: number; height: number; direction: string; x: Float64Array; y: Float64Array },
        width: number,
        height: number,
        least: number,
    ): void {
        const room = [width - 2 * MARGIN, height - 2 * MARGIN];
        this.scale = Math.max(LEAST, least, Math.min(1, room[0] / whole.width, room[1] / whole.height));
        const spare = [room[0] - whole.width * this.scale, room[1] - whole.height * this.scale];
        this.x = MARGIN + Math.max(0, spare[0]) / 2;
        this.y = MARGIN + Math.max(0, spare[1]) / 2;
        // The first node stands in the middle of what does not fit.
        if (spare[0] < 0 && whole.direction === 'down') this.x = width / 2 - (whole.x[0] + 80) * this.scale;
        if (spare[1] < 0 && whole.direction === 'right') this.y = height / 2 - (whole.y[0] + 20) * this.scale;
    }

    zoom(factor: number, x: number, y: number): void {
        const scale = Math.max(LEAST, Math.min(MOST, this.scale * factor));
        this.x = x - ((x - this.x) * scale) / this.scale;
        this.y = y - ((y - this.y) * scale) / this.scale;
        this.scale = scale;
    }

    /** The wheel zooms around the pointer; sideways or with Shift it moves. */
    turn(event: WheelEvent, x: number, y: number): void {
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
            this.x -= event.deltaX || event.deltaY;
            return;
        }
        this.zoom(1 / stretchOf(event), x, y);
    }

    /** Move just so far that a node is in sight. */
    reveal(
        x: number,
        y: number,
        node: { width: number; height: number },
        width: number,
        height: number,
    ): void {
        const left = this.x + x * this.scale;
        const top = this.y + y * this.scale;
        this.x += nudge(left, left + node.width * this.scale, width);
        this.y += nudge(top, top + node.height * this.scale, height);
    }

    grab(event: PointerEvent): void {
        this.moved = 0;
        if (event.button === 0)
            this.grabbed = { x: event.clientX, y: event.clientY, left: this.x, top: this.y };
    }

    drag(event: PointerEvent): void {
        if (!this.grabbed) return;
        if (!event.buttons) return this.drop();
        const dx = event.clientX - this.grabbed.x;
        const dy = event.clientY - this.grabbed.y;
        this.moved = Math.max(this.moved, Math.abs(dx) + Math.abs(dy));
        if (this.isStill) return;
        this.x = this.grabbed.left + dx;
        this.y = this.grabbed.top + dy;
    }

    drop(): void {
        this.grabbed = null;
    }
}

function nudge(from: number, to: number, size: number): number {
    if (from < MARGIN) return MARGIN - from;
    return to > size - MARGIN ? size - MARGIN - to : 0;
}
