// The chunks of an exported file: base64 of gzip, and what is read out of them.
//
// Owns unpacking and looking through contents. The names of the chunks are those that
// web/agentflow_web/sharing/chunks.py writes.

import type { Page, Run, Step } from './types.ts';

/** What the chunk `run` says of the others. */
export interface About {
    v: number;
    run: Run;
    /** The event after which each page begins. */
    pages: number[];
    /** How many steps a chunk of steps has. */
    chunk: number;
    /** The step whose branch this is; null when it is the whole run. */
    under: number | null;
}

/** Return the text in a chunk. */
export async function unpacked(base64: string): Promise<string> {
    const packed = Uint8Array.from(atob(base64.trim()), (char) => char.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Response(stream).text();
}

/** Return the number of the chunk that holds a step. */
export function chunkOf(step: number, size: number): number {
    return Math.floor((step - 1) / size);
}

/** Return a page without events, as the server gives one when there is nothing new. */
export function emptyPage(run: Run): Page {
    return {
        run: run.id,
        after: run.last_event,
        to: run.last_event,
        last: run.last_event,
        status: run.status,
        at: 0,
        types: '',
        dt: [],
        step: [],
        start: { step: [], parent: [], name: [] },
        names: [],
        tokens: { step: [], input: [], output: [], cost: [] },
        model: { names: [], step: [], name: [] },
        taken: [],
        effect: [],
        attempts: {},
        errors: {},
        links: {},
    };
}

/** Return what a search looks for: words, and "phrases in quotes" as they stand. */
export function wordsOf(query: string): string[] {
    const found = Array.from(query.matchAll(/"(.+?)"(?=\s|$)|(\S+)/gs), ([, phrase, word]) => phrase ?? word);
    return Array.from(new Set(found.map((word) => word.toLowerCase())));
}

/** Whether all words are in the texts; each as typed or as JSON spells it. */
export function hasAll(words: readonly string[], texts: readonly string[]): boolean {
    const low = texts.map((text) => text.toLowerCase());
    return words.every((word) => {
        const spelled = JSON.stringify(word).slice(1, -1);
        return low.some((text) => text.includes(word) || text.includes(spelled));
    });
}

/** Return the texts of a step that a search looks through, as far as they stand in the step itself. */
export function textsOf(step: Step): string[] {
    const contents = [step.input, step.output, ...step.expansions.map((one) => one.content)];
    const texts = contents.filter((content) => content !== null).map((content) => content.text);
    if (step.error) texts.push(`${step.error.type}: ${step.error.message}`);
    return [...texts, ...step.notes.map((note) => note.text)];
}

/** Return the names of the chunks that hold what is cut in a step. */
export function cutOf(step: Step): string[] {
    const names: string[] = [];
    if (step.input.cut) names.push(contentName(step.number, 'input', 0));
    if (step.output?.cut) names.push(contentName(step.number, 'output', 0));
    step.expansions.forEach((one, i) => {
        if (one.content.cut) names.push(contentName(step.number, 'expansion', i));
    });
    return names;
}

export function contentName(step: number, part: string, index: number): string {
    return `content:${step}:${part}:${index}`;
}
