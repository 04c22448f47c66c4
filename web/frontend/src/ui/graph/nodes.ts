// What a node of the graph says, in the picture and to a screen reader.

import { Status, type Columns } from '../../core/columns.ts';
import type { GraphNode } from '../../core/graph.ts';
import { isError, type Moments } from '../../core/moment.ts';
import { standing, type Standing } from '../../core/rows.ts';
import { told, toldState } from '../../core/telling.ts';
import { exact, plural } from '../../core/words.ts';

export interface Face {
    title: string;
    /** The second line. */
    state: string;
    /** For the state, so that colour is never alone. */
    mark: string;
    tone: Standing['tone'];
    isFuture: boolean;
    /** Everything at once, for a screen reader and a tooltip. */
    label: string;
}

/** Return how a node looks at event `moment`. */
export function faceOf(columns: Columns, moments: Moments, node: GraphNode, moment: number): Face {
    if (node.form === 'run') {
        return {
            title: 'run',
            state: plural(node.below.length, 'first step'),
            mark: '',
            tone: 'dim',
            isFuture: false,
            label: 'the run',
        };
    }
    return node.form === 'step'
        ? ofStep(columns, moments, node, moment)
        : ofSeveral(columns, moments, node, moment);
}

function ofStep(columns: Columns, moments: Moments, node: GraphNode, moment: number): Face {
    const [step] = node.steps;
    const isFuture = !moments.has(step, moment);
    const { mark, tone } = standing(columns, moments, step, moment);
    const error = isFuture || Number.isNaN(moments.endAt(step, moment)) ? '' : columns.errors.get(step);
    const label = [
        told(columns, moments, step, moment),
        error,
        node.hidden ? `${plural(node.hidden, 'step')} below not drawn` : '',
        node.after.length ? `fed by ${plural(node.after.length, 'sibling')}` : '',
    ];
    return {
        title: columns.nameOf(step),
        // That it succeeded is said by the mark.
        state: toldState(columns, moments, step, moment).replace('succeeded in ', ''),
        mark,
        tone,
        isFuture,
        label: label.filter(Boolean).join('; '),
    };
}

function ofSeveral(columns: Columns, moments: Moments, node: GraphNode, moment: number): Face {
    const started = node.steps.filter((step) => moments.has(step, moment));
    const outcomes = started.map((step) => moments.outcome(step, moment));
    const failed = outcomes.filter(isError).length;
    const running = outcomes.filter((outcome) => outcome === Status.running).length;
    const parts = [
        failed ? `${exact(failed)} failed` : '',
        running ? `${exact(running)} running` : '',
        started.length < node.steps.length ? `${exact(node.steps.length - started.length)} to come` : '',
    ].filter(Boolean);
    const state = parts.join(', ') || (node.form === 'group' ? 'all done' : 'no room to draw them');
    const name = node.form === 'group' ? columns.nameOf(node.steps[0]) : `${exact(node.steps.length)} more`;
    const title = node.form === 'group' ? `${name} x ${exact(node.steps.length)}` : name;
    const { mark, tone } = standing(columns, moments, typical(started, outcomes), moment);
    const isMarked = node.form === 'group' || parts.length > 0;
    const below = node.hidden ? `; ${plural(node.hidden, 'step')} below not drawn` : '';
    return {
        title,
        state,
        mark: isMarked ? mark : '',
        tone,
        isFuture: !started.length,
        label: `${title}: ${state}${below}`,
    };
}

/** Return the step that the mark of several is taken from: one that failed, one that runs, or any. */
function typical(started: number[], outcomes: number[]): number {
    const failed = outcomes.findIndex(isError);
    const running = outcomes.indexOf(Status.running);
    const done = outcomes.indexOf(Status.succeeded);
    return started[[failed, running, done].find((at) => at >= 0) ?? 0] ?? 0;
}
