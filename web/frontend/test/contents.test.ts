// Contents as a person reads them: what they are taken for, and what hides in them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    asOf,
    compact,
    hint,
    parsed,
    pieces,
    reading,
    revealed,
    shapeOf,
    untagged,
    written,
} from '../src/core/contents.ts';
import type { Step } from '../src/core/types.ts';

test('a content is what it holds, and a cut one is text', () => {
    assert.equal(reading({ text: '{"a":1}', cut: false, is_json: true }).shape, 'json');
    assert.equal(reading({ text: '{"a":', cut: true, is_json: true }).shape, 'text');
    assert.equal(reading({ text: '{"a":', cut: false, is_json: true }).shape, 'text');
    for (const [cut, text] of [
        ['"a\\nb', 'a\nb'],
        ['"a\\', 'a'],
        ['"a\\u00e', 'a'],
        ['"a\\\\', 'a\\'],
    ]) {
        assert.deepEqual(reading({ text: cut, cut: true, is_json: true }), { shape: 'text', text });
    }
    const string = reading({ text: '"**a**\\nb"', cut: false, is_json: true });
    assert.deepEqual(string, { shape: 'markdown', text: '**a**\nb', value: '**a**\nb' });
    assert.equal(reading({ text: 'x = 1', cut: false, is_json: false }).shape, 'text');
});

test('code that stands in no fence is no markdown', () => {
    assert.equal(shapeOf('# totals (dict): the sums\ntotals = add(orders)\nreturn a * b * c'), 'text');
    assert.equal(shapeOf('Here:\n```python\nx = 1\n```'), 'markdown');
    assert.equal(shapeOf('## Result\nfine'), 'markdown');
    assert.equal(shapeOf('| a | b |\n|---|---|\n| 1 | 2 |'), 'markdown');
    assert.equal(shapeOf('**a**'.repeat(20_000)), 'text', 'too long to be parsed');
});

test('hidden characters are shown by their code points', () => {
    const shown: [string, string][] = [
        ['a\u202eb', 'a⟦U+202E⟧b'],
        ['\u2066x\u2069', '⟦U+2066⟧x⟦U+2069⟧'],
        ['a\u200bb\ufeff', 'a⟦U+200B⟧b⟦U+FEFF⟧'],
        ['\u{e0041}', '⟦U+E0041⟧'],
        ['\u{e0100}', '⟦U+E0100⟧'],
        ['\u0000\u001b[31m\u0085', '⟦U+0000⟧⟦U+001B⟧[31m⟦U+0085⟧'],
        ['a\rb', 'a⟦U+000D⟧b'],
        ['\ud800', '⟦U+D800⟧'],
        ['\u00ad\u3164\u2028', '⟦U+00AD⟧⟦U+3164⟧⟦U+2028⟧'],
        ['pass\u200dword 1\u200c2', 'pass⟦U+200D⟧word 1⟦U+200C⟧2'],
    ];
    for (const [text, words] of shown) assert.equal(revealed(text), words);
});

test('what is meant to be there stays', () => {
    const texts = ['a\tb\nc\r\nd', '👩‍💻 ❤️ 👍🏽', 'می‌خواهم', 'क्‍ष', 'Grüße, 日本語, 𝒳', 'e\u0301'];
    for (const text of texts) assert.equal(revealed(text), text);
});

test('a value nested too deeply to be written is no failure', () => {
    const deep = parsed('['.repeat(100_000) + ']'.repeat(100_000));
    assert.ok(Array.isArray(deep) || deep === undefined);
    let value: unknown = 1;
    for (let i = 0; i < 100_000; i++) value = [value];
    assert.equal(compact(value), null);
    assert.match(written(value), /nested too deeply/);
    assert.equal(hint(value), '[ 1 ]');
});

test('tags of Python are taken off, and only those', () => {
    assert.deepEqual(untagged({ $: 'tuple', v: [1, 2] }), { label: 'tuple', value: [1, 2] });
    for (const value of [{ $: 'tuple' }, { $: 1, v: 2 }, { $: 'a', v: 1, w: 2 }, [1], null, 'x']) {
        assert.deepEqual(untagged(value), { label: '', value });
    }
});

test('pieces make the whole text again and cut no character in two', () => {
    const texts = ['', 'a', 'ab\ncd\nef', '👍'.repeat(50), `${'x'.repeat(30)}\n${'y'.repeat(5)}\n`];
    for (const text of texts) {
        for (const size of [1, 3, 7, 100]) {
            const cut = pieces(text, size);
            assert.equal(cut.join(''), text);
            assert.ok(cut.every((piece) => piece.length <= size + 1 && !/\p{Cs}/u.test(piece)));
        }
    }
});

test('a step before its end has no output, error or figures, and no later remarks', () => {
    const content = { text: '1', bytes: 1, cut: false, is_json: true };
    const step = {
        ...{ number: 1, start_event: 2, end_event: 9, ended_at: 5, input: content, output: content },
        ...{ usage: { input_tokens: 1 }, cost_usd: 1, attempts: 3, details: { stdout: 'x' } },
        notes: [{ event: 4 }, { event: 8 }],
        expansions: [{ event: 6 }],
    } as unknown as Step;
    const early = asOf(step, 5);
    assert.equal(early.output, null);
    assert.equal(early.usage, null);
    assert.equal(early.attempts, 1);
    assert.deepEqual(early.details, {});
    assert.deepEqual([early.notes.length, early.expansions.length], [1, 0]);
    const late = asOf(step, 9);
    assert.equal(late.output, content);
    assert.equal(late.notes.length, 2);
});
