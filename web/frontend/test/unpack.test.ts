// An exported file as a source: what its chunks hold comes out, and nothing else is asked for.

import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { test } from 'node:test';
import { chunkOf, cutOf, emptyPage, hasAll, textsOf, unpacked, wordsOf } from '../src/core/unpack.ts';
import type { Content, Run, Step } from '../src/core/types.ts';
import { EmbeddedSource } from '../src/source/embedded.ts';

const packed = (text: string): string => gzipSync(Buffer.from(text)).toString('base64');
const content = (text: string, cut = false): Content => ({ text, bytes: text.length, cut, is_json: true });
const CHUNK = 3;

function step(number: number, fields: Partial<Step> = {}): Step {
    const text = `input ${number}`;
    return {
        number,
        input: content(text),
        output: content(`output ${number}`),
        error: null,
        expansions: [],
        notes: [],
        ...fields,
    } as Step;
}

function source(steps: Step[], more: Record<string, string> = {}): EmbeddedSource {
    const run = { id: 'r1', status: 'failed', last_event: 9, steps: steps.length } as Run;
    const chunks = new Map(Object.entries(more));
    chunks.set('run', packed(JSON.stringify({ v: 1, run, pages: [0], chunk: CHUNK, under: null })));
    chunks.set('events:0', packed(JSON.stringify({ run: 'r1', after: 0, to: 9, last: 9 })));
    chunks.set('annotations', packed('[]'));
    for (let i = 0; i * CHUNK < steps.length; i++) {
        chunks.set(`steps:${i}`, packed(JSON.stringify(steps.slice(i * CHUNK, (i + 1) * CHUNK))));
    }
    return new EmbeddedSource('r1', chunks);
}

const many = (count: number): Step[] => Array.from({ length: count }, (_, i) => step(i + 1));

test('a chunk is unpacked to the text that was packed', async () => {
    const text = 'Grüße \u2028 </script> <!-- \u0000 😀';
    assert.equal(await unpacked(`\n${packed(text)}\n`), text);
});

test('each step is in the chunk that is said to hold it', () => {
    assert.deepEqual(
        [1, 3, 4, 7].map((number) => chunkOf(number, 3)),
        [0, 0, 1, 2],
    );
});

test('steps come in the order asked for, from whatever chunks, and those that are not there are left out', async () => {
    const found = await source(many(60)).steps('r1', [59, 1, 30, 99, 2]);
    assert.deepEqual(
        found.map((one) => one.number),
        [59, 1, 30, 2],
    );
});

test('after the last page comes an empty one', async () => {
    const pages = source(many(1));
    assert.equal((await pages.changes('r1', 0)).to, 9);
    const last = await pages.changes('r1', 9);
    assert.deepEqual([last.types, last.to, last.last, last.status], ['', 9, 9, 'failed']);
    assert.deepEqual(last, emptyPage(await pages.run('r1')));
});

test('a content that is cut is whole in a chunk of its own', async () => {
    const long = step(2, { input: content('begin', true) });
    const file = source([step(1), long], { 'content:2:input:0': packed('begin and end') });
    assert.equal(await file.content('r1', 2, 'input', 0), 'begin and end');
    assert.equal(await file.content('r1', 1, 'output', 0), 'output 1');
    await assert.rejects(file.content('r1', 1, 'expansion', 0), /Step 1 has no expansion/);
    assert.deepEqual(cutOf(long), ['content:2:input:0']);
});

test('a search finds steps by all of their texts, also beyond a cut', async () => {
    const steps = many(8);
    steps[1] = step(2, { input: content('begin', true) });
    steps[4] = step(5, { error: { type: 'ToolError', message: 'no SHIP', trace: '', facts: {} } });
    steps[6] = step(7, { notes: [{ event: 1, at: 0, text: 'a ship sails', details: {} }] });
    const file = source(steps, { 'content:2:input:0': packed('begin and a ship') });
    const search = async (q: string): Promise<number[]> => (await file.search('r1', q)).steps;
    assert.deepEqual(await search('Ship'), [2, 5, 7]);
    assert.deepEqual(await search('ship begin'), [2]);
    assert.deepEqual(await search('"a ship" output'), [2, 7]);
    assert.deepEqual(await search('"output 8"'), [8]);
    assert.deepEqual(await search('nowhere'), []);
});

test('words are found as typed and as JSON spells them', () => {
    assert.deepEqual(wordsOf('One "two words" one'), ['one', 'two words']);
    assert.ok(hasAll(['say "hi"'], ['{"text":"say \\"hi\\""}']));
    assert.ok(!hasAll(['a', 'b'], ['a']));
    assert.equal(textsOf(step(1)).length, 2);
});

test('another run, another version and a file that was cut are refused in words', async () => {
    const file = source(many(4));
    await assert.rejects(file.run('r2'), /holds run r1 and not run r2/);
    await assert.rejects(file.compare(), /one run/);
    await assert.rejects(file.live(), /does not change/);
    const newer = packed(JSON.stringify({ v: 2, run: { id: 'r1' } }));
    await assert.rejects(new EmbeddedSource('r1', new Map([['run', newer]])).run('r1'), /newer/);
    const cut = new EmbeddedSource('r1', new Map([['run', newer.slice(0, 20)]]));
    await assert.rejects(cut.run('r1'), /damaged: run/);
    await assert.rejects(new EmbeddedSource('r1', new Map()).run('r1'), /not whole: it lacks run/);
});
