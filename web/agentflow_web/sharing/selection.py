"""Which part of a run goes into a file: all of it, or a step with what is below it.

Owns the choice and the numbers. A branch is told like a run of its own: its steps, those on the path above
it, and their events are numbered anew and without gaps, since that is what the page builds on.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agentflow.errors import ExportError
from agentflow_web.reading.columns import UNKNOWN_COST, Columns
from agentflow_web.reading.index import Known, RunIndex

_COPIED = ("tokens_in", "tokens_out", "cost", "model_begun", "model_ended", "flags")
_OF_THE_RUN = "BZ"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Steps and events of a run, under the numbers that they have in the file.

    `known` has them as columns, numbered as in the file. `steps` gives for a number in the file the
    number in the run, `new_steps` and `new_events` the number in the file, 0 for what is left out.
    Of steps in `above` only the frame is told.
    """

    known: Known
    steps: "array[int]"
    new_steps: "array[int]"
    new_events: "array[int]"
    above: frozenset[int]
    is_whole: bool

    @property
    def size(self) -> int:
        """How many steps there are."""
        columns = self.known.columns
        return sum(1 for event in columns.start_event if event)

    def totals(self) -> dict[str, Any]:
        """Return the figures of a branch as the head of a run has them."""
        columns = self.known.columns
        costs = [cost for cost in columns.cost if cost >= 0]
        is_priced = UNKNOWN_COST not in columns.cost
        tokens = sum(columns.tokens_in) + sum(columns.tokens_out)
        cost_usd = sum(costs) / 1e6 if is_priced else None
        return {"steps": self.size, "tokens": tokens, "cost_usd": cost_usd}


def select(index: RunIndex, under: int | None) -> Selection:
    """Return a whole run as it is known, or the branch of a step of it.

    Raises:
        ExportError: There is no such step.
    """
    known = index.known
    columns = known.columns
    if under is None:
        steps = array("i", range(columns.steps + 1))
        events = array("i", range(known.complete + 1))
        return Selection(
            known=Known(columns, known.complete, known.complete, known.status, known.edition),
            steps=steps,
            new_steps=steps,
            new_events=events,
            above=frozenset(),
            is_whole=True,
        )
    if not 0 < under <= columns.steps or not 0 < columns.start_event[under] <= known.complete:
        raise ExportError(
            run=index.run, problem=f"it has no step {under}; `agentflow show` lists them"
        )
    return _branch(known, under)


def _branch(known: Known, top: int) -> Selection:
    columns = known.columns
    above = _above(columns, top)
    steps, new_steps = _numbered(columns, known.complete, top, above)
    part, new_events = _part(columns, known.complete, new_steps, above)
    _copy_facts(columns, part, steps, new_steps)
    last = part.last
    return Selection(
        known=Known(part, last, last, known.status, known.edition),
        steps=steps,
        new_steps=new_steps,
        new_events=new_events,
        above=frozenset(new_steps[step] for step in above),
        is_whole=False,
    )


def _above(columns: Columns, step: int) -> frozenset[int]:
    found = []
    while step := columns.parent[step]:
        found.append(step)
    return frozenset(found)


def _numbered(
    columns: Columns, complete: int, top: int, above: frozenset[int]
) -> tuple["array[int]", "array[int]"]:
    """Return old numbers by new ones, and new ones by old ones; a parent comes before its children."""
    steps, new_steps = array("i", [0]), array("i", bytes(4 * (columns.steps + 1)))
    for step in range(1, columns.steps + 1):
        if not 0 < columns.start_event[step] <= complete:
            continue
        parent = columns.parent[step]
        is_below = step == top or (new_steps[parent] > 0 and parent not in above)
        if is_below or step in above:
            new_steps[step] = len(steps)
            steps.append(step)
    return steps, new_steps


def _part(
    columns: Columns, complete: int, new_steps: "array[int]", above: frozenset[int]
) -> tuple[Columns, "array[int]"]:
    """Return columns of the chosen steps, and the new numbers of events."""
    part, new_events = Columns(), array("i", bytes(4 * (complete + 1)))
    last = 0
    for event in range(1, complete + 1):
        letter, step = chr(columns.types[event]), columns.step[event]
        is_remark = letter in "XN"
        is_left_out = not new_steps[step] or (is_remark and step in above)
        if is_left_out and letter not in _OF_THE_RUN:
            continue
        last += 1
        new_events[event] = last
        at_us, new = columns.at_us[event], new_steps[step]
        if letter == "S":
            parent = new_steps[columns.parent[step]]
            part.begin(last, at_us, new, parent, columns.names[columns.name[step]], {})
        elif is_remark:
            part.remark(letter, last, at_us, new)
        elif letter in _OF_THE_RUN:
            part.mark(letter, last, at_us)
        else:
            part.end(letter, last, at_us, new, {})
    return part, new_events


def _copy_facts(
    columns: Columns, part: Columns, steps: "array[int]", new_steps: "array[int]"
) -> None:
    part.models = columns.models
    for new, old in enumerate(steps):
        for name in _COPIED:
            getattr(part, name)[new] = getattr(columns, name)[old]
        if old in columns.attempts:
            part.attempts[new] = columns.attempts[old]
        if old in columns.errors:
            part.errors[new] = columns.errors[old]
        if links := renumbered(columns.links.get(old, ()), new_steps):
            part.links[new] = tuple(links)


def renumbered(steps: Iterable[int], new_steps: Sequence[int]) -> list[int]:
    """Return the numbers that steps have in the file, without those that are left out."""
    return [new_steps[step] for step in steps if new_steps[step]]
