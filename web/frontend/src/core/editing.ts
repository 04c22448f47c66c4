// What a person types to change a step, and the commands that do the same.
//
// Owns reading typed text as a `Change` in the way of the command line (JSON is data, anything else is
// text) and writing commands that a shell takes apart again into the same words. Knows no source.

import type { Change, ExportOptions, Kind, Step } from './types.ts';

export type Tab = 'input' | 'prompt' | 'model' | 'output';

/** What a person may edit, as text. */
export interface Draft {
    inputs: Record<string, string>;
    prompt: string;
    model: string;
    output: string;
}

const TABS: Record<Kind, Tab[]> = {
    flow: ['input', 'model', 'output'],
    tool: ['input', 'model', 'output'],
    model: ['prompt', 'input', 'model', 'output'],
    code: ['output'],
    ask: ['output'],
};

/** Return what can be changed at a step of a kind, the most likely first. */
export const tabsOf = (kind: Kind): Tab[] => TABS[kind];

/** Return text that `valueOf` reads as this value again. */
export function textOf(value: unknown): string {
    if (typeof value === 'string' && !isJson(value)) return value;
    return JSON.stringify(value, null, 2);
}

/** Return JSON as data; what is no JSON is text. */
export function valueOf(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

/** Say how a text is read: "text", "JSON object", "number" … */
export function readAs(text: string): string {
    if (!isJson(text)) return 'text';
    const value: unknown = JSON.parse(text);
    if (value === null) return 'null';
    if (Array.isArray(value)) return 'JSON list';
    if (typeof value === 'object') return 'JSON object';
    return typeof value === 'string'
        ? 'text in quotes'
        : typeof value === 'boolean'
          ? 'true or false'
          : 'number';
}

/** Return the draft that changes nothing. The contents of the step must be whole. */
export function draftOf(step: Step): Draft {
    return {
        inputs: inputsOf(step),
        prompt: promptOf(step) ?? '',
        model: step.model ?? '',
        output: step.output ? textOf(valueOf(step.output.text)) : 'null',
    };
}

/** Return the text of the last message of the user to a model; null where there is none. */
export function promptOf(step: Step): string | null {
    if (step.kind !== 'model') return null;
    const messages = fieldsOf(step).messages;
    if (!Array.isArray(messages)) return null;
    const said = messages.findLast((message: { role?: string }) => message.role === 'user');
    return typeof said?.text === 'string' ? said.text : '';
}

/** Return the names of what an edit differs in: "prompt", "model", "output" or an argument. */
export function editedNames(tab: Tab, draft: Draft, before: Draft): string[] {
    if (tab === 'output') return ['output'];
    const inputs = Object.keys(draft.inputs).filter((name) => draft.inputs[name] !== before.inputs[name]);
    const others = (['prompt', 'model'] as const).filter((name) => draft[name] !== before[name]);
    return [...inputs, ...others];
}

/** Return the change that was typed; on the tab `output` it is that alone, for nothing else matters then. */
export function changeOf(tab: Tab, draft: Draft, before: Draft): Change {
    if (tab === 'output') return { output: valueOf(draft.output) };
    const change: Change = {};
    for (const [name, text] of Object.entries(draft.inputs)) {
        if (text !== before.inputs[name]) (change.input ??= {})[name] = valueOf(text);
    }
    if (draft.prompt !== before.prompt) change.prompt = draft.prompt;
    if (draft.model !== before.model) change.model = draft.model.trim();
    return change;
}

/** Say what keeps a draft from being used; empty when nothing does. */
export function problemOf(tab: Tab, draft: Draft, before: Draft): string {
    if (tab === 'output') return lossOf('The output', draft.output);
    const names = editedNames(tab, draft, before);
    if (names.includes('prompt') && names.includes('messages'))
        return 'Change the prompt or the messages, not both: the prompt is the last of the messages.';
    if (names.includes('prompt') && !draft.prompt.trim()) return 'The prompt is empty.';
    if (names.includes('model') && !draft.model.trim())
        return 'No model is named: write one like openai:gpt-5.';
    for (const name of Object.keys(draft.inputs).filter((one) => names.includes(one))) {
        const problem = lossOf(name, draft.inputs[name]);
        if (problem) return problem;
    }
    return '';
}

/** Say when data has become text, as it does with a comma too many; empty when it has not. */
export function warningOf(text: string, before: string): string {
    const wasData = /^\s*[[{]/.test(before) && isJson(before);
    return wasData && !isJson(text) ? 'This is no JSON any more and would be taken as text.' : '';
}

/** Return what an answer may be where that is a short list; null where it is free. */
export function choicesOf(choices: string[] | null, schema: unknown): string[] | null {
    if (choices?.length) return choices;
    const { type, enum: values } = (schema ?? {}) as { type?: unknown; enum?: unknown };
    if (Array.isArray(values))
        return values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value)));
    return type === 'boolean' ? ['true', 'false'] : null;
}

