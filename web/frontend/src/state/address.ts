// What is looked at in a run, as it stands in the address behind the `#`.

import { VIEWS, type ViewName } from './route.svelte.ts';

/** What an address keeps of the page of a run. */
export interface Looked {
    selected: number;
    cursor: number | null;
    view: ViewName;
    query: string;
    errorsOnly: boolean;
    zoom: [number, number] | null;
}

/** Return the parameters of an address; empty ones are left out of it. */
export function addressOf(looked: Looked): Record<string, string> {
    return {
        s: looked.selected ? String(looked.selected) : '',
        e: looked.cursor === null ? '' : String(looked.cursor),
        v: looked.view === 'tree' ? '' : looked.view,
        q: looked.query,
        errors: looked.errorsOnly ? '1' : '',
        w: looked.zoom ? looked.zoom.map((at) => at.toFixed(3)).join('..') : '',
    };
}

/** Take what an address says into `looked`; one that names no step leaves the selection. */
export function takeAddress(looked: Looked, params: URLSearchParams): void {
    looked.selected = Number(params.get('s')) || looked.selected;
    looked.cursor = Number(params.get('e')) || null;
    looked.query = params.get('q') ?? '';
    looked.errorsOnly = params.has('errors');
    const [from, to] = (params.get('w') ?? '').split('..').map(Number);
    looked.zoom = to > from ? [from, to] : null;
    const view = params.get('v') as ViewName;
    looked.view = VIEWS.includes(view) ? view : 'tree';
}
