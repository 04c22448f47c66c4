"""What a finished search says: read from its run, told to a person, written as a flow file.

Owns the way from a run's record to the figures of base and winner. Knows no search: any planner whose
result has the form of `agentflow_planners.optimising` is told alike, also after a resume.
"""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from agentflow_planners.optimising.candidates import Candidate
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentflow.cli.words import clean, dollars, seconds, tokens
from agentflow.data import from_json
from agentflow.errors import EvaluationError
from agentflow.flowfile import FlowFile
from agentflow.journal.records import RunRecord

UNKNOWN = "\N{EN DASH}"
SHOWN_OPTIONS = 400
FEW = 20  # held-out cases, below which an interval is too wide for most differences
OF = "of"  # the input of a search's task that says where its cases are from


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Bounds(_Read):
    """A mean and its interval of 95 %."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Figures(Bounds):
    """The score of one candidate on one part of the cases."""

    cases: int
    passed: int


class Scores(_Read):
    """Of the winner and the base, on the cases that it was chosen by and on those held out."""

    selected: Figures
    base_selected: Figures
    held_out: Figures | None
    base_held_out: Figures | None


class Optimised(_Read):
    """The result of a search."""

    planner: str
    options: dict[str, Any]
    base: Candidate
    improved: bool
    trials: int
    stopped: str
    scores: Scores
    difference: Bounds | None


def optimised(record: RunRecord) -> Optimised:
    """Return what a search came to.

    Raises:
        EvaluationError: The run is no finished search.
    """
    if record.status != "succeeded":
        problem = f"run {record.id} has not finished; go on with: agentflow resume {record.id}"
        raise EvaluationError(problem=problem)
    value = record.value()
    output = value.get("output", value) if isinstance(value, dict) else value
    try:
        return Optimised.model_validate(output)
    except ValidationError as error:
        raise EvaluationError(problem=f"run {record.id} is no search for a planner") from error


def flow_file_of(record: RunRecord, found: Optimised) -> FlowFile:
    """Return the winner as a flow file; the same run gives the same."""
    model = record.settings.get("model") or {}
    began = dt.datetime.fromtimestamp(record.started_at, tz=dt.UTC)
    facts = {
        "by": _search(record),
        OF: _inputs(record).get(OF),
        "model": ":".join(str(model[key]) for key in ("provider", "name") if key in model) or None,
        "run": record.id,
        "date": began.date().isoformat(),
        "trials": found.trials,
        "stopped": found.stopped,
        "scores": found.scores.model_dump(),
        "difference": None if found.difference is None else found.difference.model_dump(),
        "base": found.base.model_dump(mode="json"),
    }
    return FlowFile(planner=found.planner, options=found.options, found=facts)


def print_optimised(console: Console, record: RunRecord, found: Optimised) -> None:
    """Print base and winner, the difference, what it took and what to make of it."""
    console.print(Text(f"{_search(record)}: {clean(str(_inputs(record).get(OF, '')), 200)}"))
    console.print(Text(f"{found.trials} candidates tried, {clean(found.stopped, 300)}\n"))
    console.print(_table(found))
    if found.difference is not None:
        console.print(f"\nwinner - base, held out: {found.difference} (paired, 95 %)", markup=False)
    for line in _judgements(found, is_repeated=_is_repeated(record)):
        console.print(Text(line, style="yellow"))
    options = clean(json.dumps(found.options, ensure_ascii=False), SHOWN_OPTIONS)
    console.print(Text(f"\nplanner: {found.planner}\noptions: {options}"))
    usage, cost = tokens(record.usage.total_tokens), dollars(record.cost_usd)
    console.print(Text(f"run {record.id}: {usage}, {cost}, {seconds(record.seconds)}", style="dim"))


def _table(found: Optimised) -> Table:
    scores = found.scores
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(f"chosen by ({scores.selected.cases})")
    held_out = scores.held_out or scores.base_held_out
    table.add_column("held out" if held_out is None else f"held out ({held_out.cases})")
    for name, figures in (
        ("base", (scores.base_selected, scores.base_held_out)),
        ("winner", (scores.selected, scores.held_out)),
    ):
        table.add_row(name, *(UNKNOWN if one is None else str(one) for one in figures))
    return table


def _judgements(found: Optimised, *, is_repeated: bool) -> Iterator[str]:
    """Yield what a reader should not overlook."""
    held_out, difference = found.scores.held_out, found.difference
    if not found.improved:
        yield "nothing tried was better than the base where the choice was made, so the base stays"
    elif difference is not None and difference.low <= 0:
        yield "the interval of the difference holds 0: on so many cases it may be chance"
    if held_out is None or difference is None:
        yield "the budget ended before all held-out cases were run: a larger one measures both"
    elif held_out.cases < FEW:
        yield f"{held_out.cases} held-out cases tell little; more samples narrow the intervals"
    if is_repeated:
        yield (
            "held out is the same task once more: this says how reliably it is solved, not how "
            "others would be"
        )


def _is_repeated(record: RunRecord) -> bool:
    """Return whether all cases are one task."""
    cases = _inputs(record).get("cases")
    tasks = [case.get("task") for case in cases] if isinstance(cases, list) else []
    return len(tasks) > 1 and all(task == tasks[0] for task in tasks)


def _search(record: RunRecord) -> str:
    planner = _input(record).get("planner")
    return str(planner["name"]) if isinstance(planner, dict) and "name" in planner else record.flow


def _inputs(record: RunRecord) -> dict[str, Any]:
    found = (_input(record).get("task") or {}).get("inputs")
    return found if isinstance(found, dict) else {}


def _input(record: RunRecord) -> dict[str, Any]:
    found = from_json(record.input)
    return found if isinstance(found, dict) else {}
