// The contents of one run's steps, as they were fetched.
//
// Owns which of them are kept and when they are asked for anew: those of a step that has ended never
// change, those of a step at work with every change of the run.

import type { Columns } from '../core/columns.ts';
import type { Step } from '../core/types.ts';
import type { Source } from '../source/source.ts';

const KEPT_STEPS = 400;
const AT_ONCE = 100;

/** The run that the steps belong to. */
interface Owner {
    readonly source: Source;
    readonly id: string;
    readonly columns: Columns;
    readonly revision: number;
}

interface Kept {
    asked: Promise<Step>;
    revision: number;
}

export class Contents {
    private readonly kept = new Map<number, Kept>();

    constructor(private readonly run: Owner) {}

    /** Return a step; the same promise as long as it cannot have changed. */
    step(number: number): Promise<Step> {
        const { source, id } = this.run;
        return this.known(number) ?? this.keep(number, source.steps(id, [number]).then(first));
    }

    /** Return several steps with few requests, in the order asked for. */
    async steps(numbers: readonly number[]): Promise<Step[]> {
        const { source, id } = this.run;
        const found = new Map(numbers.map((number) => [number, this.known(number)]));
        const missing = [...found.keys()].filter((number) => !found.get(number));
        for (let i = 0; i < missing.length; i += AT_ONCE) {
            const some = missing.slice(i, i + AT_ONCE);
            const asked = source.steps(id, some);
            for (const number of some) {
                const one = asked.then((steps) => steps.find((step) => step.number === number) as Step);
                found.set(number, this.keep(number, one));
            }
        }
        return Promise.all(numbers.map((number) => found.get(number) as Promise<Step>));
    }

    private known(number: number): Promise<Step> | undefined {
        const kept = this.kept.get(number);
        return kept?.revision === this.revisionOf(number) ? kept.asked : undefined;
    }

    /** Whose end is known does not change any more. */
    private revisionOf(number: number): number {
        return this.run.columns.endEvent[number] ? -1 : this.run.revision;
    }

    private keep(number: number, asked: Promise<Step>): Promise<Step> {
        const kept = { asked, revision: this.revisionOf(number) };
        this.kept.delete(number);
        this.kept.set(number, kept);
        asked.catch(() => this.kept.get(number) === kept && this.kept.delete(number));
        for (const oldest of this.kept.keys()) {
            if (this.kept.size <= KEPT_STEPS) break;
            this.kept.delete(oldest);
        }
        return asked;
    }
}

const first = ([step]: Step[]): Step => step;
