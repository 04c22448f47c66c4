// What a transcript tells of, on random runs, against the events one by one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { below, callsBefore, entriesOf } from '../src/core/transcript.ts';
import { forest } from './forest.ts';

test('a transcript holds each start below its top and each end of a flow there, up to the moment', () => {
    for (let seed = 1; seed <= 20; seed++) {
        const columns = forest({ seed, steps: 60, isRunning: seed % 2 === 0 });
        for (const top of [1, 2 + (seed % 50)]) {
            for (const moment of [0, columns.startEvent[top], columns.lastEvent >> 1, columns.lastEvent]) {
                const expected: number[] = [];
                for (let event = 1; event <= moment; event++) {
                    const step = columns.eventStep[event];
                    if (!step || !columns.isUnder(step, top)) continue;
                    const type = String.fromCharCode(columns.eventType[event]);
                    const isTold = 'SXN'.includes(type) || columns.kindOf(step) === 'flow';
                    if (isTold) expected.push(event);
                }
                assert.deepEqual(Array.from(entriesOf(columns, top, moment)), expected);
            }
        }
    }
});

test('below marks the branch and nothing else', () => {
    const columns = forest({ seed: 3, steps: 80 });
    for (const top of [1, 5, 40, 80]) {
        const marks = below(columns, top);
        for (let step = 1; step <= columns.size; step++) {
            assert.equal(Boolean(marks[step]), columns.isUnder(step, top));
        }
    }
});

test('the call before a call is the nearest one under the same parent', () => {
    const columns = forest({ seed: 5, steps: 120 });
    const before = callsBefore(columns);
    for (let step = 1; step <= columns.size; step++) {
        if (columns.kindOf(step) !== 'model') continue;
        let expected = 0;
        for (let other = 1; other < step; other++) {
            const isCall = columns.kindOf(other) === 'model';
            if (isCall && columns.parent[other] === columns.parent[step]) expected = other;
        }
        assert.equal(before[step], expected);
    }
});
