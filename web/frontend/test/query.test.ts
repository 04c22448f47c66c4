import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KINDS, Status, type Columns } from '../src/core/columns.ts';
import { Moments } from '../src/core/moment.ts';
import { kindsOf, parse, withKinds } from '../src/core/query.ts';
import { forest } from './forest.ts';

const columns = forest({ seed: 2, steps: 200 });
const moments = new Moments(columns);

function found(text: string, moment = columns.lastEvent): number[] {
    const { tests } = parse(text, columns, moments);
    return steps((step) => tests.every((test) => test(step, moment)));
}

function steps(holds: (step: number) => boolean): number[] {
    return Array.from({ length: columns.size }, (_, i) => i + 1).filter(holds);
}

const took = (step: number): number => columns.seconds(step, columns.lastAt);
const CASES: [string, (columns: Columns, step: number) => boolean][] = [
    ['kind:model', (_, step) => columns.kindOf(step) === 'model'],
    ['KIND:tool,code', (_, step) => ['tool', 'code'].includes(columns.kindOf(step))],
    ['is:failed', (_, step) => columns.outcome[step] === Status.failed],
    ['error', (_, step) => columns.outcome[step] === Status.failed],
    ['status:cancelled,failed', (_, step) => [2, 4].includes(columns.outcome[step])],
    ['name:DRAFT', (_, step) => columns.nameOf(step) === 'draft'],
    ['step:17', (_, step) => step === 17],
    ['under:3', (_, step) => columns.isUnder(step, 3)],
    ['>500ms', (_, step) => took(step) > 0.5],
    ['<=2s', (_, step) => took(step) <= 2],
    ['>0.1m', (_, step) => took(step) > 6],
    ['>=$0.001', (_, step) => columns.endEvent[step] > 0 && columns.cost[step] >= 1000],
    ['$<0.001', (_, step) => columns.cost[step] >= 0 && columns.cost[step] < 1000],
    ['>1000tok', (_, step) => columns.inputTokens[step] + columns.outputTokens[step] > 1000],
    [
        'kind:model >1s is:failed',
        (_, step) =>
            columns.kindOf(step) === 'model' && took(step) > 1 && columns.outcome[step] === Status.failed,
    ],
];

for (const [text, holds] of CASES) {
    test(`\`${text}\` finds the steps it says`, () => {
        const wanted = steps((step) => holds(columns, step));
        assert.deepEqual(found(text), wanted);
        if (text !== 'kind:model >1s is:failed') assert.ok(wanted.length > 0 && wanted.length < columns.size);
    });
}

test('words and phrases are looked for in lower case, conditions are not words', () => {
    const query = parse('Lemma kind:model "Two Words" >5s name:"x y"', columns, moments);
    assert.deepEqual(query.texts, ['lemma', 'two words']);
    assert.equal(query.tests.length, 3);
    assert.equal(query.problem, '');
});

test('a phrase in quotes is text even when it reads like a condition', () => {
    assert.deepEqual(parse('"failed" ">5s" "error"', columns, moments).texts, ['failed', '>5s', 'error']);
});

test('what is not understood is said and names what there is', () => {
    assert.match(parse('colour:red', columns, moments).problem, /no field colour.*kind, status/);
    assert.match(parse('kind:llm', columns, moments).problem, /no kind llm.*model/);
    assert.match(parse('is:done', columns, moments).problem, /no status done.*succeeded/);
    assert.match(parse('>1.2.3s', columns, moments).problem, /1\.2\.3 is no number/);
});

test('a status is the one that a step had at the moment', () => {
    const half = columns.lastEvent >> 1;
    const running = found('is:running', half);
    assert.equal(running.length, moments.totals(half).running);
    assert.ok(running.length > 0);
});

test('what waits for an answer is found by the word of its row, and so is what was cut off', () => {
    const paused = forest({ seed: 2, steps: 200 });
    paused.status = 'paused';
    const asks = steps((step) => paused.kindOf(step) === 'ask');
    const [open] = asks;
    paused.outcome[open] = Status.left;
    const at = new Moments(paused);
    const fits = (text: string, step: number): boolean =>
        parse(text, paused, at).tests.every((test) => test(step, paused.lastEvent));
    assert.ok(fits('is:waits', open) && fits('is:cut-off', open) && fits('is:left', open));
    assert.ok(asks.slice(1).every((step) => !fits('is:waits', step)));
});

test('a query depends on the moment only if something in it does', () => {
    const isTimed = (text: string): boolean => parse(text, columns, moments).isTimed;
    for (const text of ['', 'lemma', 'kind:model name:draft', 'under:3 is:cached'])
        assert.ok(!isTimed(text), text);
    for (const text of ['is:failed', 'lemma >5s', 'kind:model >$0.01', '<9tok'])
        assert.ok(isTimed(text), text);
});

test('addresses and times of day are text and no fields', () => {
    assert.deepEqual(parse('https://x.org/a 12:30', columns, moments).texts, ['https://x.org/a', '12:30']);
    assert.equal(parse('https://x.org/a 12:30', columns, moments).problem, '');
});

test('kinds are taken from a query and put into it, and the rest stays', () => {
    assert.deepEqual(kindsOf('lemma kind:tool,model >5s'), ['model', 'tool']);
    assert.deepEqual(kindsOf('lemma'), []);
    assert.equal(withKinds('lemma kind:tool >5s', ['model', 'ask']), 'kind:model,ask lemma >5s');
    assert.equal(withKinds('kind:tool', []), '');
    for (const kind of KINDS) assert.deepEqual(kindsOf(withKinds('a b', [kind])), [kind]);
});
