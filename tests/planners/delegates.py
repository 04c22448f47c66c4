"""Models and readings for tests of planners that hand work on."""

from collections.abc import Sequence

from agentflow import Journal
from agentflow.errors import ModelRequestError
from agentflow.journal.events import StepFinished, StepStarted
from agentflow.models.protocol import Request
from tests.planners.scripts import Meeting

REFUSES = "refuses"


def goal_of(request: Request, known: Sequence[str]) -> str:
    """Return the first line of the last user message that is one of the known tasks."""
    said = [turn.text.split("\n")[0] for turn in request.messages if turn.role == "user"]
    return next(line for line in reversed(said) if line in known)


def troupe(scripts: dict[str, list[str]], meet: Sequence[str] = ()) -> Meeting:
    """Return a model with replies for every agent, found by its task.

    Requests that speak of a word of `meet` are answered once all of these words have been heard.
    """
    left = {goal: list(replies) for goal, replies in scripts.items()}

    def answer(_prompt: str) -> str:
        reply = left[goal_of(model.requests[-1], list(left))].pop(0)
        if reply == REFUSES:
            raise ModelRequestError(model="scripted:model", problem="no")
        return reply

    model = Meeting(answer, meet)
    return model


def overlap(journal: str, run: str, one: str, other: str) -> bool:
    """Return whether, in the journal, each of two steps began before the other had ended."""
    with Journal(journal) as opened:
        events = opened.events(run)
    names = {event.step: event.name for event in events if isinstance(event, StepStarted)}
    begun = {event.name: event.number for event in events if isinstance(event, StepStarted)}
    ended = {names[event.step]: event.number for event in events if isinstance(event, StepFinished)}
    return begun[one] < ended[other] and begun[other] < ended[one]
