"""Fork a recorded run: what may be changed, and what a change would cause.

Owns `Change` and `ForkPlan`. The run itself is `Runner.fork`; what is taken over is decided in
`journal/reuse.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentflow.data import canonical, encode
from agentflow.errors import ForkError, ModelError
from agentflow.flows import Flow
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.reuse import Edits, Reuse, latest
from agentflow.models.prices import price_of
from agentflow.models.registry import parse_spec

_UNSET: Any = object()


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is to be different at one step; nothing at all means: do it again.

    `output` is taken instead of running the step. `input` are arguments by name (of a model call:
    fields of the request). `prompt` replaces the last message to a model. `model` holds for the step
    and every model call below it.
    """

    output: Any = _UNSET
    input: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    model: str | None = None

    @property
    def has_output(self) -> bool:
        """Whether an output is given."""
        return self.output is not _UNSET


@dataclass(frozen=True, kw_only=True)
class ForkPlan:
    """What a fork would do; numbers are those of the steps of the run it is forked from.

    `reused` are taken over, `rerun` run again for certain, `open` only if the new results lead there
    again. `effects` are those of `rerun` and `open` that change something outside. `cost_usd` is what
    the model calls among them cost the first time, at the new model's price; None if unknown.
    """

    run: str
    at: StepRecord
    reused: tuple[StepRecord, ...]
    rerun: tuple[StepRecord, ...]
    open: tuple[StepRecord, ...]
    cost_usd: float | None
    failure: str | None = None

    @property
    def effects(self) -> tuple[StepRecord, ...]:
        """The steps that may run and change something outside."""
        return tuple(step for step in (*self.rerun, *self.open) if step.details.get("effect"))


def fork_point(record: RunRecord, at: int | str, change: Change) -> tuple[StepRecord, Edits]:
    """Return the step where a fork begins, and the change as `Reuse` takes it.

    Args:
        record: The run to fork.
        at: A step by number, by the beginning of its key in hex, or by a name that only one step has.
        change: What is to be different there.

    Raises:
        ForkError: There is no such step, or it cannot be changed like that.
    """
    step = _find(record, str(at))
    _check(record, step, change)
    output = canonical(encode(change.output)) if change.has_output else None
    edits = Edits(output=output, input=change.input, model=change.model, prompt=change.prompt)
    return step, edits


def fork_settings(record: RunRecord, step: StepRecord, edits: Edits) -> dict[str, Any]:
    """Return what the new run records about where it comes from."""
    changed: dict[str, Any] = {"input": dict(edits.input)} if edits.input else {}
    changed |= {name: getattr(edits, name) for name in ("model", "prompt") if getattr(edits, name)}
    if edits.output is not None:
        changed["output"] = json.loads(edits.output)
    settings = {"run": record.id, "step": step.number, "key": step.key.hex(), "change": changed}
    earlier = record.settings.get("fork")
    return settings | {"earlier": earlier} if earlier else settings


def root_arguments(
    flow: Flow[..., Any], record: RunRecord, step: StepRecord, edits: Edits
) -> dict[str, Any]:
    """Return the arguments of the new run's root flow; changed when it is the root that is."""
    arguments = flow.signature.read_input(record.input)
    if step.parent is None and edits.input:
        return flow.signature.bind((), {**arguments, **edits.input})
    return arguments


def plan_of(
    record: RunRecord, point: StepRecord, edits: Edits, source: Reuse, failure: str | None = None
) -> ForkPlan:
    """Return what a dry run found out."""
    steps = latest(record)
    kept = {step.number for number in source.taken for step in record.steps[number].walk()}
    if edits.output is not None:
        kept |= {step.number for step in point.walk()}
    work = [step for step in steps.values() if step.number not in kept and _does_work(step)]
    rerun = tuple(step for step in work if step.key in source.to_run)
    opened = tuple(step for step in work if step.key not in source.to_run)
    return ForkPlan(
        run=record.id,
        at=point,
        reused=tuple(step for step in steps.values() if step.number in kept),
        rerun=rerun,
        open=opened,
        cost_usd=_cost((*rerun, *opened), edits.model),
        failure=failure,
    )


def _does_work(step: StepRecord) -> bool:
    return step.kind != "flow" and step.status != "refused"


def _cost(steps: tuple[StepRecord, ...], model: str | None) -> float | None:
    price = None if model is None else price_of(parse_spec(model))
    total = 0.0
    for step in steps:
        if step.kind != "model" or step.status != "succeeded":
            continue
        if model is None:
            cost = step.details.get("cost_usd", step.cost_usd)
        else:
            cost = None if price is None else price.cost_usd(step.usage)
        if cost is None:
            return None
        total += cost
    return total


def _find(record: RunRecord, at: str) -> StepRecord:
    steps = latest(record)
    if at.isdigit() and int(at) in record.steps:
        return steps[record.steps[int(at)].key]
    found = [step for step in steps.values() if step.name == at]
    if not found and len(at) >= 6:
        found = [step for step in steps.values() if step.key.hex().startswith(at)]
    if len(found) == 1:
        return found[0]
    if found:
        numbers = ", ".join(str(step.number) for step in found)
        raise ForkError(run=record.id, problem=f"{len(found)} steps are called {at!r}: {numbers}")
    problem = f"no step {at!r}; `agentflow show {record.id}` numbers them"
    raise ForkError(run=record.id, problem=problem)


def _check(record: RunRecord, step: StepRecord, change: Change) -> None:
    def refuse(problem: str) -> ForkError:
        return ForkError(run=record.id, problem=f"step {step.number} ({step.name}) {problem}")

    if change.has_output and (change.input or change.prompt or change.model):
        raise refuse("gets an output, so its input, prompt and model make no difference")
    if change.prompt is not None and step.kind != "model":
        raise refuse(f"is a {step.kind} and has no prompt; fork at a model call")
    if change.input and step.kind not in ("flow", "tool", "model"):
        raise refuse(f"is a {step.kind} step, whose input cannot be changed; give its output")
    if change.input and step.kind != "model":
        known = [name for name in json.loads(step.input) if not name.startswith("$")]
        unknown = [name for name in change.input if name not in known]
        if unknown:
            raise refuse(f"has no input {unknown[0]!r} (it has {', '.join(known) or 'none'})")
    if change.model is not None:
        try:
            parse_spec(change.model)
        except ModelError as error:
            raise refuse(f"cannot use that model: {error}") from error
