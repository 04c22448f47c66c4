"""The tables of a page: what each planner solved and spent, tests, groups, and what was not solved.

Owns columns and their words. Knows no plot. A column that would be empty in every row is left out.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from agentflow.data import Data
from agentflow.statistics import Interval
from agentflow_evals.analysis.pairing import BySample, Pair, by_sample, solved_rate
from agentflow_evals.analysis.tables import Report, Row, Spread, rate_of
from agentflow_evals.outcome import Outcome
from agentflow_evals.record import Evaluation
from agentflow_evals.reports import numbers, svg
from agentflow_evals.reports.markup import Child, Markup, breakable, cut, tag
from agentflow_evals.reports.matrix import caption_of, columns, heading

MAX_LISTED = 500
LABEL_CHARS = 80
TEXT_CHARS = 300
RATE = "rate"
Style = Callable[[str, str], tuple[int, int]]  # colour and shape of a planner (first) and a model
Column = tuple[str, Callable[[Row], Child]]


def summary(report: Report, style: Style) -> Markup:
    """Return one row for each planner under each model."""
    columns = _columns(report)
    best = max((row.rate.estimate for row in report.rows if row.rate), default=None)
    return tag(
        "table",
        caption_of(_caption(report)),
        _head(["planner", "model", *(name for name, _cell in columns)], 2),
        tag("tbody", [_summary_row(row, columns, style, best) for row in report.rows]),
    )


def pairs(report: Report) -> Markup:
    """Return the paired tests against the baseline."""
    names = [
        "planner",
        "against",
        "model",
        "samples",
        "only it solves",
        "only the other",
        "difference, points",
    ]
    names += ["p", "p (Holm)", "test", *(["score", "p (Holm)"] if report.is_fractional else [])]
    left_out = sum(pair.left_out for pair in report.pairs)
    caption = "Pairs are samples that both sides have an outcome for" + (
        f"; {numbers.count(left_out)} samples of one side only are left out." if left_out else "."
    )
    rows = [_pair(pair, scored=report.is_fractional) for pair in report.pairs]
    return tag("table", caption_of(caption), _head(names, 3), tag("tbody", rows))


def groups(evaluation: Evaluation) -> Markup | None:
    """Return the rate of every group (a row) under each planner and model; None without groups."""
    named = {outcome.sample: outcome.group for outcome in evaluation.outcomes if outcome.group}
    across = columns(evaluation)
    own = {
        column: by_sample(
            [one for one in evaluation.outcomes if (one.model, one.planner) == column], ()
        )
        for column in across
    }
    body = []
    for group in sorted(set(named.values())):
        samples = [sample for sample, of in named.items() if of == group]
        rates = [_rate_among(samples, own[column], evaluation.plan.seed) for column in across]
        name = tag("th", breakable(group, LABEL_CHARS), scope="row")
        cells = [tag("td", _rate(rate)) for rate in rates]
        body.append(tag("tr", name, tag("td", numbers.count(len(samples))), cells))
    caption = "Solved, with 95 % intervals below; groups are small, so differences mislead easily."
    head = heading(["group", "samples"], across)
    table = tag("table", caption_of(caption), head, tag("tbody", body))
    return scroll("groups", table) if body else None


def unsolved(evaluation: Evaluation) -> Markup | None:
    """Return the outcomes that are not solved with their reasons, at most 500; None if there are none."""
    found = [outcome for outcome in evaluation.outcomes if not outcome.passed]
    if not found:
        return None
    names = ["sample", "planner", "reason", "answer", "expected", "what", "tokens", "run"]
    shown = found[:MAX_LISTED]
    more = (
        f"The first {numbers.count(len(shown))} of {numbers.count(len(found))}. "
        if len(found) > len(shown)
        else ""
    )
    caption = f"{more}A run opens with: agentflow show RUN"
    table = tag(
        "table",
        caption_of(caption),
        _head(names, 5),
        tag("tbody", [_unsolved(one) for one in shown]),
    )
    return tag(
        "details",
        tag("summary", f"{numbers.count(len(found))} runs with their reasons"),
        scroll("unsolved", table),
    )


def scroll(label: str, content: Child, *, class_: str = "scroll") -> Markup:
    """Return content in a frame of its own that scrolls, also by keyboard."""
    return tag("div", content, class_=class_, role="region", aria_label=label, tabindex=0)


def swatch(colour: int, shape: int) -> Markup:
    """Return the mark of the plots, small enough for a line of text."""
    return tag(
        "svg",
        svg.mark(0, 0, colour, shape),
        viewBox="-8 -8 16 16",
        class_="swatch",
        aria_hidden="true",
    )


def _columns(report: Report) -> list[Column]:
    return [*_solving(report), *_spending(report), *_trouble(report)]


def _solving(report: Report) -> Iterator[Column]:
    yield "solved", lambda row: f"{numbers.count(row.solved)}/{numbers.count(row.counted)}"
    yield RATE, lambda row: _rate(row.rate)
    if report.is_fractional:
        yield "score", lambda row: _interval(row.score, numbers.score)
    for k in sorted({k for row in report.rows for k in row.pass_at}):
        yield f"pass@{k}", partial(_pass_at, k)


def _spending(report: Report) -> Iterator[Column]:
    yield "tokens a sample", lambda row: numbers.count(row.tokens)
    yield "tokens per solved", lambda row: _interval(row.tokens_per_solved, numbers.count)
    if any(row.cost_usd for row in report.rows):
        yield "cost a sample", lambda row: numbers.usd(row.cost_usd)
        yield "cost per solved", lambda row: numbers.usd(row.cost_per_solved_usd)
    yield "calls", lambda row: numbers.count(row.calls)
    yield "time", lambda row: _spread(row.seconds)
    yield "critical path", lambda row: _spread(row.critical_path_s)
    yield "depth", lambda row: _form(row.depth)
    yield "breadth", lambda row: _form(row.breadth)


def _trouble(report: Report) -> Iterator[Column]:
    if any(row.refused for row in report.rows):
        yield "refused", lambda row: numbers.count(row.refused)
    if report.missing:
        yield "missing", lambda row: numbers.count(row.missing)
    if report.errors:
        yield "errors", lambda row: numbers.count(row.errors)


def _pass_at(k: int, row: Row) -> str:
    return numbers.percent(row.pass_at.get(k))


def _caption(report: Report) -> str:
    repeats = " Repeats of a sample are averaged first." if report.repeat > 1 else ""
    return (
        "Solved of the runs that count, 95 % intervals below; means a sample; of time, critical path, depth "
        f"and breadth the median, and the 95th percentile (of the last two: the largest) below.{repeats}"
    )


def _summary_row(row: Row, columns: Sequence[Column], style: Style, best: float | None) -> Markup:
    is_best = row.rate is not None and row.rate.estimate == best
    cells = [
        tag("td", cell(row), class_="best" if is_best and name == RATE else None)
        for name, cell in columns
    ]
    name = tag(
        "th",
        swatch(*style(row.planner, row.model)),
        breakable(row.planner, LABEL_CHARS),
        scope="row",
    )
    return tag("tr", name, tag("td", breakable(row.model, LABEL_CHARS), class_="text"), cells)


def _pair(pair: Pair, *, scored: bool) -> Markup:
    cells: list[Child] = [
        numbers.count(pair.samples),
        f"+{numbers.count(pair.wins)}",
        f"{numbers.MINUS}{numbers.count(pair.losses)}",
        _interval(pair.solved.interval, _points),
        numbers.p_value(pair.solved.p),
        numbers.p_value(pair.solved.p_holm),
        pair.solved.test,
    ]
    if scored:
        score = pair.score
        cells.append(_interval(score.interval if score else None, _score_change))
        cells.append(numbers.p_value(score.p_holm if score else None))
    labels = [
        tag("td", breakable(text, LABEL_CHARS), class_="text")
        for text in (pair.against, pair.model)
    ]
    name = tag("th", breakable(pair.planner, LABEL_CHARS), scope="row")
    return tag("tr", name, labels, [tag("td", cell) for cell in cells])


def _unsolved(outcome: Outcome) -> Markup:
    under = tag("small", breakable(outcome.model, LABEL_CHARS))
    said = [outcome.reason, _data(outcome.answer), _data(outcome.target)]
    return tag(
        "tr",
        tag("th", breakable(outcome.sample, LABEL_CHARS), scope="row"),
        tag("td", breakable(outcome.planner, LABEL_CHARS), under, class_="text"),
        [tag("td", cut(text, TEXT_CHARS), class_="text") for text in said],
        tag("td", outcome.status, class_=outcome.status),
        tag("td", numbers.count(outcome.measures.tokens)),
        tag("td", tag("code", cut(outcome.run, LABEL_CHARS))),
    )


def _head(names: Sequence[Child], texts: int = 1) -> Markup:
    """Return the headings, of which the first `texts` stand above words."""
    kinds = ["text" if place < texts else None for place in range(len(names))]
    heads = [tag("th", n, scope="col", class_=kind) for n, kind in zip(names, kinds, strict=True)]
    return tag("thead", tag("tr", heads))


def _rate_among(samples: Sequence[str], runs: BySample, seed: int) -> Interval | None:
    rates = [solved_rate(runs[sample]) for sample in samples if sample in runs]
    return rate_of(rates, seed) if rates else None


def _rate(interval: Interval | None) -> Child:
    if interval is None:
        return numbers.UNKNOWN
    return [numbers.percent(interval.estimate), tag("small", f"{numbers.bounds(interval)} %")]


def _interval(interval: Interval | None, write: Callable[[float], str]) -> Child:
    if interval is None:
        return numbers.UNKNOWN
    return [
        write(interval.estimate),
        tag("small", f"{write(interval.low)} to {write(interval.high)}"),
    ]


def _points(value: float) -> str:
    return numbers.minus(numbers.points(value))


def _score_change(value: float) -> str:
    return numbers.minus(numbers.score_change(value))


def _spread(spread: Spread | None) -> Child:
    if spread is None:
        return numbers.UNKNOWN
    return [numbers.seconds(spread.median), tag("small", numbers.seconds(spread.p95))]


def _form(spread: Spread | None) -> Child:
    if spread is None:
        return numbers.UNKNOWN
    return [numbers.count(spread.median), tag("small", f"to {numbers.count(spread.largest)}")]


def _data(value: Data) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
