// Recorded calls of models as conversations: inputs as the engine wrote them, and whatever else may come.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    Conversations,
    readAnswered,
    readAsked,
    readProgram,
    readQuestion,
    type Message,
} from '../src/core/messages.ts';

// As recorded by a run of a flow that lets a model call a tool; the second and the third call.
const TOOL = `{"name":"price","description":"Return the price of an item.","parameters":{"additionalProperties":false,"properties":{"item":{"title":"Item","type":"string"}},"required":["item"],"type":"object"}}`;
const HEAD = `{"role":"system","text":"You are short."},{"role":"user","text":"hello world"}`;
const TURN = `{"role":"assistant","tool_calls":[{"id":"call_0","name":"price","arguments":{"item":"tea"}}]},{"role":"tool","text":"2.5","tool_call_id":"call_0"},{"role":"user","text":"go on, 0"}`;
const call = (messages: string): string =>
    `{"model":"scripted:model","request":{"messages":[${messages}],"tools":[${TOOL}],"max_tokens":300,"temperature":0.0,"stop":[]}}`;
const REPLY = `{"tool_calls":[{"id":"call_0","name":"price","arguments":{"item":"tea"}}],"finish":"tool_calls","usage":{"input_tokens":2,"output_tokens":7},"model":"scripted-1"}`;

function said(role: string, text: string): Message {
    return { role, text, reasoning: '', calls: [], answers: '', other: {} };
}

test('a recorded call is its messages, tools and parameters', () => {
    const asked = readAsked(call(`${HEAD},${TURN}`));
    assert.ok(asked);
    assert.equal(asked.model, 'scripted:model');
    assert.deepEqual(
        asked.messages.map((message) => message.role),
        ['system', 'user', 'assistant', 'tool', 'user'],
    );
    assert.deepEqual(asked.messages[2].calls, [{ id: 'call_0', name: 'price', arguments: { item: 'tea' } }]);
    assert.equal(asked.messages[3].answers, 'call_0');
    assert.equal(asked.tools[0].name, 'price');
    assert.deepEqual(asked.parameters, { max_tokens: 300, temperature: 0, stop: [] });
});

test('a recorded reply is a message of the assistant', () => {
    const answered = readAnswered(REPLY);
    assert.equal(answered?.finish, 'tool_calls');
    assert.equal(answered?.message.role, 'assistant');
    assert.deepEqual(answered?.message.other, {});
    assert.equal(answered?.message.calls.length, 1);
});

test('a reply that had to be JSON gives its value, and its text when it is none', () => {
    const reply = (text: string): string => JSON.stringify({ text });
    assert.deepEqual(readAnswered(reply('{"a":[1]}'), true)?.structured, { a: [1] });
    assert.equal(readAnswered(reply('{"a":['), true)?.structured, undefined);
    assert.equal(readAnswered(reply('{"a":[1]}'))?.structured, undefined);
});

test('what is not known is kept and no failure', () => {
    const odd = `{"role":"critic","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"weight":2}`;
    const picture = `{"role":"user","content":[{"type":"image_url","image_url":"x"}]}`;
    const foreign = `{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{\\"x\\":1}"}},7]}`;
    const asked = readAsked(call(`${odd},${picture},${foreign},null,[1]`));
    assert.ok(asked);
    assert.equal(asked.messages[0].text, 'a\nb');
    assert.deepEqual(asked.messages[0].other, { weight: 2 });
    assert.deepEqual(asked.messages[1].other, { content: [{ type: 'image_url', image_url: 'x' }] });
    assert.deepEqual(asked.messages[2].calls[0], { id: '', name: 'f', arguments: { x: 1 } });
    assert.deepEqual(asked.messages[2].calls[1].arguments, 7);
    assert.deepEqual(asked.messages[4].other, { message: [1] });
});

test('what is no call at all is none', () => {
    for (const text of ['', 'null', '[]', '7', '"x"', '{}', '{"request":[]}', call(HEAD).slice(0, -9)]) {
        assert.equal(readAsked(text), null, text);
    }
    for (const text of ['', 'null', '[]', '7', '{"text":"cut']) assert.equal(readAnswered(text), null, text);
    for (const text of ['', '{}', '{"text":7}']) assert.equal(readQuestion(text), null, text);
    for (const text of ['', '{}', '{"code":7}']) assert.equal(readProgram(text), null, text);
});

test('a value that is nested ten thousand deep is read and compared like any other', () => {
    const deep = '['.repeat(10_000) + ']'.repeat(10_000);
    const text = call(`{"role":"user","tool_calls":[{"name":"f","arguments":${deep}}],"role2":${deep}}`);
    const asked = readAsked(text);
    assert.ok(asked);
    const conversations = new Conversations();
    conversations.add(1, asked.messages, null);
    assert.ok(conversations.add(2, asked.messages, null).count <= 1);
});

test('a question has its choices and its default', () => {
    const question = readQuestion(`{"text":"Which?","choices":["yes","no"],"default":"no","timeout_s":5}`);
    assert.deepEqual(question, {
        ...{ text: 'Which?', choices: ['yes', 'no'], default: 'no', schema: null, timeout_s: 5 },
    });
});

test('a program has code, inputs and tools', () => {
    const program = readProgram(`{"code":"return 1","inputs":{"a":1},"tools":["price"],"new":true}`);
    assert.deepEqual(program, {
        ...{ code: 'return 1', inputs: { a: 1 }, tools: ['price'], other: { new: true } },
    });
});

test('a conversation that goes on shares all of it, the reply included', () => {
    const conversations = new Conversations();
    const first = readAsked(call(HEAD))?.messages ?? [];
    const second = readAsked(call(`${HEAD},${TURN}`))?.messages ?? [];
    assert.deepEqual(conversations.add(3, first, readAnswered(REPLY)?.message ?? null), {
        count: 0,
        step: 0,
    });
    assert.deepEqual(conversations.add(5, second, null), { count: 3, step: 3 });
});

test('a call shares only what stands in an earlier call, word for word and from the start', () => {
    const conversations = new Conversations();
    const [a, b, c] = ['a', 'b', 'c'].map((text) => said('user', text));
    conversations.add(9, [a, b, c], null);
    assert.deepEqual(conversations.add(4, [a, b, c], null), { count: 0, step: 0 }, 'nothing later counts');
    assert.deepEqual(conversations.add(10, [a, c], null), { count: 1, step: 9 });
    assert.deepEqual(conversations.add(11, [b, c], null), { count: 0, step: 0 });
    assert.deepEqual(conversations.add(12, [said('system', 'a'), b], null), { count: 0, step: 0 });
});

test('what is shared is the longest common beginning, on random conversations', () => {
    let seed = 7;
    const dice = (below: number): number => (seed = (seed * 16807) % 2147483647) % below;
    const conversations = new Conversations();
    const all: string[][] = [];
    for (let step = 1; step <= 300; step++) {
        const texts = Array.from({ length: dice(6) }, () => 'abc'[dice(3)]);
        const shared = conversations.add(
            step,
            texts.map((text) => said('user', text)),
            null,
        );
        const counts = all.map((other) => {
            const end = texts.findIndex((text, i) => text !== other[i]);
            return end < 0 ? texts.length : end;
        });
        assert.equal(shared.count, Math.max(0, ...counts), `${step}: ${texts.join('')}`);
        if (shared.count) assert.ok(counts[shared.step - 1] >= shared.count);
        all.push(texts);
    }
});
