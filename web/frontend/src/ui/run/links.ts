// Where the buttons of a run lead.

import { linkTo } from '../../state/route.svelte.ts';
import type { RunView } from '../../state/run.svelte.ts';

/** To the comparison with the run that it was forked from, or to the list, where another one is picked. */
export function compareLink(view: RunView): string {
    const parent = view.run?.parent;
    return parent ? linkTo('compare', parent, view.id) : linkTo('runs', '', '', { compare: view.id });
}
