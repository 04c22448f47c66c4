// The contents of steps as panels need them: never those of an earlier choice, and whole where it matters.

import { WHOLE_BYTES } from '../../core/contents.ts';
import type { Content, Part, Step } from '../../core/types.ts';
import { said, type RunView } from '../../state/run.svelte.ts';

/** The contents of the selected step, fetched anew when something has happened to it. */
export class SelectedStep {
    step = $state.raw<Step | null>(null);
    problem = $state('');
    private view: RunView;
    private number = 0;
    private seenEvent = 0;
    private asked = 0;

    constructor(view: RunView) {
        this.view = view;
    }

    /** Take note that the selection or the run may have changed. */
    follow(number: number): void {
        const { columns } = this.view;
        const isOther = number !== this.number;
        const hasMore = isOther || this.hasNews(number);
        this.seenEvent = columns.lastEvent;
        if (!hasMore || !columns.startEvent[number]) return;
        if (isOther) this.step = null;
        this.number = number;
        void this.load();
    }

    async load(): Promise<void> {
        const asked = ++this.asked;
        try {
            const step = await wholeOf(this.view, await this.view.step(this.number));
            if (asked !== this.asked) return; // another one is wanted by now
            this.step = step;
            this.problem = '';
        } catch (error) {
            if (asked === this.asked) this.problem = said(error);
        }
    }

    private hasNews(number: number): boolean {
        const { eventStep, lastEvent, endEvent } = this.view.columns;
        if (this.step?.end_event && endEvent[number]) return false;
        for (let event = this.seenEvent + 1; event <= lastEvent; event++) {
            if (eventStep[event] === number) return true;
        }
        return false;
    }
}

const whole = new WeakMap<Step, Promise<Step>>();

/** Return a step with its contents whole where they are read as messages or programs. */
export function wholeOf(view: RunView, step: Step): Promise<Step> {
    if (step.kind === 'flow' || !(isWanted(step.input) || isWanted(step.output)))
        return Promise.resolve(step);
    let known = whole.get(step);
    if (!known) {
        known = complete(view, step);
        known.catch(() => whole.delete(step));
        whole.set(step, known);
    }
    return known;
}

async function complete(view: RunView, step: Step): Promise<Step> {
    const fetched = async <T extends Content | null>(content: T, part: Part): Promise<T> => {
        if (!content || !isWanted(content)) return content;
        const text = await view.source.content(view.id, step.number, part, 0);
        return { ...content, text, cut: false };
    };
    const [input, output] = await Promise.all([fetched(step.input, 'input'), fetched(step.output, 'output')]);
    return { ...step, input, output };
}

function isWanted(content: Content | null): boolean {
    return content !== null && content.cut && content.bytes <= WHOLE_BYTES;
}
