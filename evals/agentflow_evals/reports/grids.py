"""What stands in the tables of a report: headings and cells in words, for the terminal and for Markdown.

Owns the choice of columns and how their figures read. Knows no form of output. What is unknown is a dash.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentflow.cli.words import clean
from agentflow.statistics import Interval
from agentflow_evals.analysis.comparing import Comparison
from agentflow_evals.analysis.curves import Curve, budgets_of
from agentflow_evals.analysis.pairing import Difference
from agentflow_evals.analysis.tables import Report, Row
from agentflow_evals.reports.numbers import (
    UNKNOWN,
    bounds,
    change,
    count,
    p_value,
    percent,
    ratio,
    short_count,
    short_counts,
    short_times,
    usd,
)

LABEL_CHARACTERS = 26


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table: the first column is a label, the others are figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Column = tuple[str, Callable[[Row], str]]


def results(report: Report, rows: Sequence[Row]) -> Grid:
    """Return what was solved, how sure that is, and whether it differs from the baseline."""
    columns: list[Column] = [
        ("planner", lambda row: label(row.planner)),
        ("solved", lambda row: f"{row.solved}/{row.counted}"),
        ("rate", lambda row: percent(estimate(row.rate))),
    ]
    if report.is_fractional:
        columns += [
            ("score", lambda row: percent(estimate(row.score))),
            ("95 % of score", lambda row: bounds(row.score)),
        ]
    else:
        columns.append(("95 % interval", lambda row: bounds(row.rate)))
    k = max((k for row in rows for k in row.pass_at), default=1)
    if k > 1:
        columns.append((f"k={k}", lambda row: percent(row.pass_at.get(k))))
    columns += _against(report) if report.pairs else []
    if any(row.refused for row in rows):
        columns.append(("refused", lambda row: count(row.refused)))
    if report.missing:
        columns.append(("missing", lambda row: count(row.missing)))
    return _grid(columns, rows)


def costs(report: Report, rows: Sequence[Row]) -> Grid:
    """Return what a sample and a solved sample cost, and what form the runs had."""
    columns: list[Column] = [
        ("planner", lambda row: label(row.planner)),
        ("calls", lambda row: count(row.calls)),
        ("tokens", lambda row: count(row.tokens)),
        ("x", lambda row: _ratio(report, row)),
        ("tok/solved", lambda row: count(estimate(row.tokens_per_solved))),
        ("$/solved", lambda row: usd(row.cost_per_solved_usd)),
        ("time", lambda row: short_times(row.seconds)),
        ("path", lambda row: short_times(row.critical_path_s)),
        ("depth", lambda row: short_counts(row.depth)),
        ("breadth", lambda row: short_counts(row.breadth)),
    ]
    return _grid([column for column in columns if column[0] != "x" or report.pairs], rows)


def budgets(curves: Sequence[Curve]) -> Grid | None:
    """Return the share of samples solved within token budgets; None if nothing was solved."""
    steps = budgets_of(curves)
    if not steps:
        return None
    rows = [
        (label(curve.planner), *(percent(curve.share_at(step)) for step in steps))
        for curve in curves
    ]
    headings = ("solved with at most", *(f"{short_count(step)} tokens" for step in steps))
    return Grid(headings=headings, rows=tuple(rows))


def groups(rows: Sequence[Row]) -> Grid | None:
    """Return a line for each group and a column for each planner; None without groups."""
    planners = list(dict.fromkeys(row.planner for row in rows))
    found = {(row.group, row.planner): row for row in rows}
    names = sorted({row.group for row in rows})
    cells = [
        (label(name), *(_share(found.get((name, planner))) for planner in planners))
        for name in names
    ]
    headings = ("group", *map(label, planners))
    return Grid(headings=headings, rows=tuple(cells)) if names else None


def comparison(found: Comparison) -> Grid:
    """Return a line for each planner and model of two evaluations."""
    is_scored = any(one.pair.score for one in found.compared)
    rows = []
    for one in found.compared:
        difference = one.pair.solved
        cells = [
            _names(one.first, one.second),
            str(one.pair.samples),
            percent(one.before.estimate),
            percent(one.after.estimate),
            change(difference.interval),
            f"+{one.pair.wins} -{one.pair.losses}",
            p_value(difference.p),
            p_value(difference.p_holm),
            ratio(one.pair.tokens_ratio),
        ]
        score = one.pair.score
        cells += [change(score.interval), p_value(score.p_holm)] if score else []
        rows.append(tuple(cells))
    headings = (
        "planner, model",
        "n",
        "first",
        "second",
        "change, points",
        "+ -",
        "p",
        "Holm",
        "tokens",
    )
    extra = ("score, points", "Holm") if is_scored else ()
    return Grid(headings=(*headings, *extra), rows=tuple(rows))


def legend(report: Report) -> list[str]:
    """Return what the columns mean, in a few lines."""
    how = "Wilson; bootstrap over samples for scores and repeats"
    lines = [f"Intervals: {how}. refused counts as not solved, errors do not count."]
    if report.pairs:
        tested = "score" if report.is_fractional else "rate"
        lines.append(
            f"vs: samples solved more (+) and less (-) often than by {label(report.baseline)}; p of the {tested}: "
            f"{_tests(report)}; Holm: p for all comparisons together."
        )
    if report.repeat > 1:
        lines.append(
            f"Each sample ran {report.repeat} times: its runs are averaged first. k: pass@k, one of k solves it."
        )
    lines.append(
        "calls, tokens: mean a sample, as if none was cached; x: tokens against the baseline; time, path "
        "(the longest chain of steps): median/95th percentile; depth, breadth: median/most."
    )
    return lines


def label(text: str) -> str:
    """Return a label as it may stand in a table."""
    return clean(text, LABEL_CHARACTERS)


def estimate(interval: Interval | None) -> float | None:
    """Return what an interval is of; None for none."""
    return None if interval is None else interval.estimate


def _against(report: Report) -> list[Column]:
    def told(say: Callable[[Difference], str]) -> Callable[[Row], str]:
        def cell(row: Row) -> str:
            pair = report.pair(row)
            return "" if pair is None else say(pair.score or pair.solved)

        return cell

    def wins(row: Row) -> str:
        pair = report.pair(row)
        return "" if pair is None else f"+{pair.wins} -{pair.losses}"

    return [
        (f"vs {clean(report.baseline, 12)}", wins),
        ("p", told(lambda difference: p_value(difference.p))),
        ("Holm", told(lambda difference: p_value(difference.p_holm))),
    ]


def _tests(report: Report) -> str:
    found = {(pair.score or pair.solved).test for pair in report.pairs}
    names = {"McNemar": "McNemar's exact test", "permutation": "paired permutation"}
    return " or ".join(names[name] for name in sorted(found))


def _ratio(report: Report, row: Row) -> str:
    if row.planner == report.baseline:
        return "1"
    pair = report.pair(row)
    return ratio(None if pair is None else pair.tokens_ratio)


def _share(row: Row | None) -> str:
    if row is None or row.rate is None:
        return UNKNOWN
    return f"{row.solved}/{row.counted} {percent(row.rate.estimate)}"


def _names(first: tuple[str, str], second: tuple[str, str]) -> str:
    same = [
        label(was) if was == now else f"{label(was)} → {label(now)}"
        for was, now in zip(first, second, strict=True)
    ]
    return ", ".join(same)


def _grid(columns: Sequence[Column], rows: Sequence[Row]) -> Grid:
    cells = tuple(tuple(say(row) for _heading, say in columns) for row in rows)
    return Grid(headings=tuple(heading for heading, _say in columns), rows=cells)
