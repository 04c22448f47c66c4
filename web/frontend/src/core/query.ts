// What a person types to find steps: `kind:model failed >5s $>0.01 "lemma 3" model:gpt`.
//
// Owns the little language. Words are looked for in names here, and in contents by the source (see
// `texts`); everything else is a condition on the columns.

import { KINDS, STATUS_WORDS, type Columns } from './columns.ts';
import type { Moments } from './moment.ts';
import { standing, WAITS } from './rows.ts';

/** Whether a step fits; a test that takes a moment is one whose answer changes with it. */
export type Test = (step: number, moment: number) => boolean;

export interface Query {
    /** Conditions on columns, all of which must hold. */
    tests: Test[];
    /** Words and phrases in lower case; each must be in the step's name or in its contents. */
    texts: string[];
    /** Whether what is found depends on the moment. */
    isTimed: boolean;
    /** What could not be understood, in words for the person. */
    problem: string;
}

/** A word or a phrase, with a field in front of it or not; an address is a word. */
const TERM = /(?:([a-z]+):(?!\/\/))?(?:"([^"]*)"?|(\S+))/gi;
const COMPARISON = /^(\$)?([<>]=?)(\$)?([\d.]+)(us|ms|s|m|h|tok)?$/;
/** Words of the rows and of daily speech for a status. */
const ALSO_CALLED: Record<string, string> = { error: 'failed', 'cut-off': 'left' };
const SECONDS: Record<string, number> = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

const KIND_FIELD = /(^|\s)kind:([\w,]+)/i;

/** Return the kinds that a query asks for; none when it asks for every kind. */
export function kindsOf(text: string): string[] {
    const named = KIND_FIELD.exec(text)?.[2].toLowerCase().split(',') ?? [];
    return KINDS.filter((kind) => named.includes(kind));
}

/** Return a query that asks for these kinds and for whatever else it asked for. */
export function withKinds(text: string, kinds: readonly string[]): string {
    const rest = text.replace(KIND_FIELD, '').trim();
    return [kinds.length ? `kind:${kinds.join(',')}` : '', rest].filter(Boolean).join(' ');
}

/** Return what a text asks for. An empty text asks for every step. */
export function parse(text: string, columns: Columns, moments: Moments): Query {
    const query: Query = { tests: [], texts: [], isTimed: false, problem: '' };
    for (const [, field, phrase, word] of text.matchAll(TERM)) {
        const value = (phrase ?? word ?? '').toLowerCase();
        if (!value) continue;
        const test = phrase === undefined || field ? condition(field, value, columns, moments) : undefined;
        if (typeof test === 'string') query.problem ||= test;
        else if (test) query.tests.push(test);
        else query.texts.push(value);
    }
    query.isTimed = query.tests.some((test) => test.length > 1);
    return query;
}

function condition(
    field: string | undefined,
    value: string,
    columns: Columns,
    moments: Moments,
): Test | string | undefined {
    const comparison = COMPARISON.exec(value);
    if (comparison) return compared(comparison, columns, moments);
    switch (field?.toLowerCase()) {
        case undefined:
            return bare(value, columns, moments);
        case 'kind':
            return ofKind(value, columns);
        case 'status':
        case 'is':
            return ofStatus(value, columns, moments);
        case 'model':
            return holding(columns.modelOf, (step) => columns.model[step], value);
        case 'name':
            return holding(columns.nameOf, (step) => columns.name[step], value);
        case 'step':
            return (step) => String(step) === value;
        case 'under':
            return (step) => columns.isUnder(step, Number(value));
        default:
            return `no field ${field}: there are kind, status, model, name, step and under`;
    }
}

/** A test for words that many steps share: each word is looked into once. */
function holding(wordOf: (step: number) => string, numberOf: (step: number) => number, value: string): Test {
    const known: boolean[] = [];
    return (step) => (known[numberOf(step)] ??= wordOf(step).toLowerCase().includes(value));
}

function bare(value: string, columns: Columns, moments: Moments): Test | undefined {
    if (value === 'error' || value === 'err' || value === 'errors')
        return ofStatus('failed', columns, moments) as Test;
    return undefined;
}

function ofKind(value: string, columns: Columns): Test | string {
    const numbers = value.split(',').map((word) => KINDS.findIndex((kind) => kind === word));
    if (numbers.includes(-1)) return `no kind ${value}: there are ${KINDS.join(', ')}`;
    return (step) => numbers.includes(columns.kind[step]);
}

function ofStatus(value: string, columns: Columns, moments: Moments): Test | string {
    if (value === 'cached' || value === 'taken') return (step) => (columns.flags[step] & 1) > 0;
    if (value === 'effect') return (step) => (columns.flags[step] & 2) > 0;
    if (value === 'retried') return (step) => columns.attempts[step] > 1;
    if (value === WAITS.word) return (step, moment) => standing(columns, moments, step, moment) === WAITS;
    const words = value.split(',').map((word) => ALSO_CALLED[word] ?? word);
    if (words.includes('failed')) words.push('refused');
    const numbers = words.map((word) => STATUS_WORDS.findIndex((status) => status === word));
    if (numbers.includes(-1)) {
        return `no status ${value}: there are ${STATUS_WORDS.join(', ')}, ${WAITS.word}, cached, effect and retried`;
    }
    return (step, moment) => moments.has(step, moment) && numbers.includes(moments.outcome(step, moment));
}

function compared(match: RegExpExecArray, columns: Columns, moments: Moments): Test | string {
    const [, before, sign, after, digits, unit] = match;
    const limit = Number(digits);
    if (Number.isNaN(limit)) return `${digits} is no number`;
    const holds = (value: number): boolean =>
        sign === '>'
            ? value > limit
            : sign === '<'
              ? value < limit
              : sign === '>='
                ? value >= limit
                : value <= limit;
    if (before || after)
        return ended((step) => columns.cost[step] >= 0 && holds(columns.cost[step] / 1e6), moments);
    if (unit === 'tok')
        return ended((step) => holds(columns.inputTokens[step] + columns.outputTokens[step]), moments);
    const scale = SECONDS[unit ?? 's'];
    return (step, moment) => {
        if (!moments.has(step, moment)) return false;
        const end = moments.endAt(step, moment);
        const until = Number.isNaN(end) ? moments.timeOf(moment) : end;
        return holds((until - columns.startAt[step]) / scale);
    };
}

/** What a step has used is known when it has ended. */
function ended(test: (step: number) => boolean, moments: Moments): Test {
    return (step, moment) => !Number.isNaN(moments.endAt(step, moment)) && test(step);
}
