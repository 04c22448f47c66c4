// The picture beside the rows: a bar for each step, all bars of a fold on its one line.

import { Flag } from '../../core/columns.ts';
import { folded } from '../../core/outline.ts';
import { bar, playhead, type Palette } from '../../core/paint.ts';
import { ROW_PX } from '../../core/rows.ts';
import type { Scale } from '../../core/scale.ts';
import type { RunView } from '../../state/run.svelte.ts';

const GAP_PX = 5;
const MOST_IN_FOLD = 500;

export function drawBars(
    context: CanvasRenderingContext2D,
    colours: Palette,
    view: RunView,
    lines: Int32Array,
    scale: Scale,
): void {
    drawGaps(context, colours, view, scale, lines.length * ROW_PX);
    for (let row = 0; row < lines.length; row++) {
        const line = lines[row];
        if (line > 0) drawStep(context, colours, view, line, row, scale);
        else drawFold(context, colours, view, line, row, scale);
    }
    const x = scale.x(view.now);
    if (x >= 0 && x <= scale.width) playhead(context, colours, x, lines.length * ROW_PX);
}

function drawStep(
    context: CanvasRenderingContext2D,
    colours: Palette,
    view: RunView,
    step: number,
    row: number,
    scale: Scale,
): void {
    const { columns, moments, moment, now } = view;
    const isFuture = !moments.has(step, moment);
    const known = isFuture ? columns.endAt[step] : moments.endAt(step, moment);
    const end = Number.isNaN(known) ? Math.max(now, columns.startAt[step]) : known;
    bar(context, colours, scale.width, {
        left: scale.x(columns.startAt[step]),
        right: scale.x(end),
        top: row * ROW_PX + GAP_PX,
        height: ROW_PX - 2 * GAP_PX,
        colour: colours.kinds[columns.kind[step]],
        outcome: isFuture ? 1 : moments.outcome(step, moment),
        isFuture,
        isTaken: (columns.flags[step] & Flag.taken) > 0,
    });
}

function drawFold(
    context: CanvasRenderingContext2D,
    colours: Palette,
    view: RunView,
    line: number,
    row: number,
    scale: Scale,
): void {
    const steps = folded(view.columns, line);
    const every = Math.max(1, Math.ceil(steps.length / MOST_IN_FOLD));
    for (let i = 0; i < steps.length; i += every) drawStep(context, colours, view, steps[i], row, scale);
}

/** Folded gaps as pale stripes behind the bars. */
function drawGaps(
    context: CanvasRenderingContext2D,
    colours: Palette,
    view: RunView,
    scale: Scale,
    height: number,
): void {
    context.fillStyle = colours.line;
    context.globalAlpha = 0.5;
    for (const gap of view.time.folding.gaps) {
        if (gap.to < scale.from || gap.from > scale.to) continue;
        const from = scale.x(gap.from);
        context.fillRect(from, 0, Math.max(1, scale.x(gap.to) - from), height);
    }
    context.globalAlpha = 1;
}
