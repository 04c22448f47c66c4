// Drawing on canvases: colours of the theme, sharp pixels, bars.
//
// Owns how a bar looks. Counts draws, so that a test can show that an idle page draws nothing.

import { KINDS, Status } from './columns.ts';

declare global {
    interface Window {
        /** How often any canvas of the page has been drawn. */
        agentflowDraws?: number;
    }
}

export interface Palette {
    kinds: readonly string[];
    text: string;
    dim: string;
    line: string;
    bad: string;
    accent: string;
    paper: string;
}

/** Return the colours that the style sheet gives at an element, resolved for light or dark. */
export function palette(element: HTMLElement): Palette {
    const probe = element.ownerDocument.createElement('span');
    element.append(probe);
    const colour = (name: string): string => {
        probe.style.color = `var(--${name})`;
        return getComputedStyle(probe).color;
    };
    const found = {
        kinds: KINDS.map((kind) => colour(`kind-${kind}`)),
        text: colour('text'),
        dim: colour('dim'),
        line: colour('line'),
        bad: colour('bad'),
        accent: colour('accent'),
        paper: colour('paper'),
    };
    probe.remove();
    return found;
}

/** Make a canvas ready to be drawn anew in CSS pixels; null when it has no size. */
export function begin(
    canvas: HTMLCanvasElement,
    width: number,
    height: number,
): CanvasRenderingContext2D | null {
    const context = canvas.getContext('2d');
    if (!context || width < 1 || height < 1) return null;
    const ratio = devicePixelRatio || 1;
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== pixels[0]) canvas.width = pixels[0];
    if (canvas.height !== pixels[1]) canvas.height = pixels[1];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    window.agentflowDraws = (window.agentflowDraws ?? 0) + 1;
    return context;
}

export interface Bar {
    left: number;
    right: number;
    top: number;
    height: number;
    colour: string;
    /** Number of `Status`. */
    outcome: number;
    isFuture: boolean;
    isTaken: boolean;
}

/** Draw the bar of one step; it is cut to the canvas's width, and never thinner than a pixel. */
export function bar(context: CanvasRenderingContext2D, colours: Palette, width: number, bar: Bar): void {
    const { top, height } = bar;
    const left = Math.max(-1, Math.min(bar.left, width));
    const right = Math.min(width + 1, Math.max(bar.right, bar.left + 1));
    if (right <= 0 || left >= width) return edge(context, colours, width, bar);
    context.globalAlpha = bar.isFuture ? 0.25 : bar.isTaken ? 0.55 : 1;
    context.fillStyle = bar.colour;
    context.fillRect(left, top, Math.max(1, right - left), height);
    if (bar.outcome === Status.running && !bar.isFuture) open(context, colours, right, top, height);
    if (bar.outcome === Status.failed || bar.outcome === Status.refused)
        cross(context, colours.bad, Math.min(width - 6, right + 6), top + height / 2);
    context.globalAlpha = 1;
}

/** A bar outside of the window leaves an arrow on the side where it is. */
function edge(context: CanvasRenderingContext2D, colours: Palette, width: number, bar: Bar): void {
    const x = bar.right <= 0 ? 1 : width - 1;
    const to = bar.right <= 0 ? 5 : -5;
    const middle = bar.top + bar.height / 2;
    context.globalAlpha = bar.isFuture ? 0.25 : 0.7;
    context.fillStyle = colours.dim;
    context.beginPath();
    context.moveTo(x, middle);
    context.lineTo(x + to, middle - 3);
    context.lineTo(x + to, middle + 3);
    context.fill();
    context.globalAlpha = 1;
}

/** The open end of a step that is under way. */
function open(
    context: CanvasRenderingContext2D,
    colours: Palette,
    right: number,
    top: number,
    height: number,
): void {
    context.fillStyle = colours.paper;
    for (let y = top; y < top + height; y += 4) context.fillRect(right - 2, y, 2, 2);
}

/** The mark of an error, known by its shape. */
export function cross(context: CanvasRenderingContext2D, colour: string, x: number, y: number): void {
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x - 3.5, y - 3.5);
    context.lineTo(x + 3.5, y + 3.5);
    context.moveTo(x + 3.5, y - 3.5);
    context.lineTo(x - 3.5, y + 3.5);
    context.stroke();
}

/** A vertical line over the whole height. */
export function playhead(
    context: CanvasRenderingContext2D,
    colours: Palette,
    x: number,
    height: number,
): void {
    context.fillStyle = colours.accent;
    context.fillRect(Math.round(x) - 0.5, 0, 1.5, height);
}
