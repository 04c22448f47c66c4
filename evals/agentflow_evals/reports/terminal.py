"""Reports on a terminal, 100 columns wide at most.

Owns the layout and the colours. The words and figures come from `grids.py`.
"""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentflow.cli.words import clean
from agentflow.statistics import Interval
from agentflow_evals.analysis.comparing import Compared, Comparison
from agentflow_evals.analysis.curves import curves_of
from agentflow_evals.analysis.tables import Report, Row
from agentflow_evals.record import Evaluation
from agentflow_evals.reports import facts, grids
from agentflow_evals.reports.grids import Grid

WIDTH = 100
GAP = 2
BAR = 20
LEAST_BAR = 8
SHOWN_CHANGES = 20
LEGEND = (
    "n: samples in both. + -: samples that the second solves more and less often. p: McNemar's exact test, "
    "or paired permutation; Holm: for all lines together. tokens: times as many. Runs: --format json."
)


def print_report(console: Console, report: Report, evaluation: Evaluation | None = None) -> None:
    """Print the tables of a report; with its evaluation also what was run and the equal budgets."""
    _widen(console)
    if evaluation is not None:
        _print_head(console, evaluation)
    for model in dict.fromkeys(row.model for row in report.rows):
        rows = [row for row in report.rows if row.model == model]
        _say(console, f"\n{grids.label(model)}", "bold cyan")
        console.print(_results(report, rows, min(WIDTH, console.width)), width=WIDTH)
        console.print()
        console.print(_plain(grids.costs(report, rows)), width=WIDTH)
        if evaluation is not None:
            own = [curve for curve in curves_of(evaluation) if curve.model == model]
            _print_more(console, grids.budgets(own))
        _print_more(console, grids.groups([row for row in report.groups if row.model == model]))
    console.print()
    for line in grids.legend(report):
        console.print(Text(line, style="dim"), width=WIDTH)
    if evaluation is not None:
        _print_missing(console, evaluation)


def print_comparison(console: Console, found: Comparison) -> None:
    """Print how one evaluation does against another, and on which samples."""
    _widen(console)
    _say(console, f"{clean(found.first)} → {clean(found.second)}", "bold")
    for warning in (*found.warnings, *found.without):
        _say(console, f"! {clean(warning)}", "yellow")
    console.print()
    console.print(_plain(grids.comparison(found)), width=WIDTH)
    for one in found.compared:
        _print_changes(console, one)
    console.print()
    console.print(Text(LEGEND, style="dim"), width=WIDTH)


def _print_changes(console: Console, one: Compared) -> None:
    if not one.changes:
        return
    _say(console, f"\n{', '.join(map(grids.label, one.second))}", "bold cyan")
    for mark, style, better in (("+", "green", True), ("-", "red", False)):
        names = [item.sample for item in one.changes if (item.after > item.before) is better]
        if names:
            shown = ", ".join(clean(name, 40) for name in names[:SHOWN_CHANGES])
            more = f" and {len(names) - SHOWN_CHANGES} more" if names[SHOWN_CHANGES:] else ""
            line = Text.assemble((f"{mark}{len(names)} ", style), f"{shown}{more}")
            console.print(line, width=WIDTH)


def _print_head(console: Console, evaluation: Evaluation) -> None:
    _say(
        console, f"{clean(evaluation.plan.suite.shown, 60)}: {facts.size(evaluation.plan)}", "bold"
    )
    line = f"evaluation {clean(evaluation.id, 60)}, {facts.state(evaluation)}"
    _say(console, f"{line}, seed {evaluation.plan.seed}", "dim")


def _print_missing(console: Console, evaluation: Evaluation) -> None:
    said = facts.missing(evaluation)
    if said:
        _say(console, f"\n{said}", "yellow")
    error = facts.first_error(evaluation)
    if error:
        _say(console, f"the first error: {error}", "yellow")


def _print_more(console: Console, grid: Grid | None) -> None:
    if grid is not None:
        console.print()
        console.print(_plain(grid), width=WIDTH)


def _results(report: Report, rows: Sequence[Row], most: int) -> Table:
    """Return the table of results with each interval drawn where it lies between 0 and 100 %."""
    grid = grids.results(report, rows)
    place = next(n for n, heading in enumerate(grid.headings) if heading.startswith("95 %")) + 1
    columns = zip(grid.headings, *grid.rows, strict=True)
    used = sum(max(map(cell_len, column)) + GAP for column in columns)
    width = min(BAR, most - used)
    if width < LEAST_BAR:
        return _plain(grid, most)
    headings = [*grid.headings]
    headings.insert(place, "0".ljust(width - 3) + "100")
    lines = []
    for row, cells in zip(rows, grid.rows, strict=True):
        line = [Text(cell) for cell in cells]
        line.insert(place, _bar(row.score if report.is_fractional else row.rate, width))
        lines.append(line)
    return _table(headings, lines)


def _bar(interval: Interval | None, width: int) -> Text:
    """Return an interval as a line on a scale from 0 to 1, its estimate as a point."""
    if interval is None:
        return Text("·" * width, style="dim")

    def column(share: float) -> int:
        return min(width - 1, max(0, round(share * (width - 1))))

    low, middle, high = map(column, (interval.low, interval.estimate, interval.high))
    text = Text("·" * low, style="dim")
    text.append("━" * (middle - low), style="cyan")
    text.append("●", style="bold cyan")
    text.append("━" * (high - middle), style="cyan")
    return text.append("·" * (width - 1 - high), style="dim")


def _plain(grid: Grid, most: int = WIDTH) -> Table:
    """Return a table, closer together if it would not fit else."""
    columns = zip(grid.headings, *grid.rows, strict=True)
    used = sum(max(map(cell_len, column)) + GAP for column in columns) - GAP
    lines = [[Text(cell) for cell in row] for row in grid.rows]
    return _table(grid.headings, lines, GAP if used <= most else 1)


def _table(headings: Sequence[str], rows: Sequence[Sequence[Text]], gap: int = GAP) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    for number, heading in enumerate(headings):
        figure = number > 0
        table.add_column(Text(heading), justify="right" if figure else "left", no_wrap=figure)
    for row in rows:
        table.add_row(*row)
    return table


def _widen(console: Console) -> None:
    """Give a file or a pipe, which has no width of its own, the room that the tables need."""
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)


def _say(console: Console, text: str, style: str) -> None:
    console.print(Text(text, style=style), soft_wrap=True)
