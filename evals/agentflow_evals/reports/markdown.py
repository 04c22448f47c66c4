"""Reports as Markdown that can be pasted into a document: tables, and how they were made.

Owns the form only; text from outside cannot break out of its cell. The words come from `grids.py`.
"""

import re
from collections.abc import Iterator

from agentflow.cli.words import clean
from agentflow_evals.analysis.comparing import Comparison
from agentflow_evals.analysis.curves import curves_of
from agentflow_evals.analysis.tables import Report
from agentflow_evals.record import Evaluation
from agentflow_evals.reports import facts, grids
from agentflow_evals.reports.facts import Fact
from agentflow_evals.reports.grids import Grid
from agentflow_evals.reports.numbers import percent

CHANGES = ("sample", "before", "after")
_SPECIAL = re.compile(r"([\\`*\[\]<>#|~&]|(?<!\w)_|_(?!\w))")


def markdown(report: Report, evaluation: Evaluation) -> str:
    """Return a report as Markdown, ending in a line break."""
    return "\n\n".join(_blocks(report, evaluation)) + "\n"


def _blocks(report: Report, evaluation: Evaluation) -> Iterator[str]:
    yield f"## {escaped(evaluation.plan.suite.shown)}: {facts.size(evaluation.plan)}"
    curves = curves_of(evaluation)
    for model in dict.fromkeys(row.model for row in report.rows):
        rows = [row for row in report.rows if row.model == model]
        yield f"### {escaped(grids.label(model))}"
        yield _table(grids.results(report, rows))
        yield _table(grids.costs(report, rows))
        more = (
            grids.budgets([curve for curve in curves if curve.model == model]),
            grids.groups([row for row in report.groups if row.model == model]),
        )
        yield from (_table(grid) for grid in more if grid is not None)
    said = facts.missing(evaluation)
    if said:
        yield f"**{escaped(said)}**"
    yield "\n".join(f"- {escaped(line)}" for line in grids.legend(report))
    yield "How it was made:"
    yield "\n".join(
        f"- **{escaped(fact.name)}**: {_value(fact)}" for fact in facts.facts(evaluation)
    )


def comparison_markdown(found: Comparison) -> str:
    """Return a comparison as Markdown: the table, what makes it doubtful, and the samples that changed."""
    blocks = [
        f"## {escaped(found.first)} → {escaped(found.second)}",
        _table(grids.comparison(found)),
    ]
    doubts = [f"- {escaped(line)}" for line in (*found.warnings, *found.without)]
    blocks += ["\n".join(doubts)] if doubts else []
    for one in found.compared:
        names = ", ".join(map(grids.label, one.second))
        rows = tuple(
            (clean(item.sample, 60), percent(item.before), percent(item.after))
            for item in one.changes
        )
        if rows:
            blocks += [f"### {escaped(names)}", _table(Grid(headings=CHANGES, rows=rows))]
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """Return text in which nothing is markup."""
    return _SPECIAL.sub(r"\\\1", text)


def _value(fact: Fact) -> str:
    if fact.name == facts.COMMAND:
        return f"`{fact.lines[0].replace('`', chr(39))}`"
    return escaped("; ".join(fact.lines))


def _table(grid: Grid) -> str:
    """Return a table with its columns aligned, so that it also reads well as text."""
    lines = [[escaped(cell) for cell in line] for line in (grid.headings, *grid.rows)]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*lines, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    head, *body = (_line(line, widths) for line in lines)
    return "\n".join((head, _line(rule, widths), *body))


def _line(cells: list[str], widths: list[int]) -> str:
    first, *figures = zip(cells, widths, strict=True)
    shown = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in figures)]
    return f"| {' | '.join(shown)} |"
