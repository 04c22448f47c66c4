// What changed between two texts, line by line, with bounded work.

import { diffLines } from 'diff';

export interface Line {
    sign: ' ' | '+' | '-';
    text: string;
}

/** A stretch of equal lines that is not shown; `count` of them. */
export type Row = Line | { count: number };

const MOST_CHARS = 400_000;
const MOST_EDITS = 4000;
const MOST_MS = 400;
const CONTEXT = 3;

/** Return the lines of both texts in order; null when they are too large or differ too much. */
export function changes(before: string, after: string): Line[] | null {
    if (before.length + after.length > MOST_CHARS) return null;
    const options = { maxEditLength: MOST_EDITS, timeout: MOST_MS };
    const parts = diffLines(ended(before), ended(after), options);
    if (!parts) return null;
    return parts.flatMap((part) => {
        const sign = part.added ? '+' : part.removed ? '-' : ' ';
        const lines = part.value.replace(/\n$/, '').split('\n');
        return lines.map((text): Line => ({ sign, text }));
    });
}

/** Leave out equal lines that are far from any change. */
export function nearby(lines: readonly Line[]): Row[] {
    const keep = new Uint8Array(lines.length);
    lines.forEach((line, i) => {
        if (line.sign !== ' ') keep.fill(1, Math.max(0, i - CONTEXT), i + CONTEXT + 1);
    });
    const rows: Row[] = [];
    for (let i = 0; i < lines.length;) {
        let end = i;
        while (end < lines.length && !keep[end]) end += 1;
        if (end > i) rows.push({ count: end - i });
        else rows.push(lines[end++]);
        i = end;
    }
    return rows;
}

const ended = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);
