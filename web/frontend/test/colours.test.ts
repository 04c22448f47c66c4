// Code in pieces: nothing is lost, and each piece is what it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coloured } from '../src/core/colours.ts';

function told(text: string, language: string): string[] {
    return coloured(text, language)
        .filter((piece) => piece.kind)
        .map((piece) => `${piece.kind}:${piece.text}`);
}

test('python has its keywords, names, strings, numbers and comments', () => {
    const code =
        '@flow\nasync def low(xs):  # the least\n    return min(x.min, f"{a}", 0x1f, 1.5e3, x1) or None\n';
    assert.deepEqual(told(code, 'py'), [
        'meta:@flow',
        'keyword:async',
        'keyword:def',
        'title:low',
        'comment:# the least',
        'keyword:return',
        'name:min',
        'string:f"{a}"',
        'number:0x1f',
        'number:1.5e3',
        'keyword:or',
        'literal:None',
    ]);
    assert.deepEqual(told('"""a\n"b" # c\n""" + \'d', 'python'), ['string:"""a\n"b" # c\n"""', "string:'d"]);
    assert.deepEqual(told('x = """never\nclosed', 'python'), ['string:"""never\nclosed']);
});

test('json, diff, shell and yaml have theirs', () => {
    assert.deepEqual(told('{"a": ["b", -1.5, true]}', 'json'), [
        'title:"a"',
        'string:"b"',
        'number:-1.5',
        'literal:true',
    ]);
    assert.deepEqual(told('@@ -1 @@\n-a\n+b\n c', 'diff'), ['meta:@@ -1 @@', 'deletion:-a', 'addition:+b']);
    assert.deepEqual(told('if a; then echo "$b" $c # d', 'sh'), [
        'keyword:if',
        'keyword:then',
        'string:"$b"',
        'title:$c',
        'comment:# d',
    ]);
    assert.deepEqual(told('- a: true # b\n  c-d: 1', 'yaml'), [
        'title:- a',
        'literal:true',
        'comment:# b',
        'title:  c-d',
        'number:1',
    ]);
});

test('a language that is not known has no colours', () => {
    for (const language of ['', 'cobol', 'constructor', '__proto__']) {
        assert.deepEqual(coloured('def x: 1', language), [{ kind: '', text: 'def x: 1' }]);
    }
});

test('the pieces together are the text, whatever it is made of', () => {
    const atoms = [
        '"',
        "'",
        '"""',
        '\\',
        '#',
        '@',
        'def ',
        ' ',
        '\n',
        '1',
        '1.',
        'e',
        '-',
        '+',
        ':',
        '$',
        '{',
        'f"',
        'True',
        'é',
        '\t',
    ];
    for (const language of ['python', 'json', 'diff', 'bash', 'yaml']) {
        for (const one of atoms) {
            for (const two of atoms) {
                const text = (one + two).repeat(300);
                assert.equal(
                    coloured(text, language)
                        .map((piece) => piece.text)
                        .join(''),
                    text,
                );
            }
        }
    }
});
