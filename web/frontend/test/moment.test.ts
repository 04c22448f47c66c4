import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sums } from '../src/core/below.ts';
import { Columns, Flag, Status } from '../src/core/columns.ts';
import { isError, Moments } from '../src/core/moment.ts';
import { forest, pageOf, random } from './forest.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];
const runs = SEEDS.map((seed) => forest({ seed, steps: 150, serial: seed / 8, isRunning: seed % 3 === 0 }));

interface State {
    open: Set<number>;
    done: number[];
}

/** What is open and what is done after each event, by taking events one by one. */
function replay(columns: Columns): State[] {
    const open = new Set<number>();
    const done: number[] = [];
    const states: State[] = [{ open: new Set(), done: [] }];
    for (let event = 1; event <= columns.lastEvent; event++) {
        const type = String.fromCharCode(columns.eventType[event]);
        const step = columns.eventStep[event];
        if (type === 'S') open.add(step);
        else if ('EFRC'.includes(type)) {
            open.delete(step);
            done.push(step);
        }
        states.push({ open: new Set(open), done: Array.from(done) });
    }
    return states;
}

test('every moment is what a replay of the events up to it gives', () => {
    for (const columns of runs) {
        const moments = new Moments(columns);
        replay(columns).forEach(({ open, done }, moment) => {
            const totals = moments.totals(moment);
            assert.equal(totals.running, open.size);
            assert.equal(totals.done, done.length);
            assert.equal(totals.errors, done.filter((step) => isError(columns.outcome[step])).length);
            assert.equal(
                totals.tokens,
                done.reduce((sum, step) => sum + columns.inputTokens[step] + columns.outputTokens[step], 0),
            );
            for (let step = 1; step <= columns.size; step++) {
                const isDone = done.includes(step);
                assert.equal(moments.has(step, moment), open.has(step) || isDone);
                assert.equal(Number.isNaN(moments.endAt(step, moment)), !isDone);
                if (isDone) assert.equal(moments.outcome(step, moment), columns.outcome[step]);
                else if (open.has(step)) assert.equal(moments.outcome(step, moment), Status.running);
            }
        });
    }
});

test('the time of a moment and the moment of a time belong together', () => {
    for (const columns of runs) {
        const moments = new Moments(columns);
        for (let event = 1; event <= columns.lastEvent; event++) {
            const found = moments.eventAt(columns.eventAt[event]);
            assert.equal(columns.eventAt[found], columns.eventAt[event]);
            assert.ok(found >= event);
        }
        assert.equal(moments.eventAt(0), 1);
        assert.equal(moments.eventAt(1e12), columns.lastEvent);
    }
});

function sumsSlowly(columns: Columns, moments: Moments, moment: number, top: number): number[] {
    const sums = [0, 0, 0, 0];
    for (let step = 1; step <= columns.size; step++) {
        if (!columns.isUnder(step, top) || Number.isNaN(moments.endAt(step, moment))) continue;
        if (step !== top && isError(columns.outcome[step])) sums[3] += 1;
        if (columns.flags[step] & Flag.taken) continue;
        sums[0] += columns.inputTokens[step] + columns.outputTokens[step];
        if (columns.cost[step] < 0) sums[2] += 1;
        else sums[1] += columns.cost[step];
    }
    return sums;
}

test('the sums of a branch are those of its steps, wherever the playhead came from', () => {
    for (const [seed, columns] of runs.entries()) {
        columns.flags[7] |= Flag.taken;
        const moments = new Moments(columns);
        const sums = new Sums(columns, moments);
        const next = random(seed);
        let moment = 0;
        for (let move = 0; move < 25; move++) {
            const by = Math.floor((next() - 0.4) * (next() < 0.3 ? 200 : 12));
            moment = Math.max(0, Math.min(columns.lastEvent, moment + by));
            const { tokens, cost, unpriced, errors } = sums.at(moment);
            for (let step = 1; step <= columns.size; step++) {
                assert.deepEqual(
                    [tokens[step], cost[step], unpriced[step], errors[step]],
                    sumsSlowly(columns, moments, moment, step),
                    `run ${seed}, moment ${moment}, step ${step}`,
                );
            }
        }
    }
});

test('what is still being loaded is not taken for cut off', () => {
    const page = pageOf({ seed: 6, steps: 30, isRunning: true });
    for (const [last, outcome] of [
        [page.last, Status.left],
        [page.last + 10, Status.running],
    ]) {
        const columns = new Columns();
        columns.apply({ ...page, status: 'stopped', last });
        let open = 1;
        while (columns.endEvent[open]) open += 1;
        assert.equal(new Moments(columns).outcome(open, columns.lastEvent), outcome);
    }
});
