// The source inside an exported file: one run in chunks of compressed JSON, read without a network.

import {
    chunkOf,
    contentName,
    cutOf,
    emptyPage,
    hasAll,
    textsOf,
    unpacked,
    wordsOf,
    type About,
} from '../core/unpack.ts';
import type { Annotation, Comparison, Head, Page, Part, Run, Step } from '../core/types.ts';
import { SourceError, type Source } from './source.ts';

const KEPT_CHUNKS = 8;
const MOST_FOUND = 5000;
const KNOWN_VERSION = 1;

/** Return the source that the document holds, or null when it is a page of the server. */
export function embeddedSource(document: Document): Source | null {
    const chunks = new Map<string, string>();
    let run = '';
    for (const element of document.querySelectorAll<HTMLElement>('script[data-chunk]')) {
        chunks.set(element.dataset['chunk'] ?? '', element.textContent);
        run ||= element.dataset['run'] ?? '';
    }
    return chunks.size ? new EmbeddedSource(run, chunks) : null;
}

export class EmbeddedSource implements Source {
    readonly actions = null;
    readonly only: string;
    private chunks: ReadonlyMap<string, string>;
    private about: Promise<About> | undefined;
    /** Unpacked chunks of steps, the one used last at the end. */
    private unpacked = new Map<number, Promise<Step[]>>();

    constructor(run: string, chunks: ReadonlyMap<string, string>) {
        this.only = run;
        this.chunks = chunks;
    }

    async runs(): Promise<{ runs: Head[]; next: string | null }> {
        return { runs: [(await this.read()).run], next: null };
    }

    async run(id: string): Promise<Run> {
        return (await this.of(id)).run;
    }

    async changes(id: string, after: number): Promise<Page> {
        const { run, pages } = await this.of(id);
        return pages.includes(after) ? this.json<Page>(`events:${after}`) : emptyPage(run);
    }

    async steps(id: string, numbers: readonly number[]): Promise<Step[]> {
        const { chunk } = await this.of(id);
        const found: Step[] = [];
        for (const number of numbers) {
            const steps = await this.stepsOf(chunkOf(number, chunk));
            const step = steps.find((one) => one.number === number);
            if (step) found.push(step);
        }
        return found;
    }

    async content(id: string, number: number, part: Part, index: number): Promise<string> {
        const [step] = await this.steps(id, [number]);
        if (!step) throw new SourceError(`This file has no step ${number}.`);
        if (part === 'trace') return step.error?.trace ?? '';
        const content = part === 'expansion' ? step.expansions[index]?.content : step[part];
        if (!content) throw new SourceError(`Step ${number} has no ${part}.`);
        return content.cut ? this.text(contentName(number, part, index)) : content.text;
    }

    async search(id: string, q: string): Promise<{ steps: number[]; more: boolean }> {
        await this.of(id);
        const words = wordsOf(q);
        const found: number[] = [];
        for (let i = 0; this.chunks.has(`steps:${i}`) && words.length; i++) {
            // Not through `stepsOf`: what is looked through once would push out what is looked at.
            for (const step of await this.json<Step[]>(`steps:${i}`)) {
                if (await this.holds(step, words)) found.push(step.number);
            }
            if (found.length > MOST_FOUND) return { steps: found.slice(0, MOST_FOUND), more: true };
        }
        return { steps: found, more: false };
    }

    async annotations(id: string): Promise<Annotation[]> {
        await this.of(id);
        return this.json<Annotation[]>('annotations');
    }

    async compare(): Promise<Comparison> {
        throw new SourceError('This file holds one run; runs are compared by `agentflow view`.');
    }

    async live(): Promise<void> {
        throw new SourceError('This file does not change: nothing is streamed into it.');
    }

    private async holds(step: Step, words: readonly string[]): Promise<boolean> {
        const texts = textsOf(step);
        if (hasAll(words, texts)) return true;
        const cut = cutOf(step);
        for (const name of cut) texts.push(await this.text(name));
        return cut.length > 0 && hasAll(words, texts);
    }

    private stepsOf(chunk: number): Promise<Step[]> {
        const name = `steps:${chunk}`;
        const known = this.unpacked.get(chunk);
        const steps = known ?? (this.chunks.has(name) ? this.json<Step[]>(name) : Promise.resolve([]));
        this.unpacked.delete(chunk);
        this.unpacked.set(chunk, steps);
        for (const oldest of this.unpacked.keys()) {
            if (this.unpacked.size <= KEPT_CHUNKS) break;
            this.unpacked.delete(oldest);
        }
        return steps;
    }

    private async of(id: string): Promise<About> {
        const about = await this.read();
        if (about.run.id !== id) {
            throw new SourceError(`This file holds run ${about.run.id} and not run ${id}.`);
        }
        return about;
    }

    private read(): Promise<About> {
        this.about ??= this.json<About>('run').then((about) => {
            if (about.v > KNOWN_VERSION) throw new SourceError('This file was written by a newer AgentFlow.');
            return about;
        });
        return this.about;
    }

    private async json<T>(name: string): Promise<T> {
        return JSON.parse(await this.text(name)) as T;
    }

    private async text(name: string): Promise<string> {
        const chunk = this.chunks.get(name);
        if (chunk === undefined) throw new SourceError(`This file is not whole: it lacks ${name}.`);
        try {
            return await unpacked(chunk);
        } catch {
            throw new SourceError(`This file is damaged: ${name} cannot be unpacked.`);
        }
    }
}
