// What the server says, as types. The words are those of the journal; the shapes are documented in
// docs/viewer.md. Unknown fields are ignored, so that a newer server does not break an older page.

export type RunStatus = 'running' | 'succeeded' | 'failed' | 'interrupted' | 'paused' | 'stopped';
export type Kind = 'flow' | 'model' | 'tool' | 'code' | 'ask';

/** A run in the list. Times are Unix seconds. */
export interface Head {
    id: string;
    flow: string;
    status: RunStatus;
    started_at: number;
    ended_at: number | null;
    steps: number;
    tokens: number;
    cost_usd: number | null;
    parent: string | null;
    labels: Record<string, string>;
}

export interface Question {
    step: number;
    text: string;
    choices: string[] | null;
    schema: unknown;
}

export interface Run extends Head {
    target: string;
    settings: Record<string, unknown>;
    input: Content;
    output: Content | null;
    error: Failure | null;
    parent_step: number | null;
    questions: Question[];
    last_event: number;
    /** Whether the serving process itself runs it, so that text can be streamed. */
    is_live: boolean;
}

/** A stretch of events as columns; see `Columns.apply`. Lists named `step` hold differences. */
export interface Page {
    run: string;
    after: number;
    to: number;
    last: number;
    status: RunStatus;
    at: number;
    types: string;
    dt: number[];
    step: number[];
    start: { step: number[]; parent: number[]; name: number[] };
    names: [string, Kind][];
    tokens: { step: number[]; input: number[]; output: number[]; cost: number[] };
    model: { names: string[]; step: number[]; name: number[] };
    taken: number[];
    effect: number[];
    attempts: Record<string, number>;
    errors: Record<string, string>;
    links: Record<string, number[]>;
    reset?: boolean;
}

/** Text as recorded; `cut` when it is longer than what is shown at first. */
export interface Content {
    text: string;
    bytes: number;
    cut: boolean;
    is_json: boolean;
}

export interface Failure {
    type: string;
    message: string;
    trace: string;
    facts: Record<string, unknown>;
}

export interface Annotation {
    id: number;
    step: number | null;
    text: string;
    tag: string;
    at: number;
}

export interface Expansion {
    event: number;
    at: number;
    kind: 'plan' | 'program';
    content: Content;
}

export interface Note {
    event: number;
    at: number;
    text: string;
    details: Record<string, unknown>;
}

/** One step with what went in and came out. `start_event` and `end_event` place it in the run. */
export interface Step {
    number: number;
    key: string;
    parent: number | null;
    name: string;
    kind: Kind;
    status: string;
    started_at: number;
    ended_at: number | null;
    start_event: number;
    end_event: number;
    input: Content;
    output: Content | null;
    error: Failure | null;
    model: string | null;
    parameters: Record<string, unknown>;
    usage: Record<string, number> | null;
    cost_usd: number | null;
    attempts: number;
    attempt_s: number | null;
    origin: { run?: string; step?: number; cache?: boolean; given?: boolean } | null;
    effect: boolean;
    links: number[];
    details: Record<string, unknown>;
    expansions: Expansion[];
    notes: Note[];
    annotations: Annotation[];
}

export type Part = 'input' | 'output' | 'trace' | 'expansion';

export interface Comparison {
    a: Run;
    b: Run;
    /** Step numbers of each row, 0 where a run does not have it. */
    left: number[];
    right: number[];
    /** Letters: i(nput), o(utput), s(tatus), m(odel) differ; r: taken over from the first run. */
    changed: string[];
}

export interface Change {
    input?: Record<string, unknown>;
    prompt?: string;
    model?: string;
    output?: unknown;
}

/** What a fork would do; the lists hold step numbers of the run it is forked from. */
export interface ForkPlan {
    command: string;
    reused: number;
    rerun: number[];
    open: number[];
    effects: { step: number; name: string }[];
    cost_usd: number | null;
    failure: string | null;
}

export interface Finding {
    rule: string;
    /** Whether it is not in the file any more; otherwise it is in it and looks as if it should not be. */
    replaced: boolean;
    count: number;
    steps: number[];
    examples: string[];
}

export interface ExportOptions {
    under: number | null;
    contents: boolean;
    redact: string[];
}

export interface ExportPreview {
    steps: number;
    bytes: number;
    findings: Finding[];
}
