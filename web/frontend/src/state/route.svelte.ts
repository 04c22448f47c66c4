// The address of the page: one state, one link.
//
// Owns reading and writing `#/run/ID?s=12&e=340&v=flame&q=…`. Everything a person may want to point
// somebody at is in it; what is default is left out.

export type ViewName = 'tree' | 'flame' | 'graph' | 'transcript' | 'table';
export const VIEWS: readonly ViewName[] = ['tree', 'flame', 'graph', 'transcript', 'table'];

export interface Route {
    page: 'runs' | 'run' | 'compare';
    /** The run, or the first of two that are compared. */
    run: string;
    other: string;
    params: URLSearchParams;
}

export function readRoute(hash: string): Route {
    const [path, search = ''] = hash.replace(/^#/, '').split('?');
    const parts = path.split('/').filter(Boolean).map(decodeURIComponent);
    const params = new URLSearchParams(search);
    if (parts[0] === 'run' && parts[1]) return { page: 'run', run: parts[1], other: '', params };
    if (parts[0] === 'compare' && parts[2])
        return { page: 'compare', run: parts[1], other: parts[2], params };
    return { page: 'runs', run: '', other: '', params };
}

export function linkTo(
    page: Route['page'],
    run = '',
    other = '',
    params: Record<string, string> = {},
): string {
    const path = [page, run, other].filter(Boolean).map(encodeURIComponent).join('/');
    const search = new URLSearchParams(Object.entries(params).filter(([, value]) => value)).toString();
    return `#/${path}${search ? `?${search}` : ''}`;
}

class Router {
    route = $state.raw<Route>(readRoute(location.hash));

    constructor() {
        addEventListener('hashchange', () => this.read());
    }

    /** Take over what the address says now. */
    read(): void {
        this.route = readRoute(location.hash);
    }

    /** Go to another page, so that Back returns here. */
    go(link: string): void {
        location.hash = link;
        // The browser tells of the new address later; until then a timer of the page that is left
        // could write its own over it.
        this.read();
    }

    /** Be at another page instead of this one, so that Back does not return here. */
    become(link: string): void {
        history.replaceState(null, '', link);
        this.route = readRoute(link);
    }

    /** Change the parameters of this page's address without a new entry in the history. */
    note(params: Record<string, string>): void {
        const { page, run, other } = this.route;
        const link = linkTo(page, run, other, params);
        if (link !== location.hash) history.replaceState(null, '', link);
    }
}

export const router = new Router();
