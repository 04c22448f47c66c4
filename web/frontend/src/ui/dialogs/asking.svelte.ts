// The open questions of a run: noticed as they come, answered, and the run sent on.

import type { Question } from '../../core/types.ts';
import { said, type RunView } from '../../state/run.svelte.ts';

const ASK = 'ask';

export interface Answered {
    step: number;
    text: string;
    answer: string;
    command: string;
}

export class Asking {
    readonly view: RunView;
    answered = $state.raw<readonly Answered[]>([]);
    /** The command with which the run was sent on. */
    resumed = $state('');
    isBusy = $state(false);
    problem = $state('');
    private seen = 0;
    private open: number[] = [];
    private fetchedFor = '';

    readonly questions = $derived.by((): readonly Question[] => {
        const done = new Set(this.answered.map((one) => one.step));
        return (this.view.run?.questions ?? []).filter((question) => !done.has(question.step));
    });
    /** Whether everything is answered and nobody goes on with the run. */
    readonly isReady = $derived.by(() => {
        void this.view.revision;
        return this.view.isLoaded && this.view.columns.status === 'paused' && !this.questions.length;
    });

    constructor(view: RunView) {
        this.view = view;
    }

    /** Look whether the events speak of other questions than are shown; if so, fetch what is asked. */
    async notice(): Promise<void> {
        const { columns, run } = this.view;
        while (this.seen < columns.size) {
            this.seen += 1;
            if (columns.kindOf(this.seen) === ASK) this.open.push(this.seen);
        }
        this.open = this.open.filter((step) => Number.isNaN(columns.endAt[step]));
        const open = this.open.join();
        const shown = (run?.questions ?? []).map((question) => question.step).join();
        if (!run || !this.view.source.actions || open === shown || open === this.fetchedFor) return;
        this.fetchedFor = open;
        try {
            this.view.run = await this.view.source.run(this.view.id);
        } catch (error) {
            this.problem = said(error);
        }
    }

    answer = (question: Question, answer: string): Promise<void> =>
        this.busy(async () => {
            const reply = await this.view.source.actions?.answer(this.view.id, question.step, answer);
            const { step, text } = question;
            this.answered = [...this.answered, { step, text, answer, command: reply?.command ?? '' }];
            await this.view.refresh();
        });

    resume = (): Promise<void> =>
        this.busy(async () => {
            this.resumed = (await this.view.source.actions?.resume(this.view.id))?.command ?? '';
            await this.view.refresh();
        });

    private async busy(work: () => Promise<void>): Promise<void> {
        if (this.isBusy) return;
        this.isBusy = true;
        this.problem = '';
        try {
            await work();
        } catch (error) {
            this.problem = said(error);
        } finally {
            this.isBusy = false;
        }
    }
}
