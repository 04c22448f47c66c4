"""Ask a person as a step.

Owns the question, its deadline, and the check of its answer. An answer may come from the function that
the run was given (the command line asks on the terminal), or from the store, where anybody may have
left it: `agentflow answer`, the SDK, a viewer. While nobody answers, the rest of the run goes on; when
nothing else is left to do, the run pauses, and its process may end.
"""

import asyncio
import inspect
from typing import Any, TypeVar, cast

import anyio
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agentflow.data import Data, canonical
from agentflow.engine.run import ActiveRun, Step
from agentflow.engine.steps import StepCall, current_frame, perform
from agentflow.errors import AskError

T = TypeVar("T")

LOOK_EVERY_S = 0.5  # how often a waiting run looks for an answer that somebody left


class Question(BaseModel):
    """What a person is asked; `choices` empty means free text, `answer_schema` None any text.

    `timeout_s` counts from when it was first asked, also while no process is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    choices: tuple[str, ...] = ()
    default: Data = None
    answer_schema: dict[str, Any] | None = None
    timeout_s: float | None = Field(default=None, gt=0)


async def ask(
    text: str,
    *,
    output: type[T] | None = None,
    choices: tuple[str, ...] = (),
    default: Any = None,
    timeout_s: float | None = None,
) -> T:
    """Ask a person and return the answer, as `output` (str if not given).

    Args:
        text: The question.
        output: The type of the answer.
        choices: The answers there are; empty for any.
        default: The answer when time is up, or when nobody is there and there is no time limit.
        timeout_s: How long to wait, from when the question was first asked.

    Raises:
        NoRunError: No run is active here.
        AskError: Nobody can answer and there is no default, or the answer does not fit.
    """
    run = current_frame("ask").run
    adapter: TypeAdapter[Any] = TypeAdapter(output or str)
    schema = None if output in (None, str) else adapter.json_schema()
    question = Question(
        text=text, choices=choices, default=default, answer_schema=schema, timeout_s=timeout_s
    )

    async def body(step: Step) -> Any:
        return _checked(question, await _answer(run, step, question), adapter)

    new = {"answer_schema", "timeout_s"}  # left out when unset: older journals do not know them
    asked = question.model_dump(mode="json", exclude=new)
    asked |= question.model_dump(mode="json", include=new, exclude_none=True)
    call: StepCall[Any] = StepCall(
        name="ask",
        kind="ask",
        input=canonical(asked),
        write=adapter.dump_json,
        read=adapter.validate_json,
    )
    return cast("T", await perform(call, body))


async def _answer(run: ActiveRun, step: Step, question: Question) -> Any:
    left = _seconds_left(run, step, question)
    if left is None or left > 0:
        with anyio.move_on_after(left):
            return await _wait_for_answer(run, step, question)
    if question.default is None:
        problem = f"nobody answered within {question.timeout_s:g} s, and it has no default"
        raise AskError(question=question.text, problem=problem)
    step.details["by"] = "default"
    return question.default


def _seconds_left(run: ActiveRun, step: Step, question: Question) -> float | None:
    if question.timeout_s is None:
        return None
    now = run.clock()
    first = now if run.source is None else run.source.first_asked(step.key) or now
    return first + question.timeout_s - now


async def _wait_for_answer(run: ActiveRun, step: Step, question: Question) -> Any:
    found = _left_in_store(run, step)
    if found is not None:
        return found
    handler = run.services.ask
    if handler is not None:
        answer = handler(question)
        return await answer if inspect.isawaitable(answer) else answer
    if question.default is not None and question.timeout_s is None:
        step.details["by"] = "default"
        return question.default
    if run.outside is None:
        problem = "nobody is there to answer, and it has no default"
        raise AskError(question=question.text, problem=problem)
    run.idleness.park(step, question.text)
    try:
        while found is None:
            await asyncio.sleep(LOOK_EVERY_S)
            found = _left_in_store(run, step)
    finally:
        run.idleness.go_on(step)
    return found


def _left_in_store(run: ActiveRun, step: Step) -> str | None:
    found = None if run.outside is None else run.outside.answer_to(step.key)
    if found is not None:
        step.details["by"] = "store"
    return None if found is None else found.decode()


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
