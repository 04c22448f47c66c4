import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEYS, keyFor } from '../src/core/keys.ts';
import { lineAt, MOST_ROWS, ROW_PX, rowOf, scrolledTo, sightOf } from '../src/core/rows.ts';

test('rows in sight are in the document, and with the selected one never more than the limit', () => {
    for (const count of [0, 1, 30, 59, 60, 61, 1000, 100_000]) {
        for (const height of [0, 100, 480, 900, 1200]) {
            const most = Math.max(0, count * ROW_PX - height);
            for (const share of [0, 0.001, 0.3, 0.999, 1]) {
                const top = most * share;
                const { first, last } = sightOf(top, height, count);
                assert.ok(last - first < MOST_ROWS, `${last - first} rows of ${count} at ${height}px`);
                assert.ok(first >= 0 && last <= count);
                assert.ok(first * ROW_PX <= top, 'the first row is above the edge');
                assert.ok(last === count || last * ROW_PX >= top + height, 'the last row is below the edge');
            }
        }
    }
});

test('a screen higher than the limit shows all of its rows', () => {
    const { first, last } = sightOf(5000, 2160, 100_000);
    assert.ok(last * ROW_PX >= 5000 + 2160 && first * ROW_PX <= 5000);
});

test('a row is scrolled to the nearer edge, from afar to the middle, and not at all when it is in sight', () => {
    assert.equal(scrolledTo(10, 0, 480), 0);
    assert.equal(scrolledTo(20, 0, 480), ROW_PX);
    assert.equal(scrolledTo(3, 480, 480), 3 * ROW_PX);
    assert.equal(scrolledTo(1000, 0, 480), 1000 * ROW_PX - 228);
    assert.equal(scrolledTo(2, 48_000, 480), 0);
});

test('a step is found on its own row, or on that of the fold that begins with it', () => {
    const lines = Int32Array.from([1, 2, -3, 20]);
    assert.deepEqual(
        [1, 3, 20, 4, 0].map((step) => rowOf(lines, step)),
        [0, 2, 3, -1, -1],
    );
    assert.equal(lineAt(lines, 2, 1), -3);
    assert.equal(lineAt(lines, 3, 1), 20);
    assert.equal(lineAt(lines, 20, 5), 20);
    assert.equal(lineAt(lines, 4, 1), 1);
    assert.equal(lineAt(new Int32Array(0), 4, 1), 0);
});

test('no key has two meanings, and none is taken together with Ctrl', () => {
    const all = KEYS.flatMap((key) => key.keys);
    assert.equal(new Set(all).size, all.length);
    const plain = { ctrlKey: false, metaKey: false, altKey: false };
    for (const key of KEYS) assert.equal(keyFor({ ...plain, key: key.keys[0] }), key);
    assert.equal(keyFor({ ...plain, ctrlKey: true, key: 'f' }), undefined);
    assert.equal(keyFor({ ...plain, key: 'q' }), undefined);
});
