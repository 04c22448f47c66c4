// The columns of both tables: heading, width, and how a value is written.

import type { Columns } from '../../core/columns.ts';
import type { Cells, Group, GroupSort, Sort } from '../../core/sorting.ts';
import { clock, dollars, exact, seconds } from '../../core/words.ts';

export interface Column<Key extends string, Row> {
    key: Key;
    title: string;
    /** Pixels at the least, and the share of what is left over. */
    width: number;
    grow?: number;
    isNumber?: boolean;
    text: (row: Row) => string;
}

const NOTHING = '–';
const said = (value: number | null, say: (value: number) => string): string =>
    value === null ? NOTHING : say(value);

/** Return the columns of the table of steps, as they are at the moment of `cells`. */
export function stepColumns(columns: Columns, cells: Cells): Column<Sort, number>[] {
    const outcome = (step: number): string => {
        const { mark, word } = cells.standing(step);
        return `${mark} ${word}`;
    };
    const cost = (step: number): string =>
        cells.isPriceUnknown(step) ? dollars(null) : said(cells.cost(step), (value) => dollars(value / 1e6));
    return [
        { key: 'step', title: 'Step', width: 72, isNumber: true, text: exact },
        { key: 'name', title: 'Name', width: 120, grow: 2, text: columns.nameOf },
        { key: 'kind', title: 'Kind', width: 64, text: columns.kindOf },
        { key: 'outcome', title: 'Outcome', width: 112, text: outcome },
        {
            key: 'started',
            title: 'Started',
            width: 108,
            isNumber: true,
            text: (step) => clock(columns.startAt[step] - columns.startedAt),
        },
        {
            key: 'duration',
            title: 'Took',
            width: 84,
            isNumber: true,
            text: (step) => said(cells.duration(step), seconds),
        },
        {
            key: 'input',
            title: 'Tokens in',
            width: 96,
            isNumber: true,
            text: (step) => said(cells.input(step), exact),
        },
        {
            key: 'output',
            title: 'Tokens out',
            width: 104,
            isNumber: true,
            text: (step) => said(cells.output(step), exact),
        },
        { key: 'cost', title: 'Cost', width: 112, isNumber: true, text: cost },
        {
            key: 'model',
            title: 'Model',
            width: 140,
            grow: 1,
            text: (step) => columns.modelOf(step) || NOTHING,
        },
        {
            key: 'attempts',
            title: 'Attempts',
            width: 88,
            isNumber: true,
            text: (step) => said(cells.attempts(step), exact),
        },
        {
            key: 'depth',
            title: 'Depth',
            width: 68,
            isNumber: true,
            text: (step) => exact(columns.depth[step]),
        },
        { key: 'error', title: 'Error', width: 120, grow: 2, text: cells.error },
    ];
}

/** $14.07, with + ? where a part has no known price. */
function costOf({ cost, unpriced }: Group): string {
    if (cost === null) return unpriced ? dollars(null) : NOTHING;
    return `${dollars(cost / 1e6)}${unpriced ? ' + ?' : ''}`;
}

export const GROUP_COLUMNS: Column<GroupSort, Group>[] = [
    { key: 'name', title: 'Name', width: 140, grow: 2, text: (group) => group.name },
    { key: 'kind', title: 'Kind', width: 72, text: (group) => group.kind },
    { key: 'count', title: 'Steps', width: 84, isNumber: true, text: (group) => exact(group.count) },
    {
        key: 'failed',
        title: 'Failed',
        width: 84,
        isNumber: true,
        text: (group) => (group.failed ? `✗ ${exact(group.failed)}` : '0'),
    },
    {
        key: 'total',
        title: 'Took in all',
        width: 108,
        isNumber: true,
        text: (group) => seconds(group.total),
    },
    {
        key: 'mean',
        title: 'On average',
        width: 112,
        isNumber: true,
        text: (group) => seconds(group.mean),
    },
    {
        key: 'tokens',
        title: 'Tokens',
        width: 100,
        isNumber: true,
        text: (group) => said(group.tokens, exact),
    },
    {
        key: 'cost',
        title: 'Cost',
        width: 112,
        isNumber: true,
        text: costOf,
    },
];
