// What a server has kept between calls of a model: how much of a prompt it had read before, and under which name
// it keeps what it has read by now. Knows no element; all of it may be from a hostile journal.

import { isRecord } from './contents.ts';
import type { Step } from './types.ts';
import { exact } from './words.ts';

/** Return "812 of 830", the prompt's tokens that were not read again; empty where nothing is known of it. */
export function reused(step: Step): string {
    if (!step.usage) return '';
    const { warm_up } = step.details;
    const ahead = isRecord(warm_up) && isRecord(warm_up.usage) ? warm_up.usage : {};
    const own = (name: string): number => (step.usage?.[name] ?? 0) - (Number(ahead[name]) || 0);
    const cached = own('cached_tokens');
    return cached > 0 || kept(step) ? `${exact(cached)} of ${exact(own('input_tokens'))}` : '';
}

/** Return the name of the state after the reply; empty where none was kept. */
export function kept(step: Step): string {
    const { state } = step.details;
    return typeof state === 'string' ? state : '';
}
