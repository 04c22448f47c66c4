// A fork in the making: what is changed at a step, what that would cause, the run that was started.
//
// Owns the order of things: nothing is started before its plan has been seen.

import {
    changeOf,
    draftOf,
    editedNames,
    forkCommand,
    problemOf,
    tabsOf,
    type Draft,
    type Tab,
} from '../../core/editing.ts';
import type { Content, ForkPlan, Part, Step } from '../../core/types.ts';
import { said, type RunView } from '../../state/run.svelte.ts';

/** Change something; put a result in the place of a branch; do a branch again. */
export type Way = 'fork' | 'prune' | 'regrow';

export class Forking {
    readonly view: RunView;
    readonly way: Way;
    readonly number: number;
    /** The step with its whole contents; null until they are there. */
    step = $state.raw<Step | null>(null);
    before = $state.raw<Draft | null>(null);
    draft = $state<Draft>({ inputs: {}, prompt: '', model: '', output: 'null' });
    tab = $state<Tab>('output');
    plan = $state.raw<ForkPlan | null>(null);
    started = $state.raw<{ run: string; command: string } | null>(null);
    isBusy = $state(false);
    problem = $state('');
    /** The change that the plan is for. */
    private planned = $state('');

    readonly change = $derived.by(() => {
        if (this.way === 'regrow' || !this.before) return {};
        return changeOf(this.tab, this.draft, this.before);
    });
    readonly edited = $derived.by(() => {
        if (this.way === 'regrow' || !this.before) return [];
        return editedNames(this.tab, this.draft, this.before);
    });
    readonly mistake = $derived.by(() => {
        if (this.way === 'regrow' || !this.before) return '';
        return problemOf(this.tab, this.draft, this.before);
    });
    readonly command = $derived.by(() => forkCommand(this.view.id, this.number, this.change));
    /** Whether the plan that is shown is for what is typed now. */
    readonly isPlanned = $derived(this.plan !== null && this.planned === JSON.stringify(this.change));

    constructor(view: RunView, way: Way) {
        this.view = view;
        this.way = way;
        this.number = view.selected;
    }

    /** Fetch what was recorded. */
    async open(): Promise<void> {
        try {
            const step = await this.view.step(this.number);
            const input = await this.whole(step.input, 'input');
            const output = step.output && (await this.whole(step.output, 'output'));
            this.step = { ...step, input, output };
            this.before = draftOf(this.step);
            this.draft = draftOf(this.step);
            this.tab = this.way === 'prune' ? 'output' : tabsOf(step.kind)[0];
        } catch (error) {
            this.problem = said(error);
        }
    }

    /** Ask what the change would cause. */
    dryRun = (): Promise<void> =>
        this.busy(async (actions) => {
            const planned = JSON.stringify(this.change);
            this.plan = await actions.planFork(this.view.id, this.number, this.change);
            this.planned = planned;
        });

    /** Start the run that has been planned. */
    start = (): Promise<void> =>
        this.busy(async (actions) => {
            this.started = await actions.fork(this.view.id, this.number, this.change);
        });

    private async busy(
        work: (actions: NonNullable<RunView['source']['actions']>) => Promise<void>,
    ): Promise<void> {
        const { actions } = this.view.source;
        if (!actions || this.isBusy) return;
        this.isBusy = true;
        this.problem = '';
        try {
            await work(actions);
        } catch (error) {
            this.problem = said(error);
        } finally {
            this.isBusy = false;
        }
    }

    private async whole(content: Content, part: Part): Promise<Content> {
        if (!content.cut) return content;
        return {
            ...content,
            text: await this.view.source.content(this.view.id, this.number, part, 0),
            cut: false,
        };
    }
}
