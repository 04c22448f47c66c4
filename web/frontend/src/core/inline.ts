// Markdown inside a block: emphasis, code, links and images, as a tree of plain values.
//
// Owns the reading of one paragraph's text. Work grows with the length of the text whatever it holds, and
// the tree is never deeper than `DEEPEST`. HTML is text like any other; nothing here makes markup.

import { revealed } from './contents.ts';

export type Inline = string | Mark | CodeSpan | Link | Image | Break;
/** Emphasis of what is inside; `height` is how many marks are nested in it, itself included. */
export interface Mark {
    tag: 'em' | 'strong' | 'del';
    inside: Inline[];
    height: number;
}
export interface CodeSpan {
    tag: 'code';
    text: string;
}
/** A link; `address` is empty where it leads nowhere that a link may lead to. */
export interface Link {
    tag: 'a';
    inside: Inline[];
    target: string;
    address: string;
}
export interface Image {
    tag: 'img';
    source: string;
    alt: string;
    /** Which of the images it is that the text holds itself; 0 when it would have to be fetched. */
    number: number;
}
export interface Break {
    tag: 'br';
}

/** A run of `*`, `_` or `~` that may begin or end emphasis. */
interface Delimiter {
    sign: string;
    count: number;
    opens: boolean;
    closes: boolean;
}
type Piece = Inline | Delimiter;

export const DEEPEST = 16;

const HELD = /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+$/;
const LEADS_OUT = /^(?:https?:\/\/|mailto:)/i;
const SPECIAL = /[\\`*_~[\]!<&\n]|(?<!\w)https?:\/\//g;
const TAG = /<[/!]?[a-z][^<>]*>/iy;
const ADDRESS = /<((?:https?:\/\/|mailto:)[^\s<>]+)>|<([\w.+-]+@[\w.-]+)>/iy;
const BARE = /https?:\/\/[^\s<>"`\]]+/y;
const ENTITY = /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]+));/iy;
const TARGET =
    /\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*\)/y;
const ENTITIES: Record<string, string> = {
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    apos: "'",
    nbsp: '\u00a0',
    hellip: '…',
    mdash: '—',
    ndash: '–',
    rarr: '→',
    times: '×',
};

/** Return the text of a paragraph, heading or cell as a tree; `held` gets the images that the text holds. */
export function inline(text: string, held: Image[]): Inline[] {
    return new Reader(text, held).read();
}

class Reader {
    private pieces: Piece[] = [];
    /** Where in `pieces` the open brackets are, and in the text what they hold begins. */
    private brackets: { piece: number; from: number; isImage: boolean }[] = [];
    /** Lengths of runs of backticks that nothing closes any more. */
    private unclosed = new Set<number>();
    private at = 0;

    constructor(
        private readonly text: string,
        private readonly held: Image[],
    ) {}

    read(): Inline[] {
        while (this.at < this.text.length) {
            SPECIAL.lastIndex = this.at;
            const next = SPECIAL.exec(this.text)?.index ?? this.text.length;
            this.put(this.text.slice(this.at, next));
            this.at = next;
            if (next < this.text.length) this.special(this.text[next]);
        }
        return emphasised(this.pieces);
    }

    private special(sign: string): void {
        if (sign === '\n') return this.take(1, { tag: 'br' });
        if (sign === '\\') return this.escape();
        if (sign === '`') return this.code();
        if (sign === '[' || (sign === '!' && this.text[this.at + 1] === '[')) return this.open(sign);
        if (sign === ']') return this.close();
        if (sign === '<') return this.angle();
        if (sign === '&') return this.entity();
        if (sign === 'h') return this.bare();
        if (sign === '!') return this.take(1, sign);
        this.delimiter(sign);
    }

    private put(...pieces: Piece[]): void {
        this.pieces.push(...pieces);
    }

    private take(length: number, ...pieces: Piece[]): void {
        this.at += length;
        this.put(...pieces);
        if (this.text[this.at - 1] === '\n') while (/[ \t]/.test(this.text[this.at])) this.at += 1;
    }

    private matched(expression: RegExp): RegExpExecArray | null {
        expression.lastIndex = this.at;
        return expression.exec(this.text);
    }

