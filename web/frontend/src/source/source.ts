// Where the viewer reads from: a server, or the chunks inside an exported file.

import type {
    Annotation,
    Change,
    Comparison,
    ExportOptions,
    ExportPreview,
    ForkPlan,
    Head,
    Page,
    Part,
    Run,
    Step,
} from '../core/types.ts';

export interface RunsWanted {
    q?: string;
    status?: string;
    after?: string;
    limit?: number;
}

/** What every source can do. Everything rejects with a `SourceError` whose message a person can read. */
export interface Source {
    /** Whether things can be done and not only looked at. */
    readonly actions: Actions | null;
    /** The one run that there is, where the page opens; a server has many. */
    readonly only?: string;
    runs(wanted: RunsWanted): Promise<{ runs: Head[]; next: string | null }>;
    run(id: string): Promise<Run>;
    changes(id: string, after: number, limit: number): Promise<Page>;
    steps(id: string, numbers: readonly number[]): Promise<Step[]>;
    content(id: string, step: number, part: Part, index: number): Promise<string>;
    search(id: string, q: string): Promise<{ steps: number[]; more: boolean }>;
    annotations(id: string): Promise<Annotation[]>;
    compare(a: string, b: string): Promise<Comparison>;
    /** Give text that a step streams, piece by piece, until it ends; rejects when it is not streamed here. */
    live(id: string, step: number, signal: AbortSignal, hear: (text: string) => void): Promise<void>;
}

export interface Actions {
    answer(id: string, step: number, answer: unknown): Promise<{ command: string; resume_needed: boolean }>;
    resume(id: string): Promise<{ run: string; command: string }>;
    planFork(id: string, at: number, change: Change): Promise<ForkPlan>;
    fork(id: string, at: number, change: Change): Promise<{ run: string; command: string }>;
    annotate(id: string, step: number | null, text: string, tag: string): Promise<Annotation>;
    removeAnnotation(id: string, annotation: number): Promise<void>;
    previewExport(id: string, options: ExportOptions): Promise<ExportPreview>;
    export(id: string, options: ExportOptions): Promise<Blob>;
}

export class SourceError extends Error {
    readonly status: number;

    constructor(message: string, status = 0) {
        super(message);
        this.status = status;
    }
}
