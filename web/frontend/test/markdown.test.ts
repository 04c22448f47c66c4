// Markdown as a tree: what is emphasis, what is a block, and that no text makes it deep or slow.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Inline } from '../src/core/inline.ts';
import { markdown, type Block } from '../src/core/markdown.ts';

/** The tree in short: `p(strong(a) b)`. */
function told(text: string): string {
    return markdown(text).blocks.map(blockTold).join(' ');
}

function blockTold(block: Block): string {
    if (block.tag === 'pre') return `pre:${block.language}(${block.text})`;
    if (block.tag === 'hr') return 'hr';
    if (block.tag === 'blockquote') return `blockquote(${block.blocks.map(blockTold).join(' ')})`;
    if (block.tag === 'table') {
        const rows = [block.head, ...block.rows];
        return `table(${rows.map((row) => row.map(inlineTold).join('|')).join('/')})`;
    }
    if ('items' in block) {
        const items = block.items.map((item) => `li(${item.map(blockTold).join(' ')})`);
        return `${block.tag}${block.start ?? ''}${block.isTight ? '' : '*'}(${items.join('')})`;
    }
    return `${block.tag}(${inlineTold(block.inside)})`;
}

function inlineTold(nodes: readonly Inline[]): string {
    return nodes
        .map((node) => {
            if (typeof node === 'string') return node;
            if (node.tag === 'br') return '↵';
            if (node.tag === 'code') return `code(${node.text})`;
            if (node.tag === 'img') return `img${node.number}(${node.alt} ${node.source})`;
            const to = node.tag === 'a' ? `${node.address || `!${node.target}`} ` : '';
            return `${node.tag}(${to}${inlineTold(node.inside)})`;
        })
        .join('');
}

const TOLD: [string, string][] = [
    ['a\nb\n\nc', 'p(a↵b) p(c)'],
    ['# One #\n## Two\nthree\n===', 'h1(One) h2(Two) h1(three)'],
    ['#no\n#!/bin/sh', 'p(#no↵#!/bin/sh)'],
    ['---\n***\n* * *', 'hr hr hr'],
    ['```python\nx = 1\n\n  y\n```\nafter', 'pre:python(x = 1\n\n  y) p(after)'],
    ['~~~\n```\n~~~', 'pre:(```)'],
    ['```js\nnever closed', 'pre:js(never closed)'],
    ['text\n\n    x\n\n\ty\n\nz', 'p(text) pre:(x\n\ny) p(z)'],
    ['> a\nb\n> > c\n\nd', 'blockquote(p(a↵b) blockquote(p(c))) p(d)'],
    ['- a\n- b\n  - c\n- d', 'ul(li(p(a))li(p(b) ul(li(p(c))))li(p(d)))'],
    ['- a\n\n- b', 'ul*(li(p(a))li(p(b)))'],
    ['3. a\n4. b\n\n   more\n5) c', 'ol3*(li(p(a))li(p(b) p(more))) ol5(li(p(c)))'],
    ['1. a\n   ```\n   code\n   ```\n2. b', 'ol1(li(p(a) pre:(code))li(p(b)))'],
    ['so\n- a\n1999. was', 'p(so) ul(li(p(a))) ol1999(li(p(was)))'],
    ['so\n1999. was\n1. is', 'p(so↵1999. was) ol1(li(p(is)))'],
    ['- [ ] a\n- [x] b\n- [y]', 'ul(li(p(☐ a))li(p(☑ b))li(p([y])))'],
    ['so:\n| a | b |\n|---|:-:|\n| `1` | 2 \\| 3 |\n| 4 |\nend', 'p(so:) table(a|b/code(1)|2 | 3/4|/end|)'],
    ['a | b\nc', 'p(a | b↵c)'],
    ['*a* **b** ***c*** ~~d~~ _e_', 'p(em(a) strong(b) em(strong(c)) del(d) em(e))'],
    ['a * b * c, 2*3*4, snake_case_name, __init__', 'p(a * b * c, 2em(3)4, snake_case_name, strong(init))'],
    ['**a *b* c** *a **b', 'p(strong(a em(b) c) *a **b)'],
    ['~10 and ~20', 'p(~10 and ~20)'],
    ['`a*b*` ``c`d`` `e', 'p(code(a*b*) code(c`d) `e)'],
    ['\\*a\\* \\q', 'p(*a* \\q)'],
    ['&lt;b&gt; &#65;&#x42; &unknown; & &#x202e;', 'p(<b> AB &unknown; & ⟦U+202E⟧)'],
    ['<b title="*a*">*c*</b>', 'p(<b title="*a*">em(c)</b>)'],
    ['[a *b*](https://x.y/z "t")', 'p(a(https://x.y/z a em(b)))'],
    ['[a](javascript:1) [b](&#106;avascript:1)', 'p(a(!javascript:1 a) a(!javascript:1 b))'],
    ['[a] (b) [c](d e) [1]', 'p([a] (b) [c](d e) [1])'],
    ['[https://a.b](https://c.d/)', 'p(a(https://c.d/ https://a.b))'],
    [
        'see https://x.y/a_b_(c). (https://x.y/d)',
        'p(see a(https://x.y/a_b_(c) https://x.y/a_b_(c)). (a(https://x.y/d https://x.y/d)))',
    ],
    [
        '<https://x.y/> <a@b.c> <javascript:1>',
        'p(a(https://x.y/ https://x.y/) a(mailto:a@b.c a@b.c) <javascript:1>)',
    ],
    [
        '![a](https://x.y/z.png) ![](data:image/png;base64,AA==)',
        'p(img0(a https://x.y/z.png) img1(no description data:image/png;base64,AA==))',
    ],
    ['![a](data:image/svg+xml;base64,AA==)', 'p(img0(a data:image/svg+xml;base64,AA==))'],
    ['', ''],
];

for (const [text, expected] of TOLD) {
    test(`markdown reads ${JSON.stringify(text).slice(0, 60)}`, () => {
        assert.equal(told(text), expected);
    });
}

test('an image that the text holds is listed', () => {
    const { images } = markdown('![a](data:image/png;base64,AA==)\n\n- ![b](data:image/gif;base64,BB==)');
    assert.deepEqual(
        images.map((image) => image.alt),
        ['a', 'b'],
    );
});

function depthOf(value: unknown): number {
    if (typeof value !== 'object' || value === null) return 0;
    return 1 + Object.values(value).reduce((most: number, one) => Math.max(most, depthOf(one)), 0);
}

const ATOMS = [
    '*',
    '_',
    '~~',
    '`',
    '``',
    '[',
    '](',
    ')',
    '![',
    '<',
    '<a',
    '&',
    '&#',
    '\\',
    '> ',
    '- ',
    '1. ',
    '#',
    '|',
    '|-',
    '"',
    'a ',
    ' ',
    '\n',
    '\n\n',
    '    ',
    '\t',
    'https://',
    '```',
    '***',
    'a*',
    '*a ',
    '-',
    '=',
    ':',
    '(',
    '*_',
];

test('no repeated sign makes the tree deep', () => {
    for (const one of ATOMS) {
        for (const two of ATOMS) {
            const made = markdown((one + two).repeat(400));
            assert.ok(depthOf(made) < 130, JSON.stringify([one, two]));
        }
    }
});

test('text that holds no signs comes out as it went in', () => {
    const text = 'Words, numbers 1 2 3; (brackets) "quotes" 5 > 3 and a/b — done.';
    assert.equal(told(text), `p(${text})`);
});
