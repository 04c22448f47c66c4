import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Columns } from '../src/core/columns.ts';
import { load } from '../src/core/running.ts';
import { Folding, GAP_ABOVE_S, Gaps, panned, Scale, zoomed, type Gap } from '../src/core/scale.ts';
import type { Kind, Page } from '../src/core/types.ts';
import { forest, pageOf, random } from './forest.ts';

const AT = 1_700_000_000;
const GAPS: Gap[] = [
    { from: AT + 100, to: AT + 400 },
    { from: AT + 400, to: AT + 900 },
    { from: AT + 1000, to: AT + 9000 },
];

const near = (a: number, b: number, within = 1e-3): void =>
    assert.ok(Math.abs(a - b) <= within, `${a} is not ${b}`);

test('every place of a folded axis is one time, and later times stand further right', () => {
    for (const gaps of [[], GAPS]) {
        const scale = new Scale(AT, AT + 9500, 1440, new Folding(gaps, AT, AT + 9500));
        near(scale.x(AT), 0);
        near(scale.x(AT + 9500), 1440);
        let before = -1;
        for (let time = AT; time <= AT + 9500; time += 7.3) {
            const x = scale.x(time);
            assert.ok(x > before, `${time} stands at ${x}, after ${before}`);
            near(scale.time(x), time);
            before = x;
        }
    }
});

test('a folded gap takes little, and what is between gaps gets what they leave', () => {
    const folded = new Scale(AT, AT + 9500, 1000, new Folding(GAPS, AT, AT + 9500));
    for (const gap of GAPS) assert.ok(folded.x(gap.to) - folded.x(gap.from) < 20);
    const plain = new Scale(AT, AT + 9500, 1000, new Folding([], AT, AT + 9500));
    assert.ok(folded.x(AT + 100) > 10 * plain.x(AT + 100));
});

test('a time in a gap is moved to its end, any other stays', () => {
    const folding = new Folding(GAPS, AT, AT + 9500);
    assert.equal(folding.after(AT + 250), AT + 400);
    assert.equal(folding.after(AT + 5000), AT + 9000);
    assert.equal(folding.after(AT + 950), AT + 950);
    assert.equal(folding.after(AT + 9000), AT + 9000);
});

/** A run from a list of [seconds since the one before, type, step, kind]. */
function runOf(events: [number, string, number?, Kind?][]): Columns {
    const page: Page = pageOf({ seed: 1, steps: 0 });
    page.types = events.map(([, type]) => type).join('');
    page.dt = events.map(([seconds]) => Math.round(seconds * 1e4));
    page.to = page.last = events.length;
    let other = 0;
    page.names = [];
    for (const [, type, step = 0, kind = 'model'] of events) {
        if (type === 'S') {
            page.start.step.push(1);
            page.start.parent.push(0);
            page.start.name.push(page.names.push([kind, kind]) - 1);
        } else if (!'BZ'.includes(type)) {
            page.step.push(step - other);
            other = step;
        }
    }
    const columns = new Columns();
    columns.apply(page);
    return columns;
}

test('waiting for a person and for a resume are gaps, a long call and a short wait are not', () => {
    const columns = runOf([
        [0, 'B'],
        [1, 'S', 1, 'model'],
        [500, 'E', 1], // a long call works
        [1, 'S', 2, 'ask'],
        [700, 'E', 2], // 502 to 1202: a person is waited for
        [30, 'S', 3, 'tool'],
        [9000, 'B'], // 1232 to 10232: the process was gone
        [1, 'S', 4, 'code'],
        [GAP_ABOVE_S + 1, 'E', 4], // works again after the resume
        [GAP_ABOVE_S - 1, 'Z'],
    ]);
    const found = new Gaps(columns).all().map(({ from, to }) => [from, to].map((at) => Math.round(at - AT)));
    assert.deepEqual(found, [
        [502, 1202],
        [1232, 10232],
    ]);
});

test('gaps that are found page by page are those found at once', () => {
    const whole = pageOf({ seed: 4, steps: 200 });
    whole.dt = whole.dt.map((ticks, i) => (i % 9 ? ticks : ticks * 900));
    const columns = new Columns();
    const grown = new Gaps(columns);
    columns.apply(whole);
    const first = grown.all();
    assert.deepEqual(first, new Gaps(columns).all());
    assert.equal(grown.all(), first, 'nothing new gives the very same list');
});

test('a window that is zoomed or moved stays in the run and keeps what is under the pointer', () => {
    const whole = [0, 100] as const;
    const next = random(5);
    for (let i = 0; i < 200; i++) {
        const from = next() * 90;
        const window = [from, from + next() * (100 - from)] as const;
        const around = window[0] + next() * (window[1] - window[0]);
        const near = zoomed(window, 0.5, around, whole);
        assert.ok(near[0] >= 0 && near[1] <= 100.0001 && near[0] <= around && around <= near[1]);
        const far = panned(window, next() * 4 - 2, whole);
        assert.ok(far[0] >= 0 && far[1] <= 100.0001);
        assert.ok(Math.abs(far[1] - far[0] - (window[1] - window[0])) < 1e-9);
    }
    assert.deepEqual(zoomed([20, 60], 9, 30, whole), [0, 100]);
});

test('what the strip shows is the time that leaves took', () => {
    for (const seed of [1, 2, 3]) {
        const columns = forest({ seed, steps: 120 });
        const { startedAt, lastAt } = columns;
        const scale = new Scale(startedAt, lastAt, 700, new Folding([], startedAt, lastAt));
        const { kinds } = load(columns, scale, lastAt);
        const seconds = new Float64Array(kinds.length);
        for (let step = 1; step <= columns.size; step++) {
            if (!columns.firstChild[step]) seconds[columns.kind[step]] += columns.seconds(step, lastAt);
        }
        kinds.forEach((steps, kind) => {
            const shown =
                (steps.subarray(0, 700).reduce((sum, one) => sum + one, 0) * (lastAt - startedAt)) / 700;
            assert.ok(
                Math.abs(shown - seconds[kind]) < 0.02 * seconds[kind] + 0.05,
                `${shown}, ${seconds[kind]}`,
            );
        });
    }
});
