// Markdown as a tree of plain values: the blocks of a text, and what stands in them.
//
// Owns the block structure: paragraphs, headings, lists, quotes, tables, code. It knows neither HTML, which
// is text like any other, nor reference links. Texts are hostile: work grows with their length, and blocks
// nested deeper than `DEEPEST` are text.

import { DEEPEST, inline, type Image, type Inline } from './inline.ts';

export type Block = Paragraph | Fence | Quote | List | Table | Rule;
export interface Paragraph {
    tag: 'p' | 'h1' | 'h2' | 'h3' | 'h4' | 'h5' | 'h6';
    inside: Inline[];
}
export interface Fence {
    tag: 'pre';
    text: string;
    language: string;
}
export interface Quote {
    tag: 'blockquote';
    blocks: Block[];
}
export interface List {
    tag: 'ul' | 'ol';
    start: number | undefined;
    items: Block[][];
    /** Whether each item is one paragraph at most, with no room between them. */
    isTight: boolean;
}
export interface Table {
    tag: 'table';
    head: Inline[][];
    rows: Inline[][][];
}
export interface Rule {
    tag: 'hr';
}

const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})[ \t]*([\w+#-]*)/;
const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^ {0,3}([-*+]|\d{1,9}[.)])(?=[ \t]|$)/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
const COLUMNS = /^\|?(?:[ \t]*:?-+:?[ \t]*\|)*[ \t]*(?::?-+:?)?$/;
const INDENTED = 4;

/** A text as blocks, and the images that it holds itself. */
export interface Markdown {
    blocks: Block[];
    images: Image[];
}

/** Return a text as blocks. */
export function markdown(text: string): Markdown {
    const images: Image[] = [];
    return { blocks: new Blocks(text.split(/\r?\n/), 0, images).read(), images };
}

class Blocks {
    private at = 0;
    private readonly blocks: Block[] = [];

    constructor(
        private readonly lines: readonly string[],
        private readonly depth: number,
        private readonly images: Image[],
    ) {}

    read(): Block[] {
        while (this.at < this.lines.length) {
            if (isBlank(this.lines[this.at])) this.at += 1;
            else this.blocks.push(this.block(this.lines[this.at]));
        }
        return this.blocks;
    }

    private block(line: string): Block {
        if (indentOf(line) >= INDENTED) return this.indented();
        if (FENCE.test(line)) return this.fence();
        if (HEADING.test(line)) return this.heading();
        if (RULE.test(line)) {
            this.at += 1;
            return { tag: 'hr' };
        }
        const isFlat = this.depth >= DEEPEST;
        if (!isFlat && QUOTE.test(line)) return this.quote();
        if (!isFlat && ITEM.test(line)) return this.list();
        return this.isTable() ? this.table() : this.paragraph();
    }

    private inline(text: string): Inline[] {
        return inline(text, this.images);
    }

    private next(): string {
        return this.lines[this.at++];
    }

    private indented(): Fence {
        const from = this.at;
        const isInside = (line: string): boolean => isBlank(line) || indentOf(line) >= INDENTED;
        while (this.at < this.lines.length && isInside(this.lines[this.at])) this.at += 1;
        const inside = this.lines.slice(from, this.at).map((line) => cut(line, INDENTED));
        return { tag: 'pre', text: inside.join('\n').trimEnd(), language: '' };
    }

    private fence(): Fence {
        const first = this.next();
        const [, sign, language] = FENCE.exec(first) as RegExpExecArray;
        const inside: string[] = [];
        while (this.at < this.lines.length) {
            const line = this.next();
            const end = line.trim();
            if (end.startsWith(sign) && indentOf(line) < INDENTED && !end.replaceAll(sign[0], '')) break;
            inside.push(cut(line, indentOf(first)));
        }
        return { tag: 'pre', text: inside.join('\n'), language: language.toLowerCase() };
    }

    private heading(): Paragraph {
        const [signs] = this.next().trim().split(/[ \t]/, 1);
        const text = this.lines[this.at - 1].trim().slice(signs.length);
        const level = signs.length as 1 | 2 | 3 | 4 | 5 | 6;
        return { tag: `h${level}`, inside: this.inline(text.replace(/[ \t]#+$/, '').trim()) };
    }

    private quote(): Quote {
        const inside: string[] = [];
        while (this.at < this.lines.length) {
            const line = this.lines[this.at];
            if (!QUOTE.test(line) && !this.goesOn(line, inside)) break;
            inside.push(line.replace(QUOTE, ''));
            this.at += 1;
        }
        return { tag: 'blockquote', blocks: new Blocks(inside, this.depth + 1, this.images).read() };
    }

    /** Whether a line that belongs to nothing goes on with the paragraph before it. */
    private goesOn(line: string, before: readonly string[]): boolean {
        const last = before.at(-1) ?? '';
        if (isBlank(line) || isBlank(last) || FENCE.test(last)) return false;
        return !this.begins(line) && !ITEM.test(line);
    }

    private list(): List {
        const [, first] = ITEM.exec(this.lines[this.at]) as RegExpExecArray;
        const kind = first.at(-1);
        const items: Block[][] = [];
        let isTight = true;
        while (this.at < this.lines.length) {
            const line = this.lines[this.at];
            if (ITEM.exec(line)?.[1].at(-1) !== kind || RULE.test(line)) break;
            if (items.length && isBlank(this.lines[this.at - 1])) isTight = false;
            items.push(new Blocks(this.item(), this.depth + 1, this.images).read());
        }
        const start = /\d/.test(first) ? Number.parseInt(first, 10) : undefined;
        isTight &&= items.every((item) => item.filter((one) => one.tag === 'p').length < 2);
        return { tag: start === undefined ? 'ul' : 'ol', start, items, isTight };
    }

    /** Take the lines of one item, without what stands before them; blank lines after it are left behind. */
    private item(): string[] {
        const line = this.next();
        const [marker] = ITEM.exec(line) as RegExpExecArray;
        const rest = cut(line.slice(marker.length), 0);
        const room = indentOf(rest);
        const width = marker.length + (isBlank(rest) || room > INDENTED ? 1 : room);
        const inside = [ticked(cut(rest, width - marker.length))];
        while (this.at < this.lines.length) {
            const more = this.lines[this.at];
            const isIn = isBlank(more) || indentOf(more) >= width;
            if (!isIn && !this.goesOn(more, inside)) break;
            inside.push(cut(more, width));
            this.at += 1;
        }
        while (inside.length && isBlank(inside.at(-1) as string)) inside.pop();
        return inside;
    }

    private isTable(): boolean {
        const [line, under = ''] = this.lines.slice(this.at, this.at + 2);
        if (!line.includes('|') || !under.includes('-') || !COLUMNS.test(under.trim())) return false;
        return cells(line).length === cells(under).length;
    }

    private table(): Table {
        const head = cells(this.next());
        this.at += 1;
        const rows: Inline[][][] = [];
        while (this.at < this.lines.length && !this.ends(this.lines[this.at])) {
            const row = cells(this.next());
            rows.push(head.map((_, i) => this.inline(row[i] ?? '')));
        }
        return { tag: 'table', head: head.map((cell) => this.inline(cell)), rows };
    }

    private paragraph(): Paragraph {
        const inside = [this.next().trim()];
        while (this.at < this.lines.length) {
            const line = this.lines[this.at];
            const under = UNDERLINE.exec(line);
            if (under) {
                this.at += 1;
                return { tag: under[1][0] === '=' ? 'h1' : 'h2', inside: this.inline(inside.join('\n')) };
            }
            if (this.ends(line) || this.isTable()) break;
            inside.push(this.next().trim());
        }
        return { tag: 'p', inside: this.inline(inside.join('\n')) };
    }

    private ends(line: string): boolean {
        return isBlank(line) || this.begins(line);
    }

    /** Whether a line begins a block though no blank line is before it. */
    private begins(line: string): boolean {
        if (FENCE.test(line) || HEADING.test(line) || RULE.test(line)) return true;
        if (this.depth >= DEEPEST) return false;
        const item = ITEM.exec(line);
        // A number at the start of a line is a list only where it begins to count.
        return QUOTE.test(line) || (item !== null && line.trim() !== item[1] && !/^(?!1\D)\d/.test(item[1]));
    }
}

function cells(line: string): string[] {
    const row = line.trim().replace(/^\|/, '');
    const inside = row.endsWith('|') && !row.endsWith('\\|') ? row.slice(0, -1) : row;
    return inside.split(/(?<!\\)\|/).map((cell) => cell.replaceAll('\\|', '|').trim());
}

/** Show the box of a task as ticked or not. */
function ticked(line: string): string {
    return line.replace(/^\[([ x])\](?=\s)/i, (_, tick: string) => (tick === ' ' ? '☐' : '☑'));
}

function isBlank(line: string): boolean {
    return line.trim() === '';
}

/** Return how many columns of white space a line begins with. */
function indentOf(line: string): number {
    let columns = 0;
    for (let i = 0; line[i] === ' ' || line[i] === '\t'; i++) {
        columns += line[i] === '\t' ? INDENTED - (columns % INDENTED) : 1;
    }
    return columns;
}

/** Take up to `width` columns of white space off the beginning of a line. */
function cut(line: string, width: number): string {
    let columns = 0;
    let at = 0;
    for (; columns < width && (line[at] === ' ' || line[at] === '\t'); at++) {
        columns += line[at] === '\t' ? INDENTED - (columns % INDENTED) : 1;
    }
    return ' '.repeat(Math.max(0, columns - width)) + line.slice(at);
}
