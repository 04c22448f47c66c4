// The list of runs on the screen: what is asked for, what is loaded, what is chosen.

import type { Head, RunStatus } from '../../core/types.ts';
import type { Source } from '../../source/source.ts';
import { router } from '../../state/route.svelte.ts';
import { said } from '../../state/run.svelte.ts';

export const STATUSES: readonly RunStatus[] = [
    'running',
    'succeeded',
    'failed',
    'paused',
    'interrupted',
    'stopped',
];
const PAGE_RUNS = 100;
const POLL_MS = 2_000;
const POLL_SLOW_MS = 10_000;

export class RunList {
    readonly source: Source;
    heads = $state.raw<Head[]>([]);
    /** Where the next page begins; null at the end. */
    next = $state.raw<string | null>(null);
    q = $state('');
    status = $state('');
    problem = $state('');
    isLoaded = $state(false);
    isAdding = $state(false);
    /** The run that the keys are on. */
    at = $state('');
    /** Up to two runs that are to be compared. */
    marked = $state.raw<readonly string[]>([]);
    /** Unix seconds, as of the last look. */
    now = $state(Date.now() / 1000);

    private timer: ReturnType<typeof setTimeout> | undefined;
    private isClosed = false;
    private asked = 0;

    readonly isAnyRunning = $derived(this.heads.some((head) => head.status === 'running'));
    readonly index = $derived(
        Math.max(
            0,
            this.heads.findIndex((head) => head.id === this.at),
        ),
    );
    /** The two that are marked, the older one first; null unless there are two. */
    readonly pair = $derived.by((): [string, string] | null => {
        if (this.marked.length !== 2) return null;
        const began = (id: string): number => this.heads.find((head) => head.id === id)?.started_at ?? 0;
        const [one, other] = this.marked;
        return began(one) <= began(other) ? [one, other] : [other, one];
    });

    constructor(source: Source) {
        this.source = source;
        const { params } = router.route;
        this.q = params.get('q') ?? '';
        this.status = params.get('status') ?? '';
        const compared = params.get('compare');
        if (compared) this.marked = [compared];
    }

    /** Load the list and keep it fresh as long as it is looked at. Return what ends that. */
    open(): () => void {
        const see = (): void => (document.hidden ? clearTimeout(this.timer) : void this.reload());
        document.addEventListener('visibilitychange', see);
        void this.reload();
        return () => {
            this.isClosed = true;
            clearTimeout(this.timer);
            document.removeEventListener('visibilitychange', see);
        };
    }

    /** Ask for other runs. */
    ask(q: string, status: string): void {
        this.q = q;
        this.status = status;
        this.note();
        void this.reload(PAGE_RUNS);
    }

    /** Move the keys by some rows. */
    move(by: number): void {
        const index = Math.min(Math.max(this.index + by, 0), this.heads.length - 1);
        this.at = this.heads[index]?.id ?? '';
    }

    /** Mark a run for comparing, or take the mark away; a third takes the place of the first. */
    mark(id: string): void {
        const others = this.marked.filter((one) => one !== id);
        this.marked = others.length < this.marked.length ? others : [...others, id].slice(-2);
        this.note();
    }

    async more(): Promise<void> {
        this.isAdding = true;
        await this.reload(this.heads.length + PAGE_RUNS);
        this.isAdding = false;
    }

    /** Fetch as many runs anew as are shown, or `wanted`. What was asked for later wins. */
    async reload(wanted = Math.max(this.heads.length, PAGE_RUNS)): Promise<void> {
        const asked = ++this.asked;
        clearTimeout(this.timer);
        try {
            const { runs, next } = await this.fetch(wanted);
            if (asked !== this.asked || this.isClosed) return;
            if (JSON.stringify(runs) !== JSON.stringify(this.heads)) this.heads = runs;
            this.next = next;
            this.problem = '';
        } catch (error) {
            if (asked !== this.asked) return;
            this.problem = said(error);
        }
        this.isLoaded = true;
        this.now = Date.now() / 1000;
        this.schedule();
    }

    private note(): void {
        const compare = this.marked.length === 1 ? this.marked[0] : '';
        router.note({ q: this.q, status: this.status, compare });
    }

    private async fetch(wanted: number): Promise<{ runs: Head[]; next: string | null }> {
        const { q, status } = this;
        const runs: Head[] = [];
        let next: string | null = '';
        while (next !== null && runs.length < wanted) {
            const page: { runs: Head[]; next: string | null } = await this.source.runs({
                q,
                status,
                after: next,
                limit: PAGE_RUNS,
            });
            runs.push(...page.runs);
            next = page.next;
        }
        return { runs, next };
    }

    private schedule(): void {
        clearTimeout(this.timer);
        if (this.isClosed || document.hidden || !this.source.actions) return;
        this.timer = setTimeout(() => void this.reload(), this.isAnyRunning ? POLL_MS : POLL_SLOW_MS);
    }
}
