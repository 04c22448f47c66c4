// Recorded contents as a person reads them.
//
// Owns what a content is taken for (JSON, code, markdown, text), what cannot be seen in a text, and the
// tags under which Python's values stand in JSON. Contents are hostile: nothing here trusts their size,
// depth or characters, and nothing here makes markup.

import type { Content, Step } from './types.ts';

export type Shape = 'json' | 'markdown' | 'text';

/** A longer text is shown as plain text only; parsing and highlighting it would hold up the page. */
export const MARKDOWN_CHARS = 60_000;
/** A content up to this size is fetched whole without asking where its end matters. */
export const WHOLE_BYTES = 2_000_000;

/** What a content holds; `value` only where it is whole JSON. `text` is what the plain form shows. */
export interface Reading {
    shape: Shape;
    text: string;
    value?: unknown;
}

/** Return what a content is. A cut one is no JSON any more, but for a string, which is as good as whole. */
export function reading(content: Pick<Content, 'text' | 'cut' | 'is_json'>): Reading {
    if (!content.is_json) return { shape: shapeOf(content.text), text: content.text };
    const value = content.cut ? beginning(content.text) : parsed(content.text);
    if (value === undefined) return { shape: 'text', text: content.text };
    if (typeof value === 'string' && content.cut) return { shape: 'text', text: value };
    if (typeof value === 'string') return { shape: shapeOf(value), text: value, value };
    return { shape: 'json', text: content.text, value };
}

/** Return a value as JSON on one line; null when it is nested too deeply for that. */
export function compact(value: unknown): string | null {
    try {
        return JSON.stringify(value) ?? 'null';
    } catch {
        return null; // a RangeError of the engine: nobody's writer makes such values
    }
}

/** Return the value of JSON, or undefined when it is none. */
export function parsed(text: string): unknown {
    try {
        return JSON.parse(text) as unknown;
    } catch {
        return undefined; // recorded text need not be JSON; the caller shows it as it is
    }
}

/** Return the string that a cut JSON text begins with; undefined when it begins with something else. */
function beginning(text: string): unknown {
    if (!text.startsWith('"')) return undefined;
    return parsed(`${text}"`) ?? parsed(`${text.replace(/\\(?:u[0-9a-f]{0,4})?$/i, '')}"`);
}

/** Return a value as indented JSON; one that is nested too deeply to be written says so. */
export function written(value: unknown): string {
    try {
        return JSON.stringify(value, null, 2) ?? 'null';
    } catch {
        return '(nested too deeply to be written out)';
    }
}

const MARKED = [
    /^ {0,3}(```|~~~)/m,
    /\*\*[^*\n]+\*\*/,
    /^ {0,3}#{2,6} \S/m,
    /^ *\|?( *:?-{3,}:? *\|)+/m,
    /!?\[[^\]\n]*\]\([^)\n]+\)/,
];

/** Return whether a text is meant as markdown. A lone `# x` is no sign of it: it is Python's comment. */
export function shapeOf(text: string): Shape {
    if (text.length > MARKDOWN_CHARS) return 'text';
    return MARKED.some((sign) => sign.test(text)) ? 'markdown' : 'text';
}

// What shows nothing, or turns the order of what follows; a reader must see that it is there.
const HIDDEN =
    /\r(?!\n)|(?![\t\n\r])\p{Cc}|\p{Cs}|\p{Zl}|\p{Zp}|\p{Bidi_Control}|[\ufff9-\ufffb]|(?![\ufe0e\ufe0f])\p{Default_Ignorable_Code_Point}/gu;
const JOINS = /^[\p{L}\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$/u;

/** Return the text with every hidden character as its code point: `⟦U+202E⟧`. */
export function revealed(text: string): string {
    return text.replace(HIDDEN, (hidden: string, at: number) => {
        if ((hidden === '\u200d' || hidden === '\u200c') && isJoining(text, at)) return hidden;
        return `⟦U+${hidden.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}⟧`;
    });
}

/** Whether a joiner does its work: inside an emoji, or inside a word that is not of Latin letters. */
function isJoining(text: string, at: number): boolean {
    const before = Array.from(text.slice(Math.max(0, at - 2), at)).at(-1) ?? '';
    const after = Array.from(text.slice(at + 1, at + 3))[0] ?? '';
    const isLatin = /[\p{Script=Latin}\p{N}]/u;
    return JOINS.test(before) && JOINS.test(after) && !isLatin.test(before) && !isLatin.test(after);
}

/** A value as Python had it: `{"$": "tuple", "v": […]}` is a tuple. `label` is empty for plain JSON. */
export interface Tagged {
    label: string;
    value: unknown;
}

/** Take the tag off a value; see `agentflow/data.py`. */
export function untagged(value: unknown): Tagged {
    if (!isRecord(value) || typeof value.$ !== 'string' || !('v' in value)) return { label: '', value };
    if (Object.keys(value).length !== 2) return { label: '', value };
    return { label: value.$, value: value.v };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Return the first words of a value on one line, for a folded one. */
export function hint(value: unknown, length = 60): string {
    if (Array.isArray(value)) return `[ ${value.length} ]`;
    if (isRecord(value)) {
        const keys = Object.keys(value);
        const shown = keys.slice(0, 6).join(', ') + (keys.length > 6 ? ', …' : '');
        return `{ ${shorter(shown, length)} }`;
    }
    return shorter(compact(value) ?? '…', length);
}

/** Return the first line of a text, at most `length` characters, with … where it goes on. */
export function shorter(text: string, length: number): string {
    const line = text.slice(0, length + 1).split('\n', 1)[0];
    return line.length < text.length ? `${line.slice(0, length)}…` : line;
}

/** Cut a text into pieces of about `size` characters, at line ends where there are any. */
export function pieces(text: string, size: number): string[] {
    const cut: string[] = [];
    for (let at = 0; at < text.length;) {
        let end = Math.min(text.length, at + size);
        const line = end < text.length ? text.slice(at, end).lastIndexOf('\n') + 1 : 0;
        if (line > 0) end = at + line;
        else if (end < text.length && /[\ud800-\udbff]/.test(text[end - 1])) end += 1;
        cut.push(text.slice(at, end));
        at = end;
    }
    return cut;
}

/** Return a step as it was known at event `moment`: without its end, or what was said of it later. */
export function asOf(step: Step, moment: number): Step {
    const expansions = step.expansions.filter((expansion) => expansion.event <= moment);
    const notes = step.notes.filter((note) => note.event <= moment);
    if (step.end_event && step.end_event <= moment) return { ...step, expansions, notes };
    return {
        ...step,
        status: step.end_event ? 'running' : step.status,
        expansions,
        notes,
        output: null,
        error: null,
        usage: null,
        cost_usd: null,
        attempt_s: null,
        ended_at: null,
        end_event: 0,
        attempts: 1,
        origin: null,
        details: {},
    };
}

/** Return a text that is no recorded content in the form of one. */
export function asContent(text: string): Content {
    return { text, bytes: text.length, cut: false, is_json: false };
}
