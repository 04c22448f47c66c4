// The keys of the page of a run: one table, which the page obeys and its sheet of keys shows.

export type Action =
    | 'rowUp'
    | 'rowDown'
    | 'open'
    | 'close'
    | 'firstRow'
    | 'lastRow'
    | 'pageUp'
    | 'pageDown'
    | 'enter'
    | 'stepBack'
    | 'stepForward'
    | 'unitBack'
    | 'unitForward'
    | 'play'
    | 'slower'
    | 'faster'
    | 'follow'
    | 'nextError'
    | 'previousError'
    | 'nextPeer'
    | 'previousPeer'
    | 'axisIn'
    | 'axisRun'
    | 'zoomIn'
    | 'zoomOut'
    | 'panLeft'
    | 'panRight'
    | 'depth'
    | 'all'
    | 'find'
    | 'errorsOnly'
    | 'nextView'
    | 'compare'
    | 'fork'
    | 'copyLink'
    | 'copyTree'
    | 'keys'
    | 'back';

export type Group = 'Rows' | 'Time' | 'Find' | 'Axis of the bars' | 'Page';

export interface Key {
    /** Values of `KeyboardEvent.key`. */
    keys: readonly string[];
    action: Action;
    help: string;
    group: Group;
    /** Left to whatever has the focus, unless that is the tree or nothing. */
    isCommon?: boolean;
}

export const KEYS: readonly Key[] = [
    { keys: ['ArrowUp', 'k'], action: 'rowUp', help: 'row above', group: 'Rows', isCommon: true },
    { keys: ['ArrowDown', 'j'], action: 'rowDown', help: 'row below', group: 'Rows', isCommon: true },
    {
        keys: ['ArrowRight'],
        action: 'open',
        help: 'unfold, then first child',
        group: 'Rows',
        isCommon: true,
    },
    { keys: ['ArrowLeft'], action: 'close', help: 'fold, then parent', group: 'Rows', isCommon: true },
    { keys: ['Enter'], action: 'enter', help: 'open or close a fold', group: 'Rows', isCommon: true },
    { keys: ['Home'], action: 'firstRow', help: 'first row', group: 'Rows', isCommon: true },
    { keys: ['End'], action: 'lastRow', help: 'last row', group: 'Rows', isCommon: true },
    { keys: ['PageUp'], action: 'pageUp', help: 'a page up', group: 'Rows', isCommon: true },
    { keys: ['PageDown'], action: 'pageDown', help: 'a page down', group: 'Rows', isCommon: true },
    {
        keys: ['1', '2', '3', '4', '5', '6', '7', '8', '9'],
        action: 'depth',
        help: 'open to this depth',
        group: 'Rows',
    },
    { keys: ['0'], action: 'all', help: 'open everything', group: 'Rows' },
    { keys: ['['], action: 'stepBack', help: 'one event back', group: 'Time' },
    { keys: [']'], action: 'stepForward', help: 'one event forward', group: 'Time' },
    { keys: ['{'], action: 'unitBack', help: 'back by the chosen unit', group: 'Time' },
    { keys: ['}'], action: 'unitForward', help: 'forward by the chosen unit', group: 'Time' },
    { keys: [' '], action: 'play', help: 'play or pause', group: 'Time', isCommon: true },
    { keys: [','], action: 'slower', help: 'slower', group: 'Time' },
    { keys: ['.'], action: 'faster', help: 'faster', group: 'Time' },
    { keys: ['l'], action: 'follow', help: 'to the end, and follow live', group: 'Time' },
    { keys: ['/'], action: 'find', help: 'find', group: 'Find' },
    { keys: ['e'], action: 'errorsOnly', help: 'errors only', group: 'Find' },
    { keys: ['n'], action: 'nextError', help: 'next error', group: 'Find' },
    { keys: ['N'], action: 'previousError', help: 'previous error', group: 'Find' },
    { keys: ['p'], action: 'nextPeer', help: 'next step of the same name', group: 'Find' },
    { keys: ['P'], action: 'previousPeer', help: 'previous step of the same name', group: 'Find' },
    { keys: ['f'], action: 'axisIn', help: 'run, parent, step itself', group: 'Axis of the bars' },
    { keys: ['F'], action: 'axisRun', help: 'the whole run', group: 'Axis of the bars' },
    { keys: ['w'], action: 'zoomIn', help: 'zoom in', group: 'Axis of the bars' },
    { keys: ['s'], action: 'zoomOut', help: 'zoom out', group: 'Axis of the bars' },
    { keys: ['a'], action: 'panLeft', help: 'earlier', group: 'Axis of the bars' },
    { keys: ['d'], action: 'panRight', help: 'later', group: 'Axis of the bars' },
    { keys: ['v'], action: 'nextView', help: 'next view', group: 'Page' },
    { keys: ['c'], action: 'compare', help: 'compare with another run', group: 'Page' },
    { keys: ['x'], action: 'fork', help: 'fork from the selected step', group: 'Page' },
    { keys: ['y'], action: 'copyLink', help: 'copy a link to this step and moment', group: 'Page' },
    { keys: ['Y'], action: 'copyTree', help: 'copy the selected subtree as JSON', group: 'Page' },
    { keys: ['?'], action: 'keys', help: 'this sheet', group: 'Page' },
    { keys: ['Escape'], action: 'back', help: 'close, clear, back', group: 'Page' },
];

const BY_KEY = new Map(KEYS.flatMap((key) => key.keys.map((name) => [name, key] as const)));

const NAMES: Record<string, string> = {
    ArrowUp: '↑',
    ArrowDown: '↓',
    ArrowLeft: '←',
    ArrowRight: '→',
    ' ': 'Space',
    Escape: 'Esc',
};

/** Return the name of a key as it is printed on it. */
export function keyName(key: string): string {
    return NAMES[key] ?? key;
}

/** Return what a key does, or undefined when it is nobody's here. */
export function keyFor(event: {
    key: string;
    ctrlKey: boolean;
    metaKey: boolean;
    altKey: boolean;
}): Key | undefined {
    return event.ctrlKey || event.metaKey || event.altKey ? undefined : BY_KEY.get(event.key);
}
