// What can be copied from a run: a link to what is looked at, and a subtree with its contents.

import { said, type RunView } from '../../state/run.svelte.ts';
import { asOf } from '../../core/contents.ts';
import type { Step } from '../../core/types.ts';
import * as words from '../../core/words.ts';

const MOST_STEPS = 1000;
const AT_ONCE = 200;

interface Branch {
    step: number;
    name: string;
    kind: string;
    status: string;
    input: string;
    output?: string;
    error?: string;
    steps?: Branch[];
}

export async function copyLink(view: RunView): Promise<void> {
    await copy(view, view.link(), 'link copied');
}

/** Copy the selected step and what is below it, with inputs and outputs, as JSON; as known at the moment. */
export async function copyTree(view: RunView): Promise<void> {
    const { selected, moment } = view;
    if (!selected) return;
    try {
        const numbers = subtree(view, selected);
        const steps: Step[] = [];
        for (let i = 0; i < numbers.length; i += AT_ONCE) {
            const some = await view.steps(numbers.slice(i, i + AT_ONCE));
            steps.push(...some.map((step) => asOf(step, moment)));
        }
        const cut = numbers.length === MOST_STEPS ? ' (the first of more)' : '';
        await copy(
            view,
            JSON.stringify(grow(steps), null, 2),
            `${words.plural(steps.length, 'step')} copied as JSON${cut}`,
        );
    } catch (error) {
        view.notice = said(error);
    }
}

/** Put text on the clipboard and say so. */
async function copy(view: RunView, text: string, done: string): Promise<void> {
    try {
        await navigator.clipboard.writeText(text);
        view.notice = done;
    } catch {
        view.notice = 'This browser does not let the page write to the clipboard.';
    }
}

function subtree(view: RunView, top: number): number[] {
    const { firstChild, nextSibling, startEvent } = view.columns;
    const numbers = [top];
    for (let i = 0; i < numbers.length && numbers.length < MOST_STEPS; i++) {
        let child = firstChild[numbers[i]];
        for (; child && numbers.length < MOST_STEPS; child = nextSibling[child]) {
            if (startEvent[child] <= view.moment) numbers.push(child);
        }
    }
    return numbers;
}

function grow(steps: readonly Step[]): Branch {
    const branches = new Map<number, Branch>();
    for (const step of steps) {
        const branch: Branch = {
            step: step.number,
            name: step.name,
            kind: step.kind,
            status: step.status,
            input: step.input.text,
        };
        if (step.output) branch.output = step.output.text;
        if (step.error) branch.error = `${step.error.type}: ${step.error.message}`;
        branches.set(step.number, branch);
        const above = branches.get(step.parent ?? 0);
        if (above) (above.steps ??= []).push(branch);
    }
    return branches.get(steps[0].number) as Branch;
}
