// What is typed to change a step, and the commands that the page prints.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import {
    answerCommand,
    changeOf,
    choicesOf,
    draftOf,
    editedNames,
    exportCommand,
    forkCommand,
    hintOf,
    misfitOf,
    noteCommand,
    problemOf,
    promptOf,
    readAs,
    shellLine,
    textOf,
    valueOf,
    warningOf,
} from '../src/core/editing.ts';
import type { Content, Kind, Step } from '../src/core/types.ts';

const content = (value: unknown): Content => {
    const text = JSON.stringify(value);
    return { text, bytes: text.length, cut: false, is_json: true };
};

function step(kind: Kind, input: unknown, output: unknown = null, model: string | null = null): Step {
    return { kind, input: content(input), output: content(output), model } as unknown as Step;
}

const MODEL = step(
    'model',
    {
        model: 'openai:small',
        request: {
            messages: [
                { role: 'user', text: 'first' },
                { role: 'assistant', text: 'well' },
                { role: 'user', text: 'second' },
                { role: 'assistant', text: 'hm' },
            ],
            temperature: 0.5,
        },
    },
    { text: 'done' },
    'openai:small',
);

function randomText(roll: () => number): string {
    const letters = [
        'a',
        '0',
        '12',
        '"',
        "'",
        '\\',
        '\n',
        ' ',
        '$',
        '`',
        '!',
        '-',
        '@',
        '=',
        '{',
        '}',
        '[',
        ']',
        ',',
        'é',
        '😀',
        '*',
        ';',
        'null',
        'true',
    ];
    return Array.from(
        { length: Math.floor(roll() * 8) },
        () => letters[Math.floor(roll() * letters.length)],
    ).join('');
}

function randomValue(roll: () => number, depth = 3): unknown {
    const kind = Math.floor(roll() * (depth ? 7 : 5));
    if (kind === 0) return null;
    if (kind === 1) return roll() < 0.5;
    if (kind === 2) return Math.round(roll() * 1e6) / 100;
    if (kind <= 4) return randomText(roll);
    const parts = Array.from({ length: Math.floor(roll() * 4) }, () => randomValue(roll, depth - 1));
    return kind === 5
        ? parts
        : Object.fromEntries(parts.map((part, i) => [`k${i}${randomText(roll)}`, part]));
}

/** Random numbers that are the same in every run. */
function sequence(seed: number): () => number {
    let state = seed;
    return () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 32;
    };
}

test('every value is shown as text that is read as that value again', () => {
    const roll = sequence(5);
    for (let i = 0; i < 2000; i++) {
        const value = randomValue(roll);
        assert.deepEqual(valueOf(textOf(value)), value);
    }
    assert.equal(textOf('plain words'), 'plain words');
    assert.equal(textOf('12'), '"12"');
});

test('a shell takes a printed command apart into the words that were meant', () => {
    const roll = sequence(9);
    for (let i = 0; i < 40; i++) {
        const words = Array.from({ length: 4 }, () => randomText(roll));
        const printed = execFileSync('sh', ['-c', `printf '%s\\0' ${shellLine(words)}`], {
            encoding: 'utf8',
        });
        assert.deepEqual(printed.split('\0').slice(0, -1), words);
    }
});

test('an edit that was taken back changes nothing', () => {
    const before = draftOf(MODEL);
    assert.deepEqual(changeOf('prompt', structuredClone(before), before), {});
    assert.deepEqual(editedNames('prompt', { ...before }, before), []);
});

test('the prompt is the last message of the user', () => {
    assert.equal(promptOf(MODEL), 'second');
    assert.equal(promptOf(step('flow', { messages: [{ role: 'user', text: 'no' }] })), null);
    assert.equal(draftOf(MODEL).prompt, 'second');
});

test('changes of prompt, model and input go together, an output goes alone', () => {
    const before = draftOf(MODEL);
    const draft = {
        ...before,
        prompt: 'better',
        model: ' openai:big ',
        inputs: { ...before.inputs, temperature: '0' },
    };
    assert.deepEqual(changeOf('model', draft, before), {
        input: { temperature: 0 },
        prompt: 'better',
        model: 'openai:big',
    });
    assert.deepEqual(editedNames('model', draft, before), ['temperature', 'prompt', 'model']);
    assert.deepEqual(changeOf('output', { ...draft, output: '{"text": "x"}' }, before), {
        output: { text: 'x' },
    });
    assert.deepEqual(changeOf('output', { ...draft, output: 'null' }, before), { output: null });
});

