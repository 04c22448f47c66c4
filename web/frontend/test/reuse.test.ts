import assert from 'node:assert/strict';
import { test } from 'node:test';

import { kept, reused } from '../src/core/reuse.ts';
import type { Step } from '../src/core/types.ts';

const step = (usage: Record<string, number> | null, details: Record<string, unknown> = {}): Step =>
    ({ usage, details }) as unknown as Step;

test('what was not read again is told of what was read', () => {
    assert.equal(
        reused(step({ input_tokens: 1830, output_tokens: 4, cached_tokens: 1812 })),
        '1,812 of 1,830',
    );
    assert.equal(reused(step({ input_tokens: 830 })), '');
    assert.equal(reused(step(null, { state: 'st_1' })), '');
    assert.equal(reused(step({ input_tokens: 830, cached_tokens: 0 }, { state: 'st_1' })), '0 of 830');
});

test('what went ahead of a call is not part of it', () => {
    const warm_up = { requests: 2, usage: { input_tokens: 800, output_tokens: 1 } };
    assert.equal(reused(step({ input_tokens: 1630, cached_tokens: 800 }, { warm_up })), '800 of 830');
});

test('a hostile record is no failure', () => {
    const usage = { input_tokens: 5, cached_tokens: 5 };
    for (const warm_up of [null, 7, [], { usage: null }, { usage: { input_tokens: 'x' } }])
        assert.equal(reused(step(usage, { warm_up })), '5 of 5');
    assert.equal(kept(step(usage, { state: { a: 1 } })), '');
    assert.equal(kept(step(usage, { state: 'st_1' })), 'st_1');
});
