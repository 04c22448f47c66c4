// What each key does on the page of a run. Which key is which stands in `core/keys.ts`.

import { keyFor, type Action } from '../../core/keys.ts';
import { foldOf } from '../../core/outline.ts';
import { lineAt, rowOf } from '../../core/rows.ts';
import { linkTo, router, VIEWS } from '../../state/route.svelte.ts';
import type { RunView } from '../../state/run.svelte.ts';
import { copyLink, copyTree } from './copying.ts';
import { compareLink } from './links.ts';

export const SPEEDS = [1, 3, 10, 30, 100];
const PAGE_ROWS = 20;
const ZOOM = 0.6;
const PAN = 0.2;

/** Do what a key asks for, unless somebody is typing or the key belongs to what has the focus. */
export function handleKey(event: KeyboardEvent, view: RunView): void {
    const key = keyFor(event);
    if (!key || event.defaultPrevented || view.dialog) return;
    const target = event.target as HTMLElement;
    if (isTyping(target)) return;
    if (key.isCommon && usesCommonKeys(target)) return;
    if (doAction(key.action, event.key, view)) event.preventDefault();
}

/** Return whether the action had something to do here. */
export function doAction(action: Action, key: string, view: RunView): boolean {
    if (isForRows(action)) return view.view === 'tree' && moveRow(action, view);
    ACTIONS[action as keyof typeof ACTIONS](view, key);
    return true;
}

const ACTIONS = {
    stepBack: (view: RunView) => view.stepBy(-1, 'event'),
    stepForward: (view: RunView) => view.stepBy(1, 'event'),
    unitBack: (view: RunView) => view.stepBy(-1),
    unitForward: (view: RunView) => view.stepBy(1),
    play: (view: RunView) => void (view.isPlaying = !view.isPlaying),
    slower: (view: RunView) => speedUp(view, -1),
    faster: (view: RunView) => speedUp(view, 1),
    follow: (view: RunView) => followLive(view),
    nextError: (view: RunView) => view.nextError(1),
    previousError: (view: RunView) => view.nextError(-1),
    nextPeer: (view: RunView) => view.nextPeer(1),
    previousPeer: (view: RunView) => view.nextPeer(-1),
    axisIn: (view: RunView) => view.time.inward(),
    axisRun: (view: RunView) => view.time.toRun(),
    zoomIn: (view: RunView) => view.time.zoomBy(ZOOM),
    zoomOut: (view: RunView) => view.time.zoomBy(1 / ZOOM),
    panLeft: (view: RunView) => view.time.panBy(-PAN),
    panRight: (view: RunView) => view.time.panBy(PAN),
    depth: (view: RunView, key: string) => view.openTo(Number(key)),
    all: (view: RunView) => view.openTo(Infinity),
    find: () => document.getElementById('find')?.focus(),
    errorsOnly: (view: RunView) => {
        view.errorsOnly = !view.errorsOnly;
        view.writeAddress();
    },
    nextView: (view: RunView) => view.show(VIEWS[(VIEWS.indexOf(view.view) + 1) % VIEWS.length]),
    compare: (view: RunView) => router.go(compareLink(view)),
    fork: (view: RunView) => void (view.source.actions && view.selected && (view.dialog = 'fork')),
    copyLink: (view: RunView) => void copyLink(view),
    copyTree: (view: RunView) => void copyTree(view),
    keys: (view: RunView) => void (view.dialog = 'keys'),
    back: (view: RunView) => goBack(view),
};

type RowAction = Exclude<Action, keyof typeof ACTIONS>;

function isForRows(action: Action): action is RowAction {
    return !(action in ACTIONS);
}

function moveRow(action: RowAction, view: RunView): boolean {
    const { lines, selected } = view;
    switch (action) {
        case 'rowUp':
            return toLine(view, lineAt(lines, selected, -1));
        case 'rowDown':
            return toLine(view, lineAt(lines, selected, 1));
        case 'pageUp':
            return toLine(view, lineAt(lines, selected, -PAGE_ROWS));
        case 'pageDown':
            return toLine(view, lineAt(lines, selected, PAGE_ROWS));
        case 'firstRow':
            return toLine(view, lines[0]);
        case 'lastRow':
            return toLine(view, lines[lines.length - 1]);
        case 'open':
            return open(view);
        case 'close':
            return close(view);
        case 'enter':
            return toggle(view);
    }
}

function toLine(view: RunView, line: number | undefined): boolean {
    if (line) view.selectLine(line);
    return true;
}

function open(view: RunView): boolean {
    const { columns, selected, lines } = view;
    const row = rowOf(lines, selected);
    if (row >= 0 && lines[row] < 0) view.setUnfolded(selected, true);
    else if (view.closed.has(selected)) view.setOpen(selected, true);
    else if (columns.firstChild[selected] && columns.parent[Math.abs(lines[row + 1] ?? 0)] === selected)
        view.selectLine(lines[row + 1]);
    return true;
}

function close(view: RunView): boolean {
    const { columns, selected } = view;
    const isOpen = columns.firstChild[selected] && !view.closed.has(selected);
    if (isOpen) view.setOpen(selected, false);
    else if (view.unfolded.has(foldOf(columns, selected))) foldAgain(view, foldOf(columns, selected));
    else if (columns.parent[selected]) view.select(columns.parent[selected]);
    return true;
}

function toggle(view: RunView): boolean {
    const { columns, selected, lines } = view;
    const row = rowOf(lines, selected);
    if (row >= 0 && lines[row] < 0) view.setUnfolded(selected, true);
    else if (columns.firstChild[selected]) view.setOpen(selected, view.closed.has(selected));
    else if (view.unfolded.has(foldOf(columns, selected))) foldAgain(view, foldOf(columns, selected));
    return true;
}

function foldAgain(view: RunView, first: number): void {
    view.setUnfolded(first, false);
    view.selectLine(-first);
}

function speedUp(view: RunView, by: 1 | -1): void {
    const at = SPEEDS.indexOf(view.speed) + by;
    view.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at))];
    view.notice = `speed ${view.speed}x`;
}

/** Look at the newest event, and at those that come. */
export function followLive(view: RunView): void {
    view.isPlaying = false;
    view.isFollowing = true;
    view.moveTo(null);
}

function goBack(view: RunView): void {
    if (view.isPlaying) view.isPlaying = false;
    else if (view.query || view.errorsOnly) {
        view.errorsOnly = false;
        view.ask('');
    } else if (view.zoom) view.zoom = null;
    else if (view.source.actions) router.go(linkTo('runs'));
}

function isTyping(target: HTMLElement): boolean {
    if (target.isContentEditable || target.closest('dialog[open]')) return true;
    if (target instanceof HTMLInputElement) return !['range', 'checkbox', 'radio'].includes(target.type);
    return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** Whether what has the focus uses arrows, Space and Enter itself. */
function usesCommonKeys(target: HTMLElement): boolean {
    if (target.closest('[role="treegrid"]')) return false;
    return (
        target.closest('button, a, input, summary, [role], [tabindex]') !== null && target !== document.body
    );
}
