import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Columns } from '../src/core/columns.ts';
import { bars, beside, Look, MOST_BARS, tickGap, ticks, type Window } from '../src/core/flame.ts';
import { extent, lanes, stepAt } from '../src/core/lanes.ts';
import { isError } from '../src/core/moment.ts';
import { Folding, Scale } from '../src/core/scale.ts';
import { forest } from './forest.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const runs = SEEDS.map((seed) => forest({ seed, steps: 220, serial: seed / 10, isRunning: seed % 3 === 0 }));

const whole = (columns: Columns, total: number, width = 800): Window => {
    const { startedAt, lastAt } = columns;
    const folding = new Folding([], startedAt, lastAt);
    return { scale: new Scale(startedAt, lastAt, width, folding), first: 0, last: total, top: 0 };
};

const endOf = (columns: Columns, step: number): number =>
    Number.isNaN(columns.endAt[step]) ? Infinity : columns.endAt[step];

test('no two steps of a lane overlap in time', () => {
    for (const columns of runs) {
        const { lane } = lanes(columns);
        for (let a = 1; a <= columns.size; a++) {
            for (let b = a + 1; b <= columns.size; b++) {
                if (lane[a] !== lane[b]) continue;
                assert.ok(columns.startAt[b] >= endOf(columns, a), `steps ${a} and ${b} in lane ${lane[a]}`);
            }
        }
    }
});

test('what is below a step stays within its lanes, and nobody else is there at that time', () => {
    for (const columns of runs) {
        const { lane, height, until, total } = lanes(columns);
        for (let top = 1; top <= columns.size; top++) {
            for (let step = 1; step <= columns.size; step++) {
                const isInside = lane[step] >= lane[top] && lane[step] < lane[top] + height[top];
                if (columns.isUnder(step, top)) {
                    assert.ok(isInside && endOf(columns, step) <= until[top]);
                    assert.ok(step === top || lane[step] > lane[columns.parent[step]]);
                } else if (isInside && !columns.isUnder(top, step)) {
                    const isApart =
                        until[step] <= columns.startAt[top] || columns.startAt[step] >= until[top];
                    assert.ok(isApart, `step ${step} stands among those of ${top}`);
                }
            }
            assert.ok(lane[top] + height[top] <= total);
        }
    }
});

test('siblings one after another share a lane', () => {
    const columns = forest({ seed: 5, steps: 40, serial: 1 });
    const { lane } = lanes(columns);
    for (let step = 1; step <= columns.size; step++) {
        const next = columns.nextSibling[step];
        if (next && columns.startAt[next] >= lanes(columns).until[step]) assert.equal(lane[next], lane[step]);
    }
});

test('every step of the window lies under a bar, and every failure under a marked one', () => {
    for (const columns of runs) {
        const placed = lanes(columns);
        const window = whole(columns, placed.total, 60);
        const found = bars(columns, placed, window, columns.lastEvent, columns.lastAt, false);
        for (let step = 1; step <= columns.size; step++) {
            const x = window.scale.x(columns.startAt[step]);
            let isCovered = false;
            let isMarked = false;
            for (let bar = 0; bar < found.count; bar++) {
                if (found.lane[bar] !== placed.lane[step]) continue;
                if (found.left[bar] > x + 1e-3 || found.right[bar] < x - 1e-3) continue;
                isCovered = true;
                isMarked ||= (found.look[bar] & Look.error) > 0;
            }
            assert.ok(isCovered, `step ${step}`);
            assert.ok(isMarked || !isError(columns.outcome[step]), `failure of step ${step}`);
        }
    }
});

test('bars wider than a pixel are not merged, narrower ones are counted', () => {
    for (const columns of runs) {
        const placed = lanes(columns);
        const found = bars(
            columns,
            placed,
            whole(columns, placed.total),
            columns.lastEvent,
            columns.lastAt,
            false,
        );
        let steps = 0;
        for (let bar = 0; bar < found.count; bar++) steps += found.merged[bar] || 1;
        assert.equal(steps, columns.size);
    }
});

