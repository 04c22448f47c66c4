"""What a run cost and what form it had, folded from its record.

Owns the reading of a `RunRecord` as `Measures`. Knows no suite and no planner. What is counted is the
planner's: the checks, and what a judge among them spends, are left out, but for what was really spent and
for `seconds`. A step that stands in the record more than once, since the run was resumed, counts once; what
a kill cut off and a resume did again is not known to anybody.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from agentflow.journal.events import RunStarted
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.reuse import latest
from agentflow.models.protocol import Reply, Usage
from agentflow.solving import check
from agentflow_evals.outcome import Measures

Span = tuple[float, float]


def measures_of(record: RunRecord) -> Measures:
    """Return the measures of a run, also of one that has not ended."""
    steps = _planners(record)
    replies = [
        Reply.model_validate_json(step.output)
        for step in steps
        if step.kind == "model" and step.output is not None
    ]
    usage = sum((reply.usage for reply in replies), Usage())
    depth, breadth, leaves = _form(record, steps)
    return Measures(
        calls=len(replies),
        reused_calls=sum(
            step.kind == "model" and step.output is not None and "origin" in step.details
            for step in steps
        ),
        **usage.model_dump(),
        cost_usd=_total(reply.cost_usd for reply in replies),
        spent_tokens=record.usage.total_tokens,
        spent_usd=record.cost_usd,
        seconds=_seconds(record),
        critical_path_s=longest_chain(_spans(leaves)),
        steps=len(steps),
        depth=depth,
        breadth=breadth,
        expansions=sum(len(step.expansions) for step in steps),
    )


def longest_chain(spans: Iterable[Span]) -> float:
    """Return the most seconds that spans add up to, each beginning after the one before it has ended.

    It is an upper bound of what had to wait for each other: two steps may follow each other by chance, or
    because only so many may be under way at once.

    Args:
        spans: Begin and end of each.
    """
    ends: list[float] = []
    best = [0.0]  # best[n]: of the n spans that end first
    for begin, end in sorted(spans, key=lambda span: (span[1], span[0])):
        before = bisect_right(ends, begin)
        best.append(max(best[-1], best[before] + end - begin))
        ends.append(end)
    return best[-1]


def _planners(record: RunRecord) -> list[StepRecord]:
    """Return the attempt that counts of every step, parents first, without the checks."""
    counted = {step.number for step in latest(record).values()}
    left_out: set[int] = set()
    for step in record.steps.values():  # a parent is always before its children
        if step.parent in left_out or step.details.get("code", [""])[0] == check.target:
            left_out.add(step.number)
    return [record.steps[number] for number in sorted(counted - left_out)]


def _form(record: RunRecord, steps: Sequence[StepRecord]) -> tuple[int, int, list[StepRecord]]:
    """Return depth and breadth of the tree of flows, and the steps without any below them.

    The root is at -1 and the planner at 0. Breadth is the most flows that one step called; a flow and
    each program that it wrote are steps of their own, so that a repair does not make a tree broader.
    Steps are found by their identity: the parts of a resumed run are one tree.
    """
    depths: dict[bytes, int] = {}
    called: dict[bytes, int] = {}
    parents = set()
    for step in sorted(steps, key=lambda step: _level(record, step)):
        parent = None if step.parent is None else record.steps[step.parent].key
        above = -2 if parent is None else depths.get(parent, -2)
        depths[step.key] = above + (step.kind == "flow")
        if parent is not None:
            parents.add(parent)
            called[parent] = called.get(parent, 0) + (step.kind == "flow")
    planner = [key for key, depth in depths.items() if depth >= 0]
    leaves = [step for step in steps if step.key not in parents]
    depth = max((depths[key] for key in planner), default=0)
    return depth, max((called.get(key, 0) for key in planner), default=0), leaves


def _level(record: RunRecord, step: StepRecord) -> int:
    level = 0
    while step.parent is not None:
        step, level = record.steps[step.parent], level + 1
    return level


def _spans(leaves: Iterable[StepRecord]) -> Iterable[Span]:
    return ((step.started_at, step.ended_at) for step in leaves if step.ended_at is not None)


def _seconds(record: RunRecord) -> float:
    """Return how long the run was at work: each part from its start to the last thing it recorded."""
    total, begun, last = 0.0, record.started_at, record.started_at
    for event in record.events:
        if isinstance(event, RunStarted):
            total, begun = total + last - begun, event.at
        last = event.at
    if not record.events:
        last = record.started_at if record.ended_at is None else record.ended_at
    return max(0.0, total + last - begun)


def _total(costs: Iterable[float | None]) -> float | None:
    """Return the sum; None when one is unknown."""
    known = list(costs)
    return None if None in known else sum(cost for cost in known if cost is not None)
