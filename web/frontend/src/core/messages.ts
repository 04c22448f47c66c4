// Calls of models and questions to people, as conversations.
//
// Owns the way from a recorded input or output to messages. The shapes are those that
// `agentflow/engine/generate.py` and `people.py` write; whatever else is found in one (a newer writer, an
// import, a cut or hostile text) is kept in `other` and shown as JSON, never dropped and never a failure.

import { compact, isRecord, parsed } from './contents.ts';

export interface ToolUse {
    id: string;
    name: string;
    arguments: unknown;
}

/** One turn. `answers` is the id of the tool call that a tool's message answers. */
export interface Message {
    role: string;
    text: string;
    reasoning: string;
    calls: ToolUse[];
    answers: string;
    other: Record<string, unknown>;
}

export interface ToolOffer {
    name: string;
    description: string;
    parameters: unknown;
}

/** What went into a model. `parameters` are temperature, limits and the like, as asked for. */
export interface Asked {
    model: string;
    messages: Message[];
    tools: ToolOffer[];
    schema: unknown;
    grammar: string;
    parameters: Record<string, unknown>;
}

/** What came out. `structured` is the value of a reply that had to be JSON; undefined for text. */
export interface Answered {
    message: Message;
    finish: string;
    structured: unknown;
}

export interface Question {
    text: string;
    choices: string[];
    default: unknown;
    schema: unknown;
    timeout_s: number | null;
}

type Fields = Record<string, unknown>;

/** Read the input of a model's call; null when it is none. */
export function readAsked(text: string): Asked | null {
    const input = parsed(text);
    if (!isRecord(input) || !isRecord(input.request)) return null;
    const { messages, tools, output_schema, grammar, ...parameters } = input.request;
    return {
        model: said(input.model),
        messages: listed(messages).map(readMessage),
        tools: listed(tools).map(readOffer),
        schema: output_schema ?? null,
        grammar: said(grammar),
        parameters,
    };
}

/** Read the output of a model's call; null when it is none. `isShaped`: JSON was asked for. */
export function readAnswered(text: string, isShaped = false): Answered | null {
    const output = parsed(text);
    if (!isRecord(output)) return null;
    const {
        finish,
        usage: _usage,
        cost_usd: _cost,
        model: _model,
        state: _state,
        warm_up: _ahead,
        ...rest
    } = output;
    const message = { ...readMessage(rest), role: 'assistant' };
    return {
        message,
        finish: said(finish) || 'stop',
        structured: isShaped ? parsed(message.text) : undefined,
    };
}

/** Read the input of a question to a person; null when it is none. */
export function readQuestion(text: string): Question | null {
    const input = parsed(text);
    if (!isRecord(input) || typeof input.text !== 'string') return null;
    return {
        text: input.text,
        choices: listed(input.choices).map(said),
        default: input.default ?? null,
        schema: input.answer_schema ?? null,
        timeout_s: typeof input.timeout_s === 'number' ? input.timeout_s : null,
    };
}

/** The code, inputs and tools of a program's step; null when the input is none. */
export interface Program {
    code: string;
    inputs: unknown;
    tools: string[];
    other: Record<string, unknown>;
}

export function readProgram(text: string): Program | null {
    const input = parsed(text);
    if (!isRecord(input) || typeof input.code !== 'string') return null;
    const { code, inputs, tools, ...other } = input;
    return { code, inputs: inputs ?? {}, tools: listed(tools).map(said), other };
}

function readMessage(given: unknown): Message {
    if (!isRecord(given)) return { ...EMPTY, other: { message: given } };
    const { role, text, content, reasoning, tool_calls, tool_call_id, ...other } = given;
    const body = text ?? content;
    const parts = readParts(body);
    if (parts === null) other.content = body;
    return {
        role: said(role) || 'message',
        text: parts ?? '',
        reasoning: said(reasoning),
        calls: listed(tool_calls).map(readCall),
        answers: said(tool_call_id),
        other,
    };
}

const EMPTY: Message = { role: 'message', text: '', reasoning: '', calls: [], answers: '', other: {} };

/** Return the text of a body that is a string or a list of text parts; null when it is more than that. */
function readParts(body: unknown): string | null {
    if (body === undefined || body === null) return '';
    if (typeof body === 'string') return body;
    if (!Array.isArray(body)) return null;
    const texts = body.map((part) => (typeof part === 'string' ? part : isRecord(part) ? part.text : null));
    return texts.every((text) => typeof text === 'string') ? texts.join('\n') : null;
}

function readCall(given: unknown): ToolUse {
    const call: Fields = isRecord(given) ? given : { arguments: given };
    const named: Fields = isRecord(call.function) ? call.function : call;
    const given_arguments = named.arguments;
    const read = typeof given_arguments === 'string' ? parsed(given_arguments) : undefined;
    return {
        id: said(call.id),
        name: said(named.name) || '(no name)',
        arguments: read === undefined ? given_arguments : read,
    };
}

function readOffer(given: unknown): ToolOffer {
    const offer: Fields = isRecord(given) ? given : {};
    const { name, description, parameters } = offer;
    return { name: said(name) || '(no name)', description: said(description), parameters: parameters ?? {} };
}

const listed = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function said(value: unknown): string {
    if (typeof value === 'string') return value;
    return value === undefined || value === null ? '' : (compact(value) ?? '…');
}

/** How much of a call's messages stood in an earlier call already, and in which. */
export interface Shared {
    count: number;
    step: number;
}

interface Place {
    number: number;
    first: number;
    newest: number;
}

const NO_SHARE: Shared = { count: 0, step: 0 };
const MOST_PLACES = 40_000;

/**
 * The conversations seen so far, to show of each call only what is new in it.
 *
 * A tree of messages: two calls share a path as far as their messages are the same, word for word. The
 * reply of a call belongs to its path, so a conversation that goes on shares all of it.
 */
export class Conversations {
    private places = new Map<string, Place>();
    private numbers = 0;

    /** Take in a call; return what it shares with a call of a lower number. */
    add(step: number, messages: readonly Message[], reply: Message | null): Shared {
        if (this.places.size > MOST_PLACES) this.places.clear();
        let shared = NO_SHARE;
        let above = 0;
        messages.forEach((message, i) => {
            const place = this.enter(above, message, step);
            const earlier = earlierThan(place, step);
            if (earlier && shared.count === i) shared = { count: i + 1, step: earlier };
            this.mark(place, step);
            above = place.number;
        });
        if (reply) this.mark(this.enter(above, reply, step), step);
        return shared;
    }

    private enter(above: number, message: Message, step: number): Place {
        const said = compact({ ...message, reasoning: '' }) ?? `of ${step} alone`;
        const key = `${above} ${said}`;
        let place = this.places.get(key);
        if (!place) this.places.set(key, (place = { number: ++this.numbers, first: step, newest: step }));
        return place;
    }

    private mark(place: Place, step: number): void {
        place.first = Math.min(place.first, step);
        place.newest = Math.max(place.newest, step);
    }
}

function earlierThan(place: Place, step: number): number {
    if (place.newest < step) return place.newest;
    return place.first < step ? place.first : 0;
}
