// Code in pieces, each with what it is, for its colour.
//
// Owns what a keyword, a string and the like are in the few languages that contents are written in. It
// parses nothing: one expression a language, in which no text makes the work grow faster than its length.

/** A stretch of code; `kind` is empty for what has no colour. */
export interface Stretch {
    kind: string;
    text: string;
}

const STRING = String.raw`"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?`;
const HASH = String.raw`(?<comment>(?<!\S)#.*)`;
const NUMBER = String.raw`(?<number>(?<![\w.])-?(?:0[xob][\da-f_]+|\d[\d_]*(?:\.\d*)?(?:e[+-]?\d+)?)j?\b)`;
const TRIPLE = String.raw`"""(?:\\[^]|[^\\])*?(?:"""|$(?![^]))|'''(?:\\[^]|[^\\])*?(?:'''|$(?![^]))`;
const PYTHON =
    'and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|finally|for|from|' +
    'global|if|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield';
const BUILT_IN =
    'abs|all|any|bool|bytes|dict|enumerate|filter|float|frozenset|int|isinstance|iter|len|list|map|max|' +
    'min|next|object|open|print|range|repr|reversed|round|self|set|sorted|str|sum|super|tuple|type|zip';
const SHELL = 'case|do|done|elif|else|esac|export|fi|for|function|if|in|local|return|then|until|while';

const words = (kind: string, all: string): string => String.raw`(?<${kind}>(?<![\w.])(?:${all})\b)`;

const LANGUAGES: Record<string, RegExp> = {
    python: anyOf(
        String.raw`(?<comment>#.*)`,
        `(?<string>(?<!\\w)[bfrut]{0,2}(?:${TRIPLE}|${STRING}))`,
        String.raw`(?<meta>^[ \t]*@[\w.]+)`,
        String.raw`(?<title>(?<=\b(?:def|class)[ \t]{1,9})\w+)`,
        words('keyword', PYTHON),
        words('literal', 'None|True|False'),
        words('name', BUILT_IN),
        NUMBER,
    ),
    json: anyOf(
        String.raw`(?<title>"(?:\\.|[^"\\\n])*"(?=\s*:))`,
        `(?<string>${STRING})`,
        words('literal', 'true|false|null'),
        NUMBER,
    ),
    diff: anyOf(
        String.raw`(?<meta>^(?:@@|diff |index |---|\+\+\+).*)`,
        String.raw`(?<addition>^\+.*)`,
        '(?<deletion>^-.*)',
    ),
    bash: anyOf(HASH, `(?<string>${STRING})`, words('keyword', SHELL), String.raw`(?<title>\$\{?\w+\}?)`),
    yaml: anyOf(
        HASH,
        String.raw`(?<title>^[ \t-]*[\w.][\w.-]*(?=:(?:\s|$)))`,
        `(?<string>${STRING})`,
        words('literal', 'true|false|null'),
        NUMBER,
    ),
};
const SAME: Record<string, string> = { py: 'python', sh: 'bash', shell: 'bash', yml: 'yaml', patch: 'diff' };

/** Longer code has no colours beyond this. */
const COLOURED_CHARS = 40_000;

/** Return the code in pieces that together are the text; one piece when the language is not known. */
export function coloured(text: string, language: string): Stretch[] {
    const name = SAME[language] ?? language;
    const expression = Object.hasOwn(LANGUAGES, name) ? LANGUAGES[name] : null;
    const pieces: Stretch[] = [];
    let at = 0;
    for (const found of expression ? text.slice(0, COLOURED_CHARS).matchAll(expression) : []) {
        if (!found[0]) continue;
        if (found.index > at) pieces.push({ kind: '', text: text.slice(at, found.index) });
        pieces.push({ kind: kindOf(found), text: found[0] });
        at = found.index + found[0].length;
    }
    if (at < text.length) pieces.push({ kind: '', text: text.slice(at) });
    return pieces;
}

function kindOf({ groups }: RegExpExecArray): string {
    for (const kind in groups) if (groups[kind] !== undefined) return kind;
    return '';
}

function anyOf(...kinds: string[]): RegExp {
    return new RegExp(kinds.join('|'), 'gm');
}
