"""What crosses between a run and its nodes.

Owns the form: an answer is data or a failure as data. Values of programs cross as JSON, so that no object of
theirs is ever rebuilt by name.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from agentflow.data import from_json, to_json
from agentflow.errors import AgentflowError, ProgramError, rebuild
from agentflow.sandbox.execution import crossing
from agentflow.sandbox.turns import Issued, Turn, TurnEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a piece of work: `content`, or the failure that `name` and `facts` describe.

    `issued` are the calls that a program began meanwhile, each as `write_issued` wrote it; `spent_s` is how
    long a tool took.
    """

    content: Any = None
    name: str = ""
    message: str = ""
    facts: dict[str, Any] | None = None
    issued: tuple[tuple[Any, ...], ...] = ()
    spent_s: float = 0.0

    def value(self) -> Any:
        """Return the content.

        Raises:
            AgentflowError: It is a failure.
        """
        if self.name:
            raise rebuild(self.name, self.message, self.facts or {})
        return self.content


async def answered(work: Callable[[], Awaitable[Any]]) -> Answer:
    """Await a piece of work; our own errors become data, others are bugs and stay what they are."""
    try:
        return Answer(content=await work())
    except AgentflowError as error:
        return Answer(name=type(error).__name__, message=str(error), facts=error.facts)


def write_turn(turn: Turn) -> Turn:
    """Return a turn whose values are JSON."""
    return replace(turn, inputs=to_json(turn.inputs), reply=to_json(turn.reply))


def read_turn(turn: Turn) -> Turn:
    """Return the turn that `write_turn` wrote."""
    return replace(turn, inputs=from_json(turn.inputs), reply=from_json(turn.reply))


def write_end(end: TurnEnd) -> TurnEnd:
    """Return the end of a turn with its values as JSON.

    Raises:
        ProgramError: The result of the program is not plain data.
    """
    value = to_json(crossing(end.value, "the return value"))
    return replace(end, value=value, waits=(to_json(list(end.waits)),))


def read_end(end: TurnEnd) -> TurnEnd:
    """Return the end that `write_end` wrote."""
    return replace(end, value=from_json(end.value), waits=tuple(from_json(end.waits[0])))


def write_issued(issued: Issued) -> tuple[Any, ...]:
    """Return a call as data; arguments that are not plain become the error that the call will be."""
    given: bytes | dict[str, Any]
    try:
        place = f"the call of {issued.name}"
        given = to_json([crossing(part, place) for part in (list(issued.args), issued.kwargs)])
    except ProgramError as error:
        given = error.facts
    return issued.number, issued.name, issued.line, given


def read_issued(data: tuple[Any, ...]) -> Issued:
    """Return the call that `write_issued` wrote."""
    number, name, line, given = data
    if isinstance(given, dict):
        problem = ProgramError(**given)
        return Issued(number=number, name=name, line=line, args=(), kwargs={}, problem=problem)
    args, kwargs = from_json(given)
    return Issued(number=number, name=name, line=line, args=tuple(args), kwargs=kwargs)
