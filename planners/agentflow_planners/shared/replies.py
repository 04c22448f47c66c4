"""Ask until a reply is sound: of the wanted form, and with nothing wrong that code can see.

Owns the turn in which a model hears what is wrong. Knows no planner; what is sound, the caller says.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from pydantic import BaseModel, Field, create_model

from agentflow import Message, generate
from agentflow.errors import ExpansionError
from agentflow_planners.shared.sampling import attempt_options
from agentflow_planners.shared.wording import shown

ATTEMPTS = 3
AGAIN = "That does not work: {problem}. Send it corrected."
MAX_CHARS = 20_000  # of a reply that is shown to who wrote it

M = TypeVar("M", bound=BaseModel)


def opening(system: str, user: str) -> list[Message]:
    """Return the two messages that a conversation begins with."""
    return [Message(role="system", text=system), Message(role="user", text=user)]


def exchange(said: str | BaseModel, then: str) -> list[Message]:
    """Return what a model said and what it is told then."""
    text = said.model_dump_json() if isinstance(said, BaseModel) else said
    return [Message(role="assistant", text=text or "(empty)"), Message(role="user", text=then)]


def sized(form: type[M], **sizes: tuple[int, int] | int) -> type[M]:
    """Return the form, asking for the least and most items of a list, the most characters of a text.

    A local model is held to that by its grammar; without it, a small one may go on for ever. Whether
    another reply has too much is still for the caller to say.
    """
    fields: dict[str, Any] = {}
    for name, size in sizes.items():
        limits: dict[str, Any] = {"maxLength": size}
        if not isinstance(size, int):
            limits = {"minItems": size[0], "maxItems": size[1]}
        fields[name] = (form.model_fields[name].annotation, Field(json_schema_extra=limits))
    return create_model(form.__name__, __base__=form, __doc__=form.__doc__, **fields)


@overload
async def sound(
    said: str | Sequence[Message],
    output: type[M],
    problem: Callable[[M], str],
    *,
    step: str,
    again: str = AGAIN,
) -> M: ...
@overload
async def sound(
    said: str | Sequence[Message],
    output: dict[str, Any],
    problem: Callable[[Any], str],
    *,
    step: str,
    again: str = AGAIN,
) -> Any: ...
async def sound(
    said: str | Sequence[Message],
    output: Any,
    problem: Callable[[Any], str],
    *,
    step: str,
    again: str = AGAIN,
) -> Any:
    """Return a reply with nothing wrong with it; the model hears of what is, up to 3 attempts.

    Args:
        said: The conversation so far, or its only prompt.
        output: The form: a pydantic model or a JSON schema.
        problem: What is wrong with a reply, in words; empty if nothing is.
        step: Whose failure it is when no attempt is sound.
        again: What is said then, with `{problem}` in it.

    Raises:
        ExpansionError: No attempt was sound.
        MalformedReplyError: No reply had the form.
        ModelError: A call failed for good.
    """
    heard = [Message(role="user", text=said)] if isinstance(said, str) else list(said)
    wrong = ""
    for attempt in range(ATTEMPTS):
        reply = await generate(heard, output=output, **await attempt_options(attempt))
        wrong = problem(reply)
        if not wrong:
            return reply
        told = reply.model_dump_json() if isinstance(reply, BaseModel) else reply
        heard += exchange(shown(told, MAX_CHARS), again.format(problem=wrong))
    raise ExpansionError(
        step=step, problem=f"nothing sound in {ATTEMPTS} attempts; the last: {wrong}"
    )
