import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Columns, Status } from '../src/core/columns.ts';
import { Moments } from '../src/core/moment.ts';
import { FOLD_ABOVE, folded, foldOf, outline, type Wanted } from '../src/core/outline.ts';
import { pageOf, random } from './forest.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/** A random run with long stretches of siblings of one name. */
function bush(seed: number): Columns {
    const page = pageOf({ seed, steps: 260, serial: 0.8, isRunning: seed % 4 === 0 });
    const next = random(seed + 100);
    let parent = 1;
    let name = 0;
    for (let i = 0; i < 260; i++) {
        const step = i + 1;
        if (next() < 0.06) parent = 1 + Math.floor(next() * i);
        if (next() < 0.08) name = Math.floor(next() * page.names.length);
        page.start.parent[i] = step === 1 || next() < 0.01 ? 0 : step - Math.min(parent, step - 1);
        page.start.name[i] = name;
    }
    const columns = new Columns();
    columns.apply(page);
    return columns;
}

const everything: Wanted = {
    closed: new Set(),
    unfolded: new Set(),
    found: null,
    moment: 0,
    hideFuture: false,
    top: 0,
    foldAlike: true,
};

/** The same lines by plain recursion over lists. */
function slowly(columns: Columns, wanted: Wanted): number[] {
    const moments = new Moments(columns);
    const shown = wanted.found && new Set(Array.from(wanted.found).flatMap((step) => columns.path(step)));
    const isThere = (step: number): boolean =>
        (!shown || shown.has(step)) && (!wanted.hideFuture || moments.has(step, wanted.moment));
    const calm = (step: number): boolean =>
        !columns.firstChild[step] &&
        [Status.succeeded, Status.cancelled].includes(columns.outcome[step] as 1);
    const below = (step: number): number[] => {
        if (wanted.closed.has(step)) return [step];
        const groups: number[][] = [];
        for (const child of Array.from(columns.children(step)).filter(isThere)) {
            const group = groups.at(-1);
            const first = group?.[0] ?? 0;
            if (group && calm(first) && calm(child) && columns.name[first] === columns.name[child])
                group.push(child);
            else groups.push([child]);
        }
        const lines = groups.map((group) =>
            group.length > FOLD_ABOVE && wanted.foldAlike && !shown && !wanted.unfolded.has(group[0])
                ? [-group[0]]
                : group.flatMap(below),
        );
        return [step, ...lines.flat()];
    };
    return (wanted.top ? [wanted.top] : columns.roots).filter(isThere).flatMap(below);
}

function some(columns: Columns, share: number, seed: number): Set<number> {
    const next = random(seed);
    const steps = new Set<number>();
    for (let step = 1; step <= columns.size; step++) if (next() < share) steps.add(step);
    return steps;
}

test('the outline is what plain recursion lays out, whatever is wanted', () => {
    let folds = 0;
    for (const seed of SEEDS) {
        const columns = bush(seed);
        const moments = new Moments(columns);
        const wishes: Partial<Wanted>[] = [
            {},
            { foldAlike: false },
            { closed: some(columns, 0.1, seed) },
            { unfolded: some(columns, 0.5, seed) },
            { found: some(columns, 0.05, seed) },
            { found: new Set() },
            { found: some(columns, 0.05, seed), closed: some(columns, 0.1, seed) },
            { hideFuture: true, moment: 150 },
            {
                hideFuture: true,
                moment: 150,
                closed: some(columns, 0.1, seed),
                unfolded: some(columns, 0.3, 7),
            },
            { top: 1 + (seed % 5) },
        ];
        for (const wish of wishes) {
            const wanted = { ...everything, ...wish };
            const lines = Array.from(outline(columns, moments, wanted));
            assert.deepEqual(lines, slowly(columns, wanted), `seed ${seed}, ${Object.keys(wish).join()}`);
            folds += lines.filter((line) => line < 0).length;
        }
    }
    assert.ok(folds > 50, `only ${folds} folds were met`);
});

test('all lines and what their folds stand for are all steps, once', () => {
    for (const seed of SEEDS) {
        const columns = bush(seed);
        const lines = outline(columns, new Moments(columns), everything);
        const steps = Array.from(lines).flatMap((line) => (line < 0 ? folded(columns, line) : [line]));
        assert.deepEqual(
            steps.sort((a, b) => a - b),
            Array.from({ length: columns.size }, (_, i) => i + 1),
        );
    }
});

test('a step knows the fold that hides it', () => {
    for (const seed of SEEDS) {
        const columns = bush(seed);
        const hiding = new Map<number, number>();
        for (const line of outline(columns, new Moments(columns), everything)) {
            if (line < 0) for (const step of folded(columns, line)) hiding.set(step, -line);
        }
        for (let step = 1; step <= columns.size; step++) {
            assert.equal(foldOf(columns, step), hiding.get(step) ?? 0, `seed ${seed}, step ${step}`);
        }
    }
});

test('a failed step never stands in a fold', () => {
    for (const seed of SEEDS) {
        const columns = bush(seed);
        for (const line of outline(columns, new Moments(columns), everything)) {
            if (line < 0)
                for (const step of folded(columns, line))
                    assert.notEqual(columns.outcome[step], Status.failed);
        }
    }
});

test('an outline that was given out does not change with the next one', () => {
    const columns = bush(3);
    const moments = new Moments(columns);
    const lines = outline(columns, moments, everything);
    const kept = Array.from(lines);
    outline(columns, moments, { ...everything, closed: new Set([1]) });
    assert.deepEqual(Array.from(lines), kept);
});
