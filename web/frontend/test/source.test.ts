// What the source itself must not hold.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

test('nothing makes markup of text', () => {
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' });
    const sources = files.filter((file) => /\.(?:svelte|ts)$/.test(file));
    assert.ok(sources.length > 100);
    for (const file of sources) {
        const text = readFileSync(join('src', file), 'utf8');
        assert.doesNotMatch(
            text,
            /\{@html|innerHTML|outerHTML|insertAdjacentHTML|srcdoc|DOMParser|\beval\(/,
            file,
        );
    }
});
