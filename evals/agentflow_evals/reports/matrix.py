"""Every sample under every planner and model, in one table.

Owns what stands in a cell: a sign and a colour that say the same, and in its title what the run cost and why
it did not pass. Every outcome is in the matrix and every missing one shows as missing.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from agentflow_evals.outcome import Outcome
from agentflow_evals.record import Evaluation
from agentflow_evals.reports import numbers
from agentflow_evals.reports.markup import Markup, breakable, cut, tag

SIGNS = {"passed": "✓", "failed": "✗", "refused": "⊘", "error": "!", "partly": "½", "missing": "·"}
MEANING = {
    "passed": "solved",
    "failed": "not solved",
    "refused": "budget ended first",
    "partly": "partly: a value between 0 and 1, or repeats that differ",
    "error": "error, not counted",
    "missing": "no outcome yet",
}
TITLE_CHARS = 240
HEAD_CHARS = 60
SAMPLE_CHARS = 200  # an id has no more
Column = tuple[str, str]  # model, planner


def columns(evaluation: Evaluation) -> list[Column]:
    """Return model and planner of every column, in the plan's order, then what the plan does not name."""
    plan = evaluation.plan
    planned = [(model.label, planner.label) for model in plan.models for planner in plan.planners]
    models = dict.fromkeys(
        [model for model, _planner in planned] + [outcome.model for outcome in evaluation.outcomes]
    )
    found = dict.fromkeys(planned + [(o.model, o.planner) for o in evaluation.outcomes])
    return [column for model in models for column in found if column[0] == model]


def matrix(evaluation: Evaluation) -> Markup:
    """Return the table; the page makes it scroll."""
    across = columns(evaluation)
    cells: dict[tuple[str, Column], list[Outcome]] = defaultdict(list)
    groups: dict[str, str] = {}
    for outcome in evaluation.outcomes:
        cells[outcome.sample, (outcome.model, outcome.planner)].append(outcome)
        groups[outcome.sample] = outcome.group
    samples = dict.fromkeys([*evaluation.plan.samples, *(o.sample for o in evaluation.outcomes)])
    grouped = any(groups.values())
    rows = [
        _row(
            sample, groups.get(sample, "") if grouped else None, [cells[sample, c] for c in across]
        )
        for sample in samples
    ]
    caption = f"{numbers.count(len(samples))} samples under {numbers.count(len(across))} combinations of planner and model"
    return tag(
        "table",
        caption_of(caption),
        heading(["sample", *(["group"] if grouped else [])], across, ["solved by"]),
        tag("tbody", rows),
        class_="matrix",
    )


def caption_of(text: str) -> Markup:
    """Return a caption that stays in view when its table is scrolled sideways."""
    return tag("caption", tag("span", text))


def legend() -> Markup:
    """Return what signs and colours mean."""
    keys = [
        tag("li", tag("span", SIGNS[kind], class_=f"key {kind}"), f" {MEANING[kind]}")
        for kind in MEANING
    ]
    return tag("ul", keys, class_="legend")


def heading(before: Sequence[str], across: Sequence[Column], after: Sequence[str] = ()) -> Markup:
    """Return two rows of headings: models over planners, beside columns of other things."""
    models = Counter(model for model, _planner in across)
    over = [
        tag("th", breakable(model, HEAD_CHARS), scope="colgroup", colspan=number)
        for model, number in models.items()
    ]
    names = [
        tag("th", breakable(planner, HEAD_CHARS), scope="col", title=_whole(planner))
        for _model, planner in across
    ]
    sides = [
        [tag("th", text, scope="col", rowspan=2) for text in texts] for texts in (before, after)
    ]
    return tag("thead", tag("tr", sides[0], over, sides[1]), tag("tr", names))


def _whole(name: str) -> str | None:
    """Return what a name that is cut in a heading says in its title."""
    return None if len(name) <= HEAD_CHARS else cut(name, 4 * HEAD_CHARS)


def _row(sample: str, group: str | None, cells: Sequence[Sequence[Outcome]]) -> Markup:
    counted = [[outcome for outcome in cell if outcome.is_counted] for cell in cells]
    tried = [cell for cell in counted if cell]
    solved = sum(all(outcome.passed for outcome in cell) for cell in tried)
    return tag(
        "tr",
        tag("th", breakable(sample, SAMPLE_CHARS), scope="row"),
        None if group is None else tag("td", cut(group, HEAD_CHARS), class_="group"),
        [_cell(cell) for cell in cells],
        tag("td", f"{solved}/{len(tried)}", class_="sum"),
    )


def _cell(outcomes: Sequence[Outcome]) -> Markup:
    if not outcomes:
        return tag("td", SIGNS["missing"], class_="missing", title="no outcome yet")
    kind = kind_of(outcomes)
    title = "\n".join(_told(outcome) for outcome in outcomes)
    ids = outcomes[0].run if len(outcomes) == 1 else None
    return tag(
        "td", _sign(kind, outcomes), class_=kind, title=title, id=f"run-{ids}" if ids else None
    )


def kind_of(outcomes: Sequence[Outcome]) -> str:
    """Return what a cell is called: the one status of its outcomes, or `partly`."""
    counted = [outcome for outcome in outcomes if outcome.is_counted]
    if not counted:
        return "error"
    kinds = {outcome.status for outcome in counted}
    if len(kinds) > 1 and any(outcome.passed for outcome in counted):
        return "partly"
    if kinds <= {"passed"}:
        return "passed"
    if any(outcome.value > 0 for outcome in counted):
        return "partly"
    return "refused" if kinds == {"refused"} else "failed"


def _sign(kind: str, outcomes: Sequence[Outcome]) -> str:
    counted = [outcome for outcome in outcomes if outcome.is_counted]
    if len(outcomes) > 1 and counted:
        passed = sum(outcome.passed for outcome in counted)
        return f"{passed}/{len(counted)}"
    if kind == "partly":
        return numbers.ratio(counted[0].value)
    return SIGNS[kind]


def _told(outcome: Outcome) -> str:
    measured = outcome.measures
    cost = f", {numbers.usd(measured.cost_usd)}" if measured.cost_usd else ""
    facts = (
        f"{outcome.sample} · {outcome.planner} · {outcome.model}: {outcome.status}, "
        f"{numbers.count(measured.tokens)} tokens{cost}, {numbers.seconds(measured.seconds)}"
    )
    reason = cut(outcome.reason, TITLE_CHARS)
    return "\n".join(part for part in (facts, reason, f"run {outcome.run}") if part)
