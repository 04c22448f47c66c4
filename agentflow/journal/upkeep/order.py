"""What makes a list of events the record of a run.

Owns the rules of order, for those who check a store and those who take in a file. Nothing belongs to
a step that has succeeded. Below one that failed, branches may still go on: `asyncio.gather` leaves
them running. A finding is `late` when the record is sound, but a flow left a task behind.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from agentflow.journal.events import (
    Expanded,
    Noted,
    RunFinished,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
    Stored,
)

_State = Literal["open", "ended", "broken", "left"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at event number `event`."""

    event: int
    problem: str
    late: bool = False


def findings(events: Iterable[Stored]) -> Iterator[Finding]:
    """Yield what is out of order in the events of one run, given by ascending numbers."""
    steps: dict[int, _State] = {}
    expected = 1
    for event in events:
        number = event.number
        if number > expected:
            yield Finding(expected, f"events {expected} to {number - 1} are missing")
        elif number < expected:
            yield Finding(number, f"there are two events {number}")
        if expected == 1 and not isinstance(event, RunStarted):
            yield Finding(number, f"the first event is a {type(event).__name__}, not a RunStarted")
        expected = number + 1
        yield from _place(event, steps)


def _place(event: Stored, steps: dict[int, _State]) -> Iterator[Finding]:
    match event:
        case RunStarted():  # what an earlier attempt left open stays as it is
            steps.update({step: "left" for step, state in steps.items() if state == "open"})
        case StepStarted():
            yield from _start(event, steps)
        case StepFinished() | StepFailed() | StepCancelled():
            yield from _end(event, steps)
        case Expanded() | Noted(step=int()):
            assert event.step is not None
            yield from _inside(event.number, event.step, steps, type(event).__name__)
        case Noted() | RunFinished():
            pass


def _start(event: StepStarted, steps: dict[int, _State]) -> Iterator[Finding]:
    if event.step in steps:
        yield Finding(event.number, f"step {event.step} starts a second time")
    if event.parent is not None:
        what = f"the start of step {event.step}"
        yield from _inside(event.number, event.parent, steps, what)
    steps[event.step] = "open"


def _end(
    event: StepFinished | StepFailed | StepCancelled, steps: dict[int, _State]
) -> Iterator[Finding]:
    state = steps.get(event.step)
    if state is None:
        yield Finding(event.number, f"step {event.step} ends but has not started")
    elif state == "left":
        yield Finding(event.number, f"step {event.step} of an earlier attempt ends")
    elif state != "open":
        yield Finding(event.number, f"step {event.step} ends a second time")
    is_broken = isinstance(event, StepCancelled) or (
        isinstance(event, StepFailed) and not event.refused
    )
    steps[event.step] = "broken" if is_broken else "ended"


def _inside(number: int, step: int, steps: dict[int, _State], what: str) -> Iterator[Finding]:
    state = steps.get(step)
    if state is None:
        yield Finding(number, f"{what} belongs to step {step}, which has not started")
    elif state == "ended":
        yield Finding(number, f"{what} belongs to step {step}, which has ended", late=True)
    elif state == "left":
        yield Finding(number, f"{what} belongs to step {step} of an earlier attempt of the run")
