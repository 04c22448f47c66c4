// Random runs for tests: trees of steps that overlap, fail, feed each other and are still under way.

import { Columns } from '../src/core/columns.ts';
import type { Kind, Page } from '../src/core/types.ts';

/** Numbers in [0, 1) that are the same for the same seed. */
export function random(seed: number): () => number {
    let state = seed * 2654435761 + 1;
    return () => {
        state = (Math.imul(state ^ (state >>> 15), 2246822519) + 3266489917) | 0;
        return ((state ^ (state >>> 13)) >>> 0) / 4294967296;
    };
}

export interface Forest {
    seed: number;
    steps: number;
    /** Chance that a step waits until the one before it is over. */
    serial?: number;
    /** Chance that a step is fed by an earlier one. */
    linked?: number;
    /** Whether the last steps are still under way. */
    isRunning?: boolean;
}

/** Return a random run as one page of events, folded in. */
export function forest(wanted: Forest): Columns {
    const columns = new Columns();
    columns.apply(pageOf(wanted));
    return columns;
}

export function pageOf({ seed, steps, serial = 0.5, linked = 0.2, isRunning = false }: Forest): Page {
    const next = random(seed);
    const names: [string, Kind][] = [
        ['solve', 'flow'],
        ['draft', 'model'],
        ['search', 'tool'],
        ['run_check', 'code'],
        ['Ask', 'ask'],
        ['draft', 'flow'],
    ];
    const page = emptyPage(names);
    const open: number[] = [];
    let lastStart = 0;
    let lastOther = 0;
    const add = (type: string): void => {
        page.types += type;
        page.dt.push(page.types.length > 1 ? Math.floor(next() ** 3 * 9000) : 0);
    };
    const end = (): void => {
        const step = open.pop() as number;
        const type = next() < 0.1 ? 'F' : next() < 0.05 ? 'C' : 'E';
        add(type);
        page.step.push(step - lastOther);
        lastOther = step;
        if (type === 'F') page.errors[step] = `ValueError: no ${Math.floor(next() * 5)}`;
        page.tokens.step.push(step);
        page.tokens.input.push(next() < 0.4 ? 0 : Math.floor(next() * 5000));
        page.tokens.output.push(Math.floor(next() * 500));
        page.tokens.cost.push(next() < 0.1 ? -1 : Math.floor(next() * 3000));
    };
    add('B');
    for (let step = 1; step <= steps; step++) {
        while (open.length > 1 && next() < serial) end();
        if (open.length > 2 && next() < 0.5) shuffleTop(open, next);
        const parent = open.length ? open[Math.floor(next() * next() * open.length)] : 0;
        add('S');
        page.start.step.push(step - lastStart);
        lastStart = step;
        page.start.parent.push(parent ? step - parent : 0);
        page.start.name.push(Math.floor(next() * names.length));
        if (step > 1 && next() < linked) page.links[step] = [1 + Math.floor(next() * (step - 1))];
        open.push(step);
    }
    while (open.length && !(isRunning && open.length < 5)) end();
    if (!isRunning) add('Z');
    deltas(page.tokens.step);
    page.to = page.last = page.types.length;
    page.status = isRunning ? 'running' : 'succeeded';
    return page;
}

/** Let another open step be the next to end, so that ends are not nested. */
function shuffleTop(open: number[], next: () => number): void {
    const at = Math.floor(next() * open.length);
    open.push(...open.splice(at, 1));
}

function deltas(values: number[]): void {
    for (let i = values.length - 1; i > 0; i--) values[i] -= values[i - 1];
}

const emptyPage = (names: [string, Kind][]): Page => ({
    run: 'r',
    after: 0,
    to: 0,
    last: 0,
    status: 'succeeded',
    at: 1_700_000_000,
    types: '',
    dt: [],
    step: [],
    start: { step: [], parent: [], name: [] },
    names,
    tokens: { step: [], input: [], output: [], cost: [] },
    model: { names: [], step: [], name: [] },
    taken: [],
    effect: [],
    attempts: {},
    errors: {},
    links: {},
});
