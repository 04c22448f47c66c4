"""What a scorer is: an answer and the task's options in, a score out."""

from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentflow.errors import InputError, ProgramError
from agentflow.sandbox.names import parse_program
from agentflow.solving import OF_EPISODE

SHOWN_CHARACTERS = 200


class Score(BaseModel):
    """What a scorer said; `explanation` is for the person who reads the report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: bool
    value: float = Field(ge=0, le=1)
    explanation: str


class Scorer(Protocol):
    """An async function, found by name through the entry points `agentflow.scorers`."""

    async def __call__(self, output: Any, options: dict[str, Any]) -> Score:
        """Score one answer.

        Raises:
            InputError: The options are not what this scorer takes.
        """
        ...


ScorerT = TypeVar("ScorerT", bound=Scorer)


def of_episode(scorer: ScorerT) -> ScorerT:
    """Mark a scorer that judges what happened, not the answer: it is asked also if the planner failed."""
    setattr(scorer, OF_EPISODE, True)
    return scorer


class Options(BaseModel):
    """Base of a scorer's options: an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


OptionsT = TypeVar("OptionsT", bound=Options)


def read_options(kind: type[OptionsT], scorer: str, options: dict[str, Any]) -> OptionsT:
    """Return the options as the scorer wants them.

    Raises:
        InputError: One is missing, unknown or of the wrong type.
    """
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(step=f"check {scorer}", problem=f"{place}: {first['msg']}") from error


def check_python(scorer: str, option: str, source: str) -> None:
    """Raise if an option that is to be Python is none.

    Raises:
        InputError: It does not parse.
    """
    try:
        parse_program(source)
    except ProgramError as error:
        problem = f"{option}: {error.report}"
        raise InputError(step=f"check {scorer}", problem=problem) from error


def shown(value: Any) -> str:
    """Return a value as it may stand in an explanation: the answer is a model's, so it may be huge."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        text = "a value with a number too long to write"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def verdict(passed: bool, explanation: str) -> Score:
    """Return a score that is all or nothing."""
    return Score(passed=passed, value=float(passed), explanation=explanation)
