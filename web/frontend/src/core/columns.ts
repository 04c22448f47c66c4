// All steps of one run as columns.
//
// Owns the fold of pages into typed arrays, about 60 bytes a step. Nothing here is ever changed by a
// view; what was true at an earlier event is worked out by `moment.ts` from the event numbers. A page
// may cut anywhere between two events.

import { grown } from './growing.ts';
import type { Kind, Page, RunStatus } from './types.ts';

export const KINDS: readonly Kind[] = ['flow', 'model', 'tool', 'code', 'ask'];

/** How a step stands; the numbers are the values of `Columns.outcome`. */
export const Status = {
    running: 0,
    succeeded: 1,
    failed: 2,
    refused: 3,
    cancelled: 4,
    /** It was under way when its process went away. */
    left: 5,
} as const;
export const STATUS_WORDS = ['running', 'succeeded', 'failed', 'refused', 'cancelled', 'left'] as const;

export const Flag = { taken: 1, effect: 2, expanded: 4, noted: 8, links: 16 } as const;

const ENDS: Record<string, number> = {
    E: Status.succeeded,
    F: Status.failed,
    R: Status.refused,
    C: Status.cancelled,
};
const TICK_S = 1e-4;

export class Columns {
    /** Steps are numbered from 1; index 0 of every column is unused. `size` is the highest number. */
    size = 0;
    /** Number of the last event that is folded in. */
    lastEvent = 0;
    /** Whether the run was at work as of the last page. */
    status: RunStatus = 'running';
    /** Whether the last page held the newest event: until then open steps are merely not read to their end. */
    isWhole = false;
    startedAt = 0;

    parent: Int32Array = new Int32Array(0);
    firstChild: Int32Array = new Int32Array(0);
    lastChild: Int32Array = new Int32Array(0);
    nextSibling: Int32Array = new Int32Array(0);
    childCount: Int32Array = new Int32Array(0);
    depth: Uint16Array = new Uint16Array(0);
    name: Int32Array = new Int32Array(0);
    kind: Uint8Array = new Uint8Array(0);
    outcome: Uint8Array = new Uint8Array(0);
    flags: Uint8Array = new Uint8Array(0);
    attempts: Uint8Array = new Uint8Array(0);
    model: Uint16Array = new Uint16Array(0);
    /** Unix seconds; `endAt` is NaN as long as the end is not known. */
    startAt: Float64Array = new Float64Array(0);
    endAt: Float64Array = new Float64Array(0);
    /** Event numbers; `endEvent` is 0 as long as the end is not known. */
    startEvent: Int32Array = new Int32Array(0);
    endEvent: Int32Array = new Int32Array(0);
    inputTokens: Int32Array = new Int32Array(0);
    outputTokens: Int32Array = new Int32Array(0);
    /** Micro-dollars of the step alone; -1 is an unknown price. */
    cost: Int32Array = new Int32Array(0);

    /** By event number: when it happened, and the step it is about (0: the run). */
    eventAt: Float64Array = new Float64Array(0);
    eventStep: Int32Array = new Int32Array(0);
    eventType: Uint8Array = new Uint8Array(0);
    /** Steps in the order of their ends. */
    ended: Int32Array = new Int32Array(0);
    endedCount = 0;
    /** Events that begin an attempt of the run: more than one where it was resumed. */
    begins: number[] = [];

    names: string[] = [''];
    models: string[] = [''];
    errors = new Map<number, string>();
    /** The steps whose results a step took, and those that took its result. */
    links = new Map<number, number[]>();
    fed = new Map<number, number[]>();
    roots: number[] = [];

    private nameNumbers = new Map<string, number>();
    private modelNumbers = new Map<string, number>([['', 0]]);

    /** Take in the page that follows; a page that does not follow is a mistake of the caller. */
    apply(page: Page): void {
        if (page.after !== this.lastEvent) {
            throw new Error(`page after event ${page.after} does not follow event ${this.lastEvent}`);
        }
        this.status = page.status;
        this.isWhole = page.to >= page.last;
        this.reserve(page);
        const names = page.names.map(([name]) => this.numberOfName(name));
        const kinds = page.names.map(([, kind]) => Math.max(0, KINDS.indexOf(kind)));
        let at = page.at;
        let event = page.after;
        let started = 0;
        let startStep = 0;
        let other = 0;
        let otherStep = 0;
        for (let i = 0; i < page.types.length; i++) {
            const type = page.types[i];
            event += 1;
            at += page.dt[i] * TICK_S;
            this.eventAt[event] = at;
            this.eventType[event] = type.charCodeAt(0);
            if (type === 'S') {
                startStep += page.start.step[started];
                const name = page.start.name[started];
                this.begin(startStep, page.start.parent[started], names[name], kinds[name], event, at);
                started += 1;
            } else if (type === 'B') {
                this.startedAt ||= at;
                if (this.begins.length) this.leaveRunning(event, at);
                this.begins.push(event);
            } else if (type !== 'Z') {
                otherStep += page.step[other++];
                this.eventStep[event] = otherStep;
                if (type === 'X') this.flags[otherStep] |= Flag.expanded;
                else if (type === 'N') this.flags[otherStep] |= Flag.noted;
                else this.end(otherStep, ENDS[type] ?? Status.failed, event, at);
            } else {
                this.leaveRunning(event, at);
            }
        }
        this.lastEvent = event;
        this.takeFacts(page);
    }

