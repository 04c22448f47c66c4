// What the steps of a branch add up to, for every step at once, at one moment.
//
// Owns running sums that follow the playhead: a small move adds or takes away the steps that ended in
// between along their paths to the root, a large one counts anew. Both cost about a millisecond at most
// for 100,000 steps. A step's own figures are in its sum; only `errors` counts what is below it alone.

import { Flag, type Columns } from './columns.ts';
import { grown } from './growing.ts';
import { isError, type Moments } from './moment.ts';

export interface Below {
    readonly tokens: Float64Array;
    /** Micro-dollars of what has a known price. */
    readonly cost: Float64Array;
    /** How many parts have no known price. */
    readonly unpriced: Int32Array;
    /** How many steps below failed: what a closed line must not hide. */
    readonly errors: Int32Array;
}

/** A path to the root is taken to be this long when the two ways of counting are weighed. */
const PATH = 12;

export class Sums {
    private columns: Columns;
    private moments: Moments;
    /** How many of `columns.ended` are counted. */
    private counted = 0;
    private tokens: Float64Array = new Float64Array(0);
    private cost: Float64Array = new Float64Array(0);
    private unpriced: Int32Array = new Int32Array(0);
    private errors: Int32Array = new Int32Array(0);

    constructor(columns: Columns, moments: Moments) {
        this.columns = columns;
        this.moments = moments;
    }

    /** Return the sums as of an event, in arrays that the next call changes. */
    at(moment: number): Below {
        const { columns } = this;
        this.reserve(columns.size + 1);
        const ended = this.moments.countEnded(moment);
        if (Math.abs(ended - this.counted) * PATH > columns.size) this.countAnew(ended);
        else {
            for (let i = this.counted; i < ended; i++) this.add(columns.ended[i], 1);
            for (let i = this.counted - 1; i >= ended; i--) this.add(columns.ended[i], -1);
        }
        this.counted = ended;
        const { tokens, cost, unpriced, errors } = this;
        return { tokens, cost, unpriced, errors };
    }

    private add(step: number, sign: 1 | -1): void {
        const { parent } = this.columns;
        const tokens = sign * this.ownTokens(step);
        const price = this.ownPrice(step);
        const cost = sign * Math.max(0, price);
        const unpriced = price < 0 ? sign : 0;
        const error = isError(this.columns.outcome[step]) ? sign : 0;
        for (let at = step; at; at = parent[at]) {
            this.tokens[at] += tokens;
            this.cost[at] += cost;
            this.unpriced[at] += unpriced;
            if (at !== step) this.errors[at] += error;
        }
    }

    private countAnew(ended: number): void {
        const { columns, tokens, cost, unpriced, errors } = this;
        const { parent, outcome } = columns;
        tokens.fill(0);
        cost.fill(0);
        unpriced.fill(0);
        errors.fill(0);
        const failed = new Uint8Array(columns.size + 1);
        for (let i = 0; i < ended; i++) {
            const step = columns.ended[i];
            const price = this.ownPrice(step);
            tokens[step] = this.ownTokens(step);
            if (price < 0) unpriced[step] = 1;
            else cost[step] = price;
            if (isError(outcome[step])) failed[step] = 1;
        }
        // A parent is older than its children, so from the last step down each sum is whole when it is added.
        for (let step = columns.size; step > 0; step--) {
            const up = parent[step];
            if (!up) continue;
            tokens[up] += tokens[step];
            cost[up] += cost[step];
            unpriced[up] += unpriced[step];
            errors[up] += errors[step] + failed[step];
        }
    }

    /** What a step alone has used; nothing when its result was taken over. */
    private ownTokens(step: number): number {
        const { flags, inputTokens, outputTokens } = this.columns;
        return flags[step] & Flag.taken ? 0 : inputTokens[step] + outputTokens[step];
    }

    private ownPrice(step: number): number {
        const { flags, cost } = this.columns;
        return flags[step] & Flag.taken ? 0 : cost[step];
    }

    private reserve(size: number): void {
        this.tokens = grown(this.tokens, size);
        this.cost = grown(this.cost, size);
        this.unpriced = grown(this.unpriced, size);
        this.errors = grown(this.errors, size);
    }
}
