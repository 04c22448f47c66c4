// The picture of the strip.

import { KINDS } from '../../core/columns.ts';
import type { Palette } from '../../core/paint.ts';
import type { Load } from '../../core/running.ts';
import type { Gap, Scale } from '../../core/scale.ts';

export const STRIP_PX = 46;
const TICK_PX = 6;

export function drawStrip(
    context: CanvasRenderingContext2D,
    colours: Palette,
    ran: Load,
    scale: Scale,
    gaps: readonly Gap[],
): void {
    const bottom = STRIP_PX - TICK_PX - 1;
    // Roots keep a single step visible beside a thousand at once.
    const unit = (bottom - 4) / Math.sqrt(Math.max(1, ran.most));
    for (let x = 0; x < ran.all.length; x++) {
        const all = ran.all[x];
        if (all < 1e-4) continue;
        const height = Math.max(1, Math.sqrt(all) * unit);
        let y = bottom;
        for (let kind = 0; kind < KINDS.length; kind++) {
            const part = (ran.kinds[kind][x] / all) * height;
            if (part <= 0) continue;
            context.fillStyle = colours.kinds[kind];
            context.fillRect(x, y - part, 1, part);
            y -= part;
        }
    }
    context.fillStyle = colours.bad;
    for (let x = 0; x < ran.errors.length; x++) {
        if (ran.errors[x]) context.fillRect(x - 0.5, STRIP_PX - TICK_PX, 2, TICK_PX);
    }
    for (const gap of gaps) drawGap(context, colours, scale.x(gap.from), scale.x(gap.to));
}

/** A folded gap: two slanted lines across the axis. */
function drawGap(context: CanvasRenderingContext2D, colours: Palette, from: number, to: number): void {
    const middle = (from + to) / 2;
    context.fillStyle = colours.paper;
    context.fillRect(from, 0, to - from, STRIP_PX);
    context.strokeStyle = colours.dim;
    context.lineWidth = 1.5;
    context.beginPath();
    for (const x of [middle - 2, middle + 3]) {
        context.moveTo(x - 3, STRIP_PX - 12);
        context.lineTo(x + 3, 12);
    }
    context.stroke();
}
