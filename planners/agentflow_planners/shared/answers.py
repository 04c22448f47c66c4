"""How an answer is read out of what a model says.

Owns the mark that an answer stands behind, the way from text to a value of the wanted shape, and the
question that is asked when a reply says no answer. Knows no planner.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from agentflow import Message, MisfitError, SchemaShape, Task, generate
from agentflow.errors import ExpansionError

MARK = "Answer:"
GIVEN_UP = "FAILED:"

_MARKED = re.compile(r"^[ \t*_#>]*(?:the +)?(?:final +)?answer[ *_]*:[*_]*", re.I | re.M)
_SPOKEN = re.compile(r"\banswer is:?[ \t]+(\S[^\n]*)", re.I)
_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_GIVEN_UP = re.compile(r"^[ *_]*FAILED[*_]*:[*_]*\s*(.*)", re.M | re.DOTALL)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def wanted_form(task: Task) -> str:
    """Return how a reply has to end so that `stated` finds the answer."""
    if task.output_schema is None:
        return f"End with `{MARK}` and the answer alone."
    schema = json.dumps(task.output_schema)
    return f"End with `{MARK}` and the answer as JSON of this schema: {schema}"


def stated(text: str) -> str | None:
    """Return what stands behind the last `Answer:`, or the last `the answer is`; None without one."""
    marks = list(_MARKED.finditer(text))
    if marks:
        return text[marks[-1].end() :].strip().strip("*_ ").strip() or None
    spoken = _SPOKEN.findall(text)
    return spoken[-1].strip("*_ ").rstrip(".").strip("*_ ") or None if spoken else None


def given_up(text: str) -> str | None:
    """Return the reason behind `FAILED:`; None when the reply says no such thing."""
    found = _GIVEN_UP.search(text)
    return None if found is None else found.group(1).strip() or "no reason given"


def fences(text: str) -> list[str]:
    """Return what stands between Markdown fences; one that is never closed goes to the end."""
    return _FENCE.findall(text)


def python_fence(text: str) -> tuple[str | None, str]:
    """Return the first Python between fences, and the reply up to its end: the rest is guesswork."""
    for found in _FENCE.finditer(text):
        if found.group(0).partition("\n")[0].strip("` \t").lower() in (
            "",
            "python",
            "py",
            "python3",
        ):
            return found.group(1), text[: found.end()]
    return None, text


def read_as(text: str, schema: dict[str, Any]) -> Any:
    """Return the value of a schema's shape that a reply holds.

    Raises:
        MisfitError: It holds none.
    """
    shape, marked = SchemaShape(schema), stated(text)
    said = text if marked is None else marked
    problem: MisfitError | None = None
    for candidate in (said, *reversed(fences(said)), said[said.find("{") : said.rfind("}") + 1]):
        try:
            return shape.read(candidate)
        except MisfitError as error:
            problem = problem or error
    if marked is not None and schema.get("type") == "string":
        return shape.check(marked)
    numbers = _NUMBER.findall(said) if marked is not None else []
    if len(numbers) == 1 and schema.get("type") in ("number", "integer"):
        return shape.read(numbers[0].replace(",", ""))
    assert problem is not None
    raise problem


def fitting(value: Any, task: Task) -> Any:
    """Return a program's value if it can be the task's answer.

    Raises:
        MisfitError: It is nothing, or not of the wanted shape.
    """
    if task.output_schema is not None:
        return SchemaShape(task.output_schema).check(value)
    if value is None:
        raise MisfitError("it returns nothing; end with `return` and the answer")
    return value


async def whole_answer(task: Task, conversation: Sequence[Message], text: str) -> Any:
    """Return a reply that is the answer as it stands, in the wanted shape; asks again if it must.

    Args:
        task: What was asked.
        conversation: All that came before the reply.
        text: The reply.

    Raises:
        MalformedReplyError: No further reply had the wanted shape.
    """
    if task.output_schema is None:
        return text
    try:
        return read_as(text, task.output_schema)
    except MisfitError:
        ask = "Give the answer as JSON of the schema, nothing else."
        return await generate(_further(conversation, text, ask), output=task.output_schema)


async def final_answer(task: Task, conversation: Sequence[Message], text: str) -> Any:
    """Return the answer in which a reply ends (see `wanted_form`); asks again if it does not say one.

    The arguments are those of `whole_answer`.

    Raises:
        ExpansionError: Asked for nothing but the answer, the model says nothing.
        MalformedReplyError: No further reply had the wanted shape.
    """
    if task.output_schema is not None:
        return await whole_answer(task, conversation, text)
    said = stated(text)
    if said is not None:
        return said
    ask = "Now give the answer alone, nothing else."
    last = (await generate(_further(conversation, text, ask))).text
    answer = (stated(last) or last).strip()
    if not answer:
        raise ExpansionError(step="answer", problem="the model gave no answer, even asked for it")
    return answer


def _further(conversation: Sequence[Message], text: str, ask: str) -> list[Message]:
    said = Message(role="assistant", text=text or "(empty)")
    return [*conversation, said, Message(role="user", text=ask)]