/** Say what an answer has to be, by the simple types of a JSON schema; empty where anything goes. */
export function hintOf(schema: unknown): string {
    const { type } = (schema ?? {}) as { type?: unknown };
    const words: Record<string, string> = {
        integer: 'a whole number',
        number: 'a number',
        object: 'a JSON object',
        array: 'a JSON list',
        string: 'text',
    };
    return typeof type === 'string' ? (words[type] ?? '') : '';
}

/** Say that an answer is plainly not of its simple type; the journal checks the rest. */
export function misfitOf(schema: unknown, answer: string): string {
    const { type } = (schema ?? {}) as { type?: unknown };
    const value = valueOf(answer);
    const fits: Record<string, () => boolean> = {
        integer: () => Number.isInteger(value),
        number: () => typeof value === 'number',
        object: () => typeof value === 'object' && value !== null && !Array.isArray(value),
        array: () => Array.isArray(value),
    };
    const isMisfit = answer.trim() !== '' && typeof type === 'string' && fits[type]?.() === false;
    return isMisfit ? `This has to be ${hintOf(schema)}.` : '';
}

// Commands ----------------------------------------------------------------------------------------

/** Return words as a shell takes them apart again. */
export function shellLine(words: readonly string[]): string {
    return words.map(quoted).join(' ');
}

export function forkCommand(run: string, at: number, change: Change): string {
    const settings = Object.entries(change.input ?? {}).map(
        ([name, value]) => `input.${name}=${JSON.stringify(value)}`,
    );
    if ('output' in change) settings.push(`output=${JSON.stringify(change.output)}`);
    if (change.prompt !== undefined) settings.push(`prompt=${change.prompt}`);
    if (change.model !== undefined) settings.push(`model=${change.model}`);
    return command('fork', [run], ['--at', String(at), ...settings.flatMap((one) => ['--set', one])]);
}

export function noteCommand(run: string, step: number | null, text: string, tag: string): string {
    const options = step === null ? [] : ['--step', String(step)];
    return command('note', [run, text], [...options, ...(tag ? ['--tag', tag] : [])]);
}

export function answerCommand(run: string, step: number, answer: string): string {
    return command('answer', [run, answer], ['--step', String(step)]);
}

export function resumeCommand(run: string): string {
    return command('resume', [run], []);
}

export function exportCommand(run: string, file: string, options: ExportOptions): string {
    const words = ['-o', file];
    if (options.under !== null) words.push('--under', String(options.under));
    if (!options.contents) words.push('--no-contents');
    return command('export', [run], [...words, ...options.redact.flatMap((rule) => ['--redact', rule])]);
}

/** An argument that begins with a dash is never taken for an option. */
function command(name: string, given: readonly string[], options: readonly string[]): string {
    const isOdd = given.some((word) => word.startsWith('-'));
    const words = isOdd ? [...options, '--', ...given] : [...given, ...options];
    return shellLine(['agentflow', name, ...words]);
}

function quoted(word: string): string {
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

// Reading what was recorded -----------------------------------------------------------------------

function inputsOf(step: Step): Record<string, string> {
    if (!tabsOf(step.kind).includes('input')) return {};
    const given = Object.entries(fieldsOf(step)).filter(([name]) => !name.startsWith('$'));
    return Object.fromEntries(given.map(([name, value]) => [name, textOf(value)]));
}

/** The arguments by name; of a call of a model, the fields of its request. */
function fieldsOf(step: Step): Record<string, unknown> {
    const input = valueOf(step.input.text);
    const fields = step.kind === 'model' ? (input as { request?: unknown } | null)?.request : input;
    const isObject = typeof fields === 'object' && fields !== null && !Array.isArray(fields);
    return isObject ? (fields as Record<string, unknown>) : {};
}

/** A browser reads every number as a double; say so before a digit is lost. */
function lossOf(what: string, text: string): string {
    if (!isJson(text)) return '';
    const numbers = text.match(/"(?:[^"\\]|\\.)*"|-?\d+(?![\d.eE])/g) ?? [];
    const lost = numbers.find((one) => !one.startsWith('"') && !Number.isSafeInteger(Number(one)));
    return lost ? `${what} holds the number ${lost}, which a browser would round: use the command line.` : '';
}

function isJson(text: string): boolean {
    try {
        JSON.parse(text);
        return true;
    } catch {
        return false;
    }
}