    private escape(): void {
        const next = this.text[this.at + 1] ?? '';
        if (next === '\n') this.take(2, { tag: 'br' });
        else if (/[!-/:-@[-`{-~]/.test(next)) this.take(2, next);
        else this.take(1, '\\');
    }

    private code(): void {
        const { length } = this.run('`');
        const end = this.unclosed.has(length) ? -1 : this.closing(length);
        if (end < 0) {
            this.unclosed.add(length);
            return this.take(length, '`'.repeat(length));
        }
        let text = this.text.slice(this.at + length, end).replaceAll('\n', ' ');
        if (text.startsWith(' ') && text.endsWith(' ') && text.trim()) text = text.slice(1, -1);
        this.put({ tag: 'code', text });
        this.at = end + length;
    }

    /** Return where the next run of exactly `length` backticks is, or -1. */
    private closing(length: number): number {
        const runs = /`+/g;
        runs.lastIndex = this.at + length;
        for (let run = runs.exec(this.text); run; run = runs.exec(this.text)) {
            if (run[0].length === length) return run.index;
        }
        return -1;
    }

    private run(sign: string): string {
        let end = this.at;
        while (this.text[end] === sign) end += 1;
        return this.text.slice(this.at, end);
    }

    private open(sign: string): void {
        const from = this.at + (sign === '!' ? 2 : 1);
        this.brackets.push({ piece: this.pieces.length, from, isImage: sign === '!' });
        this.take(from - this.at, this.text.slice(this.at, from));
    }

    private close(): void {
        const end = this.at;
        const bracket = this.brackets.pop();
        this.at += 1;
        const found = bracket && this.matched(TARGET);
        if (!bracket || !found) return this.put(']');
        const target = decoded(found[1] ?? found[2]);
        const inside = this.pieces.splice(bracket.piece).slice(1);
        if (bracket.isImage) {
            this.put(this.image(target, this.text.slice(bracket.from, end)));
        } else {
            const flat = emphasised(inside).flatMap((one) => (isLink(one) ? one.inside : [one]));
            this.put(link(flat, target));
        }
        this.at += found[0].length;
    }

    private image(source: string, alt: string): Image {
        const image: Image = { tag: 'img', source, alt: alt || 'no description', number: 0 };
        if (HELD.test(source)) image.number = this.held.push(image);
        return image;
    }

    /** An address in angle brackets, or what may be a tag and is shown as it is. */
    private angle(): void {
        const address = this.matched(ADDRESS);
        if (address) {
            const shown = address[1] ?? address[2];
            return this.take(address[0].length, link([shown], address[1] ?? `mailto:${shown}`));
        }
        const tag = this.matched(TAG)?.[0] ?? '<';
        this.put(tag);
        this.at += tag.length;
    }

    private entity(): void {
        const found = this.matched(ENTITY);
        if (found) this.take(found[0].length, decoded(found[0]));
        else this.take(1, '&');
    }

    /** An address as it stands in a sentence: the sentence's own signs after it are not part of it. */
    private bare(): void {
        const found = this.matched(BARE)?.[0] ?? this.text[this.at];
        const address = trimmed(found);
        this.take(address.length, /\/\/./.test(address) ? link([address], address) : address);
    }

    private delimiter(sign: string): void {
        const { length } = this.run(sign);
        const before = kindOf(this.text[this.at - 1]);
        const after = kindOf(this.text[this.at + length]);
        const left = after > 0 && (after > 1 || before < 2);
        const right = before > 0 && (before > 1 || after < 2);
        const isWord = sign === '_';
        const opens = left && (!isWord || !right || before < 2);
        const closes = right && (!isWord || !left || after < 2);
        this.take(length, { sign, count: length, opens, closes });
    }
}

/** Turn the runs of signs that fit each other into emphasis, the others into text. */
function emphasised(pieces: readonly Piece[]): Inline[] {
    const out: Piece[] = [];
    const opened = new Opened();
    for (const piece of pieces) {
        if (typeof piece === 'string' || !('sign' in piece)) {
            out.push(piece);
            continue;
        }
        const rest = { ...piece };
        while (rest.closes && rest.count && closed(out, opened, rest));
        if (!rest.count) continue;
        if (rest.opens) opened.add(rest.sign, out.length);
        out.push(rest);
    }
    return plain(out);
}

/** Make emphasis of what stands between the last fitting run and `closer`, which grow shorter by it. */
function closed(out: Piece[], opened: Opened, closer: Delimiter): boolean {
    const from = opened.last(closer.sign);
    if (from < 0) return false;
    const opener = out[from] as Delimiter;
    if (!isPair(opener, closer)) return false;
    const inside = plain(out.slice(from + 1));
    const height = inside.reduce((most, one) => Math.max(most, heightOf(one)), 0) + 1;
    if (height > DEEPEST) {
        opened.dropTo(-1);
        return false;
    }
    const used = Math.min(2, opener.count, closer.count);
    const tag = closer.sign === '~' ? 'del' : used === 2 ? 'strong' : 'em';
    opener.count -= used;
    closer.count -= used;
    opened.dropTo(opener.count ? from : from - 1);
    out.length = opener.count ? from + 1 : from;
    out.push({ tag, inside, height });
    return true;
}

/** Where the runs are that may begin emphasis, by their signs. */
class Opened {
    private all: { sign: string; at: number }[] = [];
    private bySign: Record<string, number[]> = { '*': [], _: [], '~': [] };

    add(sign: string, at: number): void {
        this.all.push({ sign, at });
        this.bySign[sign].push(at);
    }

    last(sign: string): number {
        return this.bySign[sign].at(-1) ?? -1;
    }

    /** Forget the runs after position `at`. */
    dropTo(at: number): void {
        for (let top = this.all.at(-1); top && top.at > at; top = this.all.at(-1)) {
            this.all.pop();
            this.bySign[top.sign].pop();
        }
    }
}

function isPair(opener: Delimiter, closer: Delimiter): boolean {
    if (closer.sign === '~') return opener.count === closer.count && closer.count < 3;
    if (!opener.closes && !closer.opens) return true;
    return (opener.count + closer.count) % 3 !== 0 || (opener.count % 3 === 0 && closer.count % 3 === 0);
}

/** Put the runs that are left back as the signs that they are, and join texts that meet. */
function plain(pieces: readonly Piece[]): Inline[] {
    const out: Inline[] = [];
    let text = '';
    for (const piece of pieces) {
        if (typeof piece === 'string') text += piece;
        else if ('sign' in piece) text += piece.sign.repeat(piece.count);
        else {
            if (text) out.push(text);
            text = '';
            out.push(piece);
        }
    }
    if (text) out.push(text);
    return out;
}

function isLink(one: Inline): one is Link {
    return typeof one === 'object' && one.tag === 'a';
}

function heightOf(one: Inline): number {
    return typeof one === 'object' && 'height' in one ? one.height : 0;
}

/** Return 0 for space or an end of the text, 1 for punctuation, 2 for the rest. */
function kindOf(sign: string | undefined): 0 | 1 | 2 {
    if (!sign || /\s/.test(sign)) return 0;
    return /[\p{P}\p{S}]/u.test(sign) ? 1 : 2;
}

/** Return an address without the signs after it that belong to the sentence around it. */
function trimmed(address: string): string {
    let end = address.length;
    let extra = address.split(')').length - address.split('(').length;
    for (; end; end -= 1) {
        if (address[end - 1] === ')' && extra-- > 0) continue;
        if (!/[?!.,:;*_~'\]]/.test(address[end - 1])) break;
    }
    return address.slice(0, end);
}

function decoded(text: string): string {
    const plainly = text.replace(/\\([!-/:-@[-`{-~])/g, '$1');
    return plainly.replace(new RegExp(ENTITY, 'gi'), (whole, decimal: string, hex: string, name: string) => {
        if (name) return ENTITIES[name] ?? whole;
        const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
        return revealed(String.fromCodePoint(code > 0x10ffff ? 0xfffd : code));
    });
}

function link(inside: Inline[], target: string): Link {
    const leads = LEADS_OUT.test(target) && URL.canParse(target);
    return { tag: 'a', inside, target, address: leads ? new URL(target).href : '' };
}
