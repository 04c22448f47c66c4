// The entries of a transcript that are in sight, and the contents they need.

import { callsBefore } from '../../core/transcript.ts';
import { Conversations, readAnswered, readAsked, type Shared } from '../../core/messages.ts';
import type { Step } from '../../core/types.ts';
import { said, type RunView } from '../../state/run.svelte.ts';
import { wholeOf } from '../step/loading.svelte.ts';

const AT_ONCE = 30;
const KEPT = 600;

/** Contents of steps by number, fetched in small groups as they come into sight. */
export class Fetched {
    steps = $state.raw<ReadonlyMap<number, Step>>(new Map());
    problem = $state('');
    isBusy = $state(false);
    /** What each call of a model has in common with one before it. */
    readonly shared = new Map<number, Shared>();
    private view: RunView;
    private conversations = new Conversations();
    private before: Int32Array = new Int32Array(0);
    private beforeSize = -1;
    private wanted: number[] = [];
    /** What was known of a step when it was fetched: its end, and the newest event. */
    private seen = new Map<number, { end: number; event: number }>();

    constructor(view: RunView) {
        this.view = view;
    }

    /** Fetch what these steps lack; a later wish takes the place of an earlier one. */
    want(numbers: readonly number[]): void {
        this.wanted = [...new Set(numbers)].filter((number) => this.isMissing(number));
        if (!this.isBusy && this.wanted.length) void this.fetch();
    }

    private async fetch(): Promise<void> {
        this.isBusy = true;
        try {
            while (this.wanted.length) {
                const some = this.wanted.slice(0, AT_ONCE);
                const { endEvent, lastEvent } = this.view.columns;
                for (const number of some) this.seen.set(number, { end: endEvent[number], event: lastEvent });
                const steps = await this.view.steps(this.withCallsBefore(some));
                this.take(await Promise.all(steps.map((step) => wholeOf(this.view, step))));
                this.wanted = this.wanted.filter((number) => !some.includes(number));
            }
            this.problem = '';
        } catch (error) {
            this.wanted = [];
            this.problem = said(error);
        } finally {
            this.isBusy = false;
        }
    }

    private take(steps: readonly Step[]): void {
        const all = new Map(this.steps);
        for (const step of [...steps].sort((one, other) => one.number - other.number)) {
            all.delete(step.number);
            all.set(step.number, step);
            if (step.kind === 'model') this.note(step);
        }
        for (const oldest of all.keys()) {
            if (all.size <= KEPT) break;
            all.delete(oldest);
        }
        this.steps = all;
    }

    private note(step: Step): void {
        const asked = readAsked(step.input.text);
        if (!asked) return;
        const reply = step.output ? readAnswered(step.output.text) : null;
        this.shared.set(
            step.number,
            this.conversations.add(step.number, asked.messages, reply?.message ?? null),
        );
    }

    /** Add the call before each call of a model, so that what they share is known. */
    private withCallsBefore(numbers: readonly number[]): number[] {
        const { columns } = this.view;
        if (this.beforeSize !== columns.size) {
            this.before = callsBefore(columns);
            this.beforeSize = columns.size;
        }
        const before = numbers.map((number) => this.before[number]);
        return [...new Set([...before.filter((number) => number && !this.steps.has(number)), ...numbers])];
    }

    private isMissing(number: number): boolean {
        const { endEvent, eventStep, lastEvent } = this.view.columns;
        const as = this.seen.get(number);
        if (!as || !this.steps.has(number) || as.end !== endEvent[number]) return true;
        if (as.end) return false;
        for (let event = as.event + 1; event <= lastEvent; event++)
            if (eventStep[event] === number) return true;
        return false;
    }
}
