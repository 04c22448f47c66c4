"""Ask a person as a step.

Owns the question and the check of its answer. Who answers is the run's business: the command line
asks on the terminal, the SDK calls the function it was given, and where nobody is, the question
fails with a typed error instead of waiting for ever.
"""

import inspect
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agentflow.data import Data, canonical
from agentflow.engine.run import Step
from agentflow.engine.steps import StepCall, current_frame, perform
from agentflow.errors import AskError

T = TypeVar("T")


class Question(BaseModel):
    """What a person is asked; `choices` empty means free text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    choices: tuple[str, ...] = ()
    default: Data = None


async def ask(
    text: str, *, output: type[T] | None = None, choices: tuple[str, ...] = (), default: Any = None
) -> T:
    """Ask a person and return the answer, as `output` (str if not given).

    Raises:
        NoRunError: No run is active here.
        AskError: Nobody is there and there is no default, or the answer does not fit.
    """
    run = current_frame("ask").run
    question = Question(text=text, choices=choices, default=default)
    adapter: TypeAdapter[Any] = TypeAdapter(output or str)

    async def body(_step: Step) -> Any:
        handler = run.services.ask
        if handler is None and default is None:
            raise AskError(
                question=text, problem="nobody is there to answer, and it has no default"
            )
        answer = default if handler is None else handler(question)
        if inspect.isawaitable(answer):
            answer = await answer
        return _checked(question, answer, adapter)

    call: StepCall[Any] = StepCall(
        name="ask",
        kind="ask",
        input=canonical(question.model_dump(mode="json")),
        write=adapter.dump_json,
        read=adapter.validate_json,
    )
    return cast("T", await perform(call, body))


def _checked(question: Question, answer: Any, adapter: TypeAdapter[Any]) -> Any:
    if question.choices and answer not in question.choices:
        problem = f"{answer!r} is not one of {', '.join(question.choices)}"
        raise AskError(question=question.text, problem=problem)
    try:
        return adapter.validate_python(answer)
    except ValidationError:
        pass
    try:  # a person types text; numbers, lists and objects come as JSON
        return adapter.validate_json(answer)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"]
        raise AskError(question=question.text, problem=f"{answer!r}: {problem}") from error
