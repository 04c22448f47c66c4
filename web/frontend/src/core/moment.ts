// The run as it was at one event.
//
// Owns the answer to "what was true then". A moment is an event number: a cursor into the columns, not
// a rebuilt copy of them, so moving it costs two binary searches, whatever the distance.

import { Columns, Flag, STATUS_WORDS, Status } from './columns.ts';
import { grown } from './growing.ts';

export interface Totals {
    running: number;
    done: number;
    tokens: number;
    /** Dollars; null when a part has no known price. */
    cost: number | null;
    errors: number;
}

export class Moments {
    private columns: Columns;
    private ends = 0;
    private tokens: Float64Array = new Float64Array(1);
    private cost: Float64Array = new Float64Array(1);
    private unpriced: Int32Array = new Int32Array(1);
    private errors: Int32Array = new Int32Array(1);

    constructor(columns: Columns) {
        this.columns = columns;
    }

    /** Whether a step had started by event `moment`. */
    has = (step: number, moment: number): boolean => {
        const start = this.columns.startEvent[step];
        return start > 0 && start <= moment;
    };

    /** Return the number of `Status` that a step had at event `moment`. */
    outcome(step: number, moment: number): number {
        const end = this.columns.endEvent[step];
        if (end && end <= moment) return this.columns.outcome[step];
        const isNow = moment >= this.columns.lastEvent && this.columns.isWhole;
        return isNow && this.columns.isOver ? Status.left : Status.running;
    }

    /** The same as a word. */
    word = (step: number, moment: number): string => STATUS_WORDS[this.outcome(step, moment)];

    /** When a step ended as far as was known at `moment`; NaN while it was under way. */
    endAt(step: number, moment: number): number {
        const end = this.columns.endEvent[step];
        return end && end <= moment ? this.columns.endAt[step] : NaN;
    }

    /** Return the sums over all that had happened by `moment`. */
    totals(moment: number): Totals {
        this.index();
        const ended = this.countEnded(moment);
        const started = this.countStarted(moment);
        return {
            running: started - ended,
            done: ended,
            tokens: this.tokens[ended],
            cost: this.unpriced[ended] ? null : this.cost[ended] / 1e6,
            errors: this.errors[ended],
        };
    }

    /** The last event at or before a time; the first event when there is none. */
    eventAt(time: number): number {
        const { eventAt, lastEvent } = this.columns;
        return Math.max(
            1,
            firstAbove(lastEvent, (i) => eventAt[i + 1] > time),
        );
    }

    /** When `moment` was. */
    timeOf(moment: number): number {
        const { eventAt, lastEvent } = this.columns;
        return eventAt[Math.min(moment, lastEvent)] ?? 0;
    }

    /** How many steps had started by `moment`: the highest number among them. */
    countStarted(moment: number): number {
        const { startEvent, size } = this.columns;
        return firstAbove(size, (i) => startEvent[i + 1] > moment);
    }

    /** How many of `columns.ended` had ended by `moment`. */
    countEnded(moment: number): number {
        const { ended, endEvent, endedCount } = this.columns;
        return firstAbove(endedCount, (i) => endEvent[ended[i]] > moment);
    }

    /** Extend the running sums by the steps that ended since. */
    private index(): void {
        const { columns } = this;
        const size = columns.endedCount;
        if (size === this.ends) return;
        this.tokens = grown(this.tokens, size + 1);
        this.cost = grown(this.cost, size + 1);
        this.unpriced = grown(this.unpriced, size + 1);
        this.errors = grown(this.errors, size + 1);
        for (let i = this.ends; i < size; i++) {
            const step = columns.ended[i];
            const isOwn = !(columns.flags[step] & Flag.taken);
            const cost = isOwn ? columns.cost[step] : 0;
            this.tokens[i + 1] =
                this.tokens[i] + (isOwn ? columns.inputTokens[step] + columns.outputTokens[step] : 0);
            this.cost[i + 1] = this.cost[i] + Math.max(0, cost);
            this.unpriced[i + 1] = this.unpriced[i] + (cost < 0 ? 1 : 0);
            this.errors[i + 1] = this.errors[i] + (isError(columns.outcome[step]) ? 1 : 0);
        }
        this.ends = size;
    }
}

/** Whether an outcome is one that a person looks for. */
export function isError(outcome: number): boolean {
    return outcome === Status.failed || outcome === Status.refused;
}

/** Return the first index below `size` for which `isAbove` holds, or `size`; it holds from there on. */
function firstAbove(size: number, isAbove: (index: number) => boolean): number {
    let low = 0;
    let high = size;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (isAbove(middle)) high = middle;
        else low = middle + 1;
    }
    return low;
}