test('the number of bars is bounded, whatever the size of the run and of the window', () => {
    const columns = forest({ seed: 11, steps: 60_000, serial: 0.49, linked: 0 });
    const placed = lanes(columns);
    for (const width of [300, 4000, 5e6]) {
        const window = whole(columns, Math.min(placed.total, MOST_BARS / 3), width);
        const found = bars(columns, placed, window, columns.lastEvent, columns.lastAt, false);
        assert.ok(found.count <= MOST_BARS, `${found.count} of ${width} pixels`);
        assert.ok(found.count > Math.min(width, 1000));
    }
});

test('at an earlier moment later steps are faint or gone, and what was under way is open', () => {
    for (const columns of runs) {
        const placed = lanes(columns);
        const window = whole(columns, placed.total, 1e6);
        const moment = columns.lastEvent >> 1;
        const shown = bars(columns, placed, window, moment, columns.eventAt[moment], false);
        const hidden = bars(columns, placed, window, moment, columns.eventAt[moment], true);
        const looks = new Map<number, number>();
        for (let bar = 0; bar < shown.count; bar++) {
            looks.set(shown.step[bar], (looks.get(shown.step[bar]) ?? 0) | shown.look[bar]);
        }
        for (let step = 1; step <= columns.size; step++) {
            const look = looks.get(step) ?? 0;
            const isFuture = columns.startEvent[step] > moment;
            const isOpen = !isFuture && !(columns.endEvent[step] && columns.endEvent[step] <= moment);
            if (isFuture) assert.equal(look & (Look.future | Look.open | Look.error), Look.future);
            assert.equal((look & Look.open) > 0, isOpen, `step ${step}`);
        }
        for (let bar = 0; bar < hidden.count; bar++) {
            assert.ok(columns.startEvent[hidden.step[bar]] <= moment);
            assert.equal(hidden.look[bar] & Look.future, 0);
        }
    }
});

test('only the chosen branch is drawn', () => {
    const [columns] = runs;
    const placed = lanes(columns);
    const top = columns.firstChild[columns.roots[0]];
    const found = bars(
        columns,
        placed,
        { ...whole(columns, placed.total, 1e6), top },
        columns.lastEvent,
        columns.lastAt,
        false,
    );
    assert.ok(found.count > 0);
    for (let bar = 0; bar < found.count; bar++) assert.ok(columns.isUnder(found.step[bar], top));
    const [from, to] = extent(columns, placed, top);
    assert.ok(from === columns.startAt[top] && to <= columns.lastAt);
});

test('a place in the flame is the step that is drawn there', () => {
    const [columns] = runs;
    const { lane, ...rest } = lanes(columns);
    for (let step = 1; step <= columns.size; step++) {
        const end = Math.min(endOf(columns, step), columns.lastAt);
        if (end - columns.startAt[step] < 1e-3) continue;
        const middle = (columns.startAt[step] + end) / 2;
        assert.equal(stepAt(columns, { lane, ...rest }, 0, lane[step], middle, 0), step);
    }
    assert.equal(stepAt(columns, { lane, ...rest }, 0, 0, columns.startedAt - 5, 1), 0);
});

test('the steps beside one are its parent, first child and siblings', () => {
    for (const columns of runs) {
        for (let step = 1; step <= columns.size; step++) {
            const next = beside(columns, step, 'next');
            if (next) assert.equal(beside(columns, next, 'previous'), step);
            const child = beside(columns, step, 'child');
            if (child) assert.equal(beside(columns, child, 'parent'), step);
        }
    }
});

test('ticks are round, within the window and about as many as wanted', () => {
    for (const span of [0.004, 0.7, 12, 95, 4000, 90_000, 4e6]) {
        const found = ticks(100, 100 + span, 100, tickGap(100, 100 + span, 8));
        assert.ok(found.length >= 3 && found.length <= 10, `${found.length} for ${span} s`);
        assert.ok(found.every((time) => time >= 0 && time <= span + 1e-9));
    }
});
