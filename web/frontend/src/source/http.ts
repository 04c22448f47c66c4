// The source behind `agentflow view`: JSON over HTTP, with the token that came in the address.

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
import { SourceError, type Actions, type RunsWanted, type Source } from './source.ts';

const TOKEN = 'agentflow-token';

/** Move the token of `#t=…&run=…` out of the address, where it would be copied with every link. */
export function takeToken(location: Location, history: History, storage: Storage): string {
    const given = new URLSearchParams(location.hash.slice(1));
    const token = given.get('t');
    if (token) {
        storage.setItem(TOKEN, token);
        const run = given.get('run');
        history.replaceState(null, '', location.pathname + (run ? `#/run/${encodeURIComponent(run)}` : ''));
    }
    return storage.getItem(TOKEN) ?? '';
}

export class HttpSource implements Source {
    readonly actions: Actions;
    private token: string;

    constructor(token: string) {
        this.token = token;
        this.actions = new HttpActions(this);
    }

    runs = (wanted: RunsWanted): Promise<{ runs: Head[]; next: string | null }> =>
        this.json(`runs?${query({ ...wanted })}`);

    run = (id: string): Promise<Run> => this.json(`runs/${id}`);

    changes = (id: string, after: number, limit: number): Promise<Page> =>
        this.json(`runs/${id}/changes?${query({ after, limit })}`);

    async steps(id: string, numbers: readonly number[]): Promise<Step[]> {
        return (await this.json<{ steps: Step[] }>(`runs/${id}/steps?numbers=${numbers.join(',')}`)).steps;
    }

    async content(id: string, step: number, part: Part, index: number): Promise<string> {
        return (await this.call(`runs/${id}/steps/${step}/content?${query({ part, index })}`)).text();
    }

    search = (id: string, q: string): Promise<{ steps: number[]; more: boolean }> =>
        this.json(`runs/${id}/search?${query({ q })}`);

    async annotations(id: string): Promise<Annotation[]> {
        return (await this.json<{ annotations: Annotation[] }>(`runs/${id}/annotations`)).annotations;
    }

    compare = (a: string, b: string): Promise<Comparison> => this.json(`compare?${query({ a, b })}`);

    async live(id: string, step: number, signal: AbortSignal, hear: (text: string) => void): Promise<void> {
        const reply = await this.call(`runs/${id}/live/${step}?from=0`, { signal });
        const reader = reply.body?.pipeThrough(new TextDecoderStream()).getReader();
        for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read())
            hear(piece.value);
    }

    async json<T>(path: string, init: RequestInit = {}): Promise<T> {
        return (await this.call(path, init)).json() as Promise<T>;
    }

    post = <T>(path: string, body: unknown): Promise<T> => this.json<T>(path, posted(body));

    /** Call the server. A reply that is no success rejects with what the server says is wrong. */
    async call(path: string, init: RequestInit = {}): Promise<Response> {
        const headers = {
            ...(init.headers as Record<string, string>),
            Authorization: `Bearer ${this.token}`,
        };
        let reply: Response;
        try {
            reply = await fetch(`api/${path}`, { ...init, headers });
        } catch (error) {
            if ((error as Error).name === 'AbortError') throw error;
            throw new SourceError('The viewer is not reachable: is `agentflow view` still running?');
        }
        if (!reply.ok) throw new SourceError(await complaint(reply), reply.status);
        return reply;
    }
}

class HttpActions implements Actions {
    private http: HttpSource;

    constructor(http: HttpSource) {
        this.http = http;
    }

    answer = (
        id: string,
        step: number,
        answer: unknown,
    ): Promise<{ command: string; resume_needed: boolean }> =>
        this.http.post(`runs/${id}/answers`, { step, answer });

    resume = (id: string): Promise<{ run: string; command: string }> =>
        this.http.post(`runs/${id}/resume`, {});

    planFork = (id: string, at: number, change: Change): Promise<ForkPlan> =>
        this.http.post(`runs/${id}/forks`, { at, change, dry_run: true });

    fork = (id: string, at: number, change: Change): Promise<{ run: string; command: string }> =>
        this.http.post(`runs/${id}/forks`, { at, change, dry_run: false });

    annotate = (id: string, step: number | null, text: string, tag: string): Promise<Annotation> =>
        this.http.post(`runs/${id}/annotations`, { step, text, tag });

    async removeAnnotation(id: string, annotation: number): Promise<void> {
        await this.http.call(`runs/${id}/annotations/${annotation}`, { ...posted({}), method: 'DELETE' });
    }

    previewExport = (id: string, options: ExportOptions): Promise<ExportPreview> =>
        this.http.post(`runs/${id}/export`, { ...options, preview: true });

    async export(id: string, options: ExportOptions): Promise<Blob> {
        return (await this.http.call(`runs/${id}/export`, posted({ ...options, preview: false }))).blob();
    }
}

function posted(body: unknown): RequestInit {
    return { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
}

function query(values: Record<string, unknown>): string {
    const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== '');
    return new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
}

async function complaint(reply: Response): Promise<string> {
    if (reply.status === 401) {
        return 'This page lacks the token of the viewer: open the address that `agentflow view` printed.';
    }
    try {
        return ((await reply.json()) as { error: { message: string } }).error.message;
    } catch {
        return `The viewer answered ${reply.status}.`;
    }
}