test('arguments are read as data where they are JSON and as text elsewhere', () => {
    const flow = step('flow', { topic: 'tea', n: 3, $type: 'hidden', plan: ['a'] });
    const before = draftOf(flow);
    assert.deepEqual(before.inputs, { topic: 'tea', n: '3', plan: '[\n  "a"\n]' });
    const draft = { ...before, inputs: { ...before.inputs, topic: 'mugs', n: '4' } };
    assert.deepEqual(changeOf('input', draft, before), { input: { topic: 'mugs', n: 4 } });
    assert.deepEqual(draftOf(step('code', { source: 'x' })).inputs, {});
});

test('what cannot be meant is said before it is sent', () => {
    const before = draftOf(MODEL);
    const both = { ...before, prompt: 'x', inputs: { ...before.inputs, messages: '[]' } };
    assert.match(problemOf('prompt', both, before), /not both/);
    assert.match(problemOf('model', { ...before, model: ' ' }, before), /No model/);
    assert.match(problemOf('prompt', { ...before, prompt: '' }, before), /empty/);
    assert.match(
        problemOf('output', { ...before, output: '[12345678901234567890]' }, before),
        /12345678901234567890/,
    );
    assert.equal(problemOf('output', { ...before, output: '["12345678901234567890", 1.5e300]' }, before), '');
    assert.equal(problemOf('prompt', before, before), '');
    assert.match(warningOf('[1,]', '[1]'), /no JSON/);
    assert.equal(warningOf('two', 'one'), '');
    assert.deepEqual(['x', '1', 'null', '{}', '[]', '"1"', 'true'].map(readAs), [
        'text',
        'number',
        'null',
        'JSON object',
        'JSON list',
        'text in quotes',
        'true or false',
    ]);
});

test('a printed command says what the button does', () => {
    assert.equal(
        forkCommand('r1', 7, { input: { topic: 'two words' }, model: 'openai:gpt-5' }),
        `agentflow fork r1 --at 7 --set 'input.topic="two words"' --set model=openai:gpt-5`,
    );
    assert.equal(forkCommand('r1', 7, { output: null }), 'agentflow fork r1 --at 7 --set output=null');
    assert.equal(forkCommand('r1', 7, {}), 'agentflow fork r1 --at 7');
    assert.equal(
        noteCommand('r1', 3, '-1 is wrong', 'bad'),
        "agentflow note --step 3 --tag bad -- r1 '-1 is wrong'",
    );
    assert.equal(noteCommand('r1', null, "it's", ''), `agentflow note r1 'it'"'"'s'`);
    assert.equal(answerCommand('r1', 2, 'yes'), 'agentflow answer r1 yes --step 2');
    assert.equal(
        exportCommand('r1', 'run.html', { under: 4, contents: false, redact: ['a b', 'c'] }),
        "agentflow export r1 -o run.html --under 4 --no-contents --redact 'a b' --redact c",
    );
});

test('an answer is held against the simple types of its schema only', () => {
    assert.deepEqual(choicesOf(['a', 'b'], { enum: ['c'] }), ['a', 'b']);
    assert.deepEqual(choicesOf(null, { enum: ['c', 2] }), ['c', '2']);
    assert.deepEqual(choicesOf(null, { type: 'boolean' }), ['true', 'false']);
    assert.equal(choicesOf([], null), null);
    assert.equal(hintOf({ type: 'integer' }), 'a whole number');
    assert.equal(hintOf({ anyOf: [] }), '');
    assert.match(misfitOf({ type: 'integer' }, '1.5'), /whole number/);
    assert.equal(misfitOf({ type: 'integer' }, '2'), '');
    assert.equal(misfitOf({ type: 'string' }, '2'), '');
    assert.equal(misfitOf({ type: ['integer', 'null'] }, 'x'), '');
    assert.match(misfitOf({ type: 'array' }, '{}'), /list/);
});
