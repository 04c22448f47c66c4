// What the flame looks like on its canvas.

import type { Columns } from '../../core/columns.ts';
import { Look, tickGap, ticks, type Bars } from '../../core/flame.ts';
import { cross, playhead, type Palette } from '../../core/paint.ts';
import type { Scale } from '../../core/scale.ts';
import { clock, seconds } from '../../core/words.ts';

/** Height of a lane, and of one where all of them are to be on one screen, at the least. */
export const LANE = 20;
export const LEAST_LANE = 0.2;
export const RULER = 22;
const LETTER = 6.7; // width of one at this font
const LEAST_LABEL = 34;
const LEAST_LABEL_LANE = 13;
const LEAST_CROSS = 12;

export interface Picture {
    context: CanvasRenderingContext2D;
    colours: Palette;
    columns: Columns;
    scale: Scale;
    height: number;
    /** Height of a lane. */
    lane: number;
    /** Pixels by which the lanes are scrolled; the lane at their top is `top`. */
    scroll: number;
    top: number;
    now: number;
    selected: number;
    hovered: number;
    isFound: (step: number) => boolean;
}

export function draw(picture: Picture, bars: Bars): void {
    const { context } = picture;
    context.font = '11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
    context.textBaseline = 'middle';
    drawTicks(picture);
    context.save();
    context.beginPath();
    context.rect(0, RULER, picture.scale.width, picture.height - RULER);
    context.clip();
    for (let bar = 0; bar < bars.count; bar++) drawBar(picture, bars, bar);
    context.restore();
    playhead(context, picture.colours, picture.scale.x(picture.now), picture.height);
}

function drawBar(picture: Picture, bars: Bars, bar: number): void {
    const { context, colours, columns } = picture;
    const step = bars.step[bar];
    const look = bars.look[bar];
    const left = bars.left[bar];
    const top = RULER + (bars.lane[bar] - picture.top) * picture.lane - picture.scroll;
    const high = heightOf(picture);
    const isWide = bars.right[bar] - left > 3;
    const width = Math.max(1, bars.right[bar] - left - (isWide ? 1 : 0)); // a gap between neighbours
    const isFaint = (look & Look.future) > 0;
    context.globalAlpha =
        (isFaint ? 0.22 : look & Look.taken ? 0.55 : 1) * (picture.isFound(step) ? 1 : 0.25);
    context.fillStyle = colours.kinds[columns.kind[step]];
    context.fillRect(left, top, width, high);
    if (look & Look.open && isWide) drawOpenEnd(picture, left + width, top);
    if (!isFaint && width >= LEAST_LABEL && high >= LEAST_LABEL_LANE)
        drawLabel(picture, step, left, top, width, (look & Look.error) > 0);
    context.globalAlpha = 1;
    if (look & Look.error) drawError(picture, left, top, width);
    if (step === picture.selected || step === picture.hovered) {
        context.strokeStyle = colours.text;
        context.lineWidth = step === picture.selected ? 3 : 1;
        context.strokeRect(left - 1, top - 1, width + 2, high + 2);
    }
}

/** Height of a bar: some room is left between lanes as long as there is any. */
const heightOf = ({ lane }: Picture): number => lane - (lane > 12 ? 3 : lane > 4 ? 1 : Math.min(0, lane - 1));

/** Teeth: nobody knows yet where it ends. */
function drawOpenEnd(picture: Picture, right: number, top: number): void {
    const { context, colours } = picture;
    context.fillStyle = colours.paper;
    for (let y = top; y < top + heightOf(picture); y += 4) context.fillRect(right - 3, y, 3, 2);
}

/** A cross where there is room, else a tooth at the foot: known by its shape. In the thinnest lanes, a dot. */
function drawError(picture: Picture, left: number, top: number, width: number): void {
    const { context, colours } = picture;
    const high = heightOf(picture);
    if (width > 14 && high > LEAST_CROSS) {
        context.fillStyle = colours.paper;
        context.fillRect(left + width - 14, top + 2, 12, high - 4);
        return cross(context, colours.bad, left + width - 8, top + high / 2);
    }
    const middle = left + width / 2;
    context.fillStyle = colours.bad;
    if (high < 5) return context.fillRect(middle - 1, top - 1, 2.5, 2.5);
    context.fillRect(left, top + high - Math.min(3, high / 2), width, Math.min(3, high / 2));
    context.beginPath();
    context.moveTo(middle - 3.5, top + high + 2);
    context.lineTo(middle + 3.5, top + high + 2);
    context.lineTo(middle, top + high - 6);
    context.fill();
}

function drawLabel(
    picture: Picture,
    step: number,
    left: number,
    top: number,
    width: number,
    isFailed: boolean,
): void {
    const { context, colours, columns, scale, now } = picture;
    const from = Math.max(left, 0) + 4;
    const room = Math.min(left + width, scale.width) - from - (isFailed ? 18 : 4);
    const letters = Math.floor(room / LETTER);
    if (letters < 3) return;
    const name = columns.nameOf(step);
    const long = `${name} ${seconds(columns.seconds(step, now))}`;
    const text = long.length <= letters ? long : name;
    context.fillStyle = colours.paper;
    context.fillText(
        text.length <= letters ? text : `${text.slice(0, letters - 1)}…`,
        from,
        top + heightOf(picture) / 2 + 1,
    );
}

function drawTicks({ context, colours, columns, scale, height }: Picture): void {
    const zero = columns.startedAt;
    const gap = tickGap(scale.from, scale.to, scale.width / 110);
    let free = 0;
    let before = '';
    for (const tick of ticks(scale.from, scale.to, zero, gap)) {
        const x = Math.round(scale.x(zero + tick));
        context.fillStyle = colours.line;
        context.fillRect(x, 0, 1, height);
        const text = clock(tick).slice(columns.lastAt - zero < 3600 ? 3 : 0, gap < 1 ? undefined : -4);
        if (x < free || text === before) continue;
        context.fillStyle = colours.dim;
        context.fillText(text, x + 4, RULER / 2);
        free = x + text.length * LETTER + 12;
        before = text;
    }
    context.fillStyle = colours.line;
    context.fillRect(0, RULER - 1, scale.width, 1);
}