    /** Words for a step's name, kind, status and model. */
    nameOf = (step: number): string => this.names[this.name[step]];
    kindOf = (step: number): Kind => KINDS[this.kind[step]];
    statusOf = (step: number): (typeof STATUS_WORDS)[number] => STATUS_WORDS[this.outcome[step]];
    modelOf = (step: number): string => this.models[this.model[step]];

    /** Wall time of a step in seconds; of one that is under way, until `now`. */
    seconds(step: number, now: number): number {
        const end = this.endAt[step];
        return (Number.isNaN(end) ? now : end) - this.startAt[step];
    }

    /** Whether the last attempt of the run is over. */
    get isOver(): boolean {
        return this.status !== 'running';
    }

    /** When the newest known event happened. */
    get lastAt(): number {
        return this.eventAt[this.lastEvent] || this.startedAt;
    }

    /** Yield a step's children in the order they started. */
    *children(step: number): Generator<number> {
        for (let child = this.firstChild[step]; child; child = this.nextSibling[child]) yield child;
    }

    /** Return the steps from the root to `step`. */
    path(step: number): number[] {
        const path: number[] = [];
        for (let at = step; at; at = this.parent[at]) path.unshift(at);
        return path;
    }

    /** Whether `step` is `top` or below it. */
    isUnder(step: number, top: number): boolean {
        for (let at = step; at; at = this.parent[at]) if (at === top) return true;
        return false;
    }

    private begin(step: number, up: number, name: number, kind: number, event: number, at: number): void {
        const parent = up ? step - up : 0;
        this.size = Math.max(this.size, step);
        this.parent[step] = parent;
        this.name[step] = name;
        this.kind[step] = kind;
        this.startEvent[step] = event;
        this.startAt[step] = at;
        this.endAt[step] = NaN;
        this.eventStep[event] = step;
        if (!parent) {
            this.roots.push(step);
            return;
        }
        this.depth[step] = Math.min(this.depth[parent] + 1, 65535);
        this.childCount[parent] += 1;
        if (this.lastChild[parent]) this.nextSibling[this.lastChild[parent]] = step;
        else this.firstChild[parent] = step;
        this.lastChild[parent] = step;
    }

    private end(step: number, status: number, event: number, at: number): void {
        this.outcome[step] = status;
        this.endEvent[step] = event;
        this.endAt[step] = at;
        this.ended[this.endedCount++] = step;
    }

    /** Mark what was under way when the run ended or its process went away. */
    private leaveRunning(event: number, at: number): void {
        const last = this.eventAt[event - 1] || at; // nothing is known of them after the event before
        for (let step = 1; step <= this.size; step++) {
            if (this.outcome[step] === Status.running && this.startEvent[step])
                this.end(step, Status.left, event, last);
        }
    }

    private takeFacts(page: Page): void {
        let step = 0;
        page.tokens.step.forEach((delta, i) => {
            step += delta;
            this.inputTokens[step] = page.tokens.input[i];
            this.outputTokens[step] = page.tokens.output[i];
            this.cost[step] = page.tokens.cost[i];
        });
        const models = page.model.names.map((name) => this.numberOfModel(name));
        step = 0;
        page.model.step.forEach((delta, i) => {
            step += delta;
            this.model[step] = models[page.model.name[i]];
        });
        for (const taken of page.taken) this.flags[taken] |= Flag.taken;
        for (const effect of page.effect) this.flags[effect] |= Flag.effect;
        for (const [key, count] of Object.entries(page.attempts)) this.attempts[+key] = Math.min(count, 255);
        for (const [key, text] of Object.entries(page.errors)) this.errors.set(+key, text);
        for (const [key, from] of Object.entries(page.links)) this.link(+key, from);
    }

    private link(step: number, from: number[]): void {
        this.flags[step] |= Flag.links;
        this.links.set(step, from);
        for (const source of from) {
            const fed = this.fed.get(source);
            if (fed) fed.push(step);
            else this.fed.set(source, [step]);
        }
    }

    private numberOfName(name: string): number {
        return numbered(name, this.names, this.nameNumbers);
    }

    private numberOfModel(name: string): number {
        return numbered(name, this.models, this.modelNumbers);
    }

    private reserve(page: Page): void {
        const events = page.to + 1;
        this.eventAt = grown(this.eventAt, events);
        this.eventStep = grown(this.eventStep, events);
        this.eventType = grown(this.eventType, events);
        const highest = page.start.step.reduce((sum, delta) => sum + delta, 0);
        const steps = Math.max(this.size, highest) + 1;
        this.ended = grown(this.ended, steps);
        this.parent = grown(this.parent, steps);
        this.firstChild = grown(this.firstChild, steps);
        this.lastChild = grown(this.lastChild, steps);
        this.nextSibling = grown(this.nextSibling, steps);
        this.childCount = grown(this.childCount, steps);
        this.depth = grown(this.depth, steps);
        this.name = grown(this.name, steps);
        this.kind = grown(this.kind, steps);
        this.outcome = grown(this.outcome, steps);
        this.flags = grown(this.flags, steps);
        this.attempts = grown(this.attempts, steps);
        this.model = grown(this.model, steps);
        this.startAt = grown(this.startAt, steps);
        this.endAt = grown(this.endAt, steps);
        this.startEvent = grown(this.startEvent, steps);
        this.endEvent = grown(this.endEvent, steps);
        this.inputTokens = grown(this.inputTokens, steps);
        this.outputTokens = grown(this.outputTokens, steps);
        this.cost = grown(this.cost, steps);
    }
}

function numbered(text: string, all: string[], numbers: Map<string, number>): number {
    let number = numbers.get(text);
    if (number === undefined) {
        number = all.push(text) - 1;
        numbers.set(text, number);
    }
    return number;
}
