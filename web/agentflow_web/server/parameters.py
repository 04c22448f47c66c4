"""What a request asks for: parts of its path, its query and its JSON body, checked.

Owns the refusals that name a parameter. What leaves here has the type it should have; whether there is
such a run or step is for others to say.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from starlette.requests import Request

from agentflow_web.server.replies import Refusal, bad

T = TypeVar("T")
RUN = re.compile(r"[A-Za-z0-9_-]{1,128}")
MAX_NUMBER = 2**53 - 1  # the largest that every browser counts exactly
WORDS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    dict: "an object",
}


def run_in(request: Request, name: str = "run") -> str:
    """Return the run that the path names."""
    return checked_run(request.path_params[name])


def checked_run(text: str) -> str:
    """Return a run's id, if it can be one."""
    if RUN.fullmatch(text) is None:
        raise Refusal(404, "UnknownRunError", "no run has such an id")
    return text


def number_in(request: Request, name: str) -> int:
    """Return a number of the path."""
    return _number(name, request.path_params[name], 0, MAX_NUMBER)


def number(
    request: Request, name: str, default: int, *, low: int = 0, high: int = MAX_NUMBER
) -> int:
    """Return a number of the query."""
    text = request.query_params.get(name)
    return default if text is None else _number(name, text, low, high)


def numbers(request: Request, name: str, *, at_most: int) -> list[int]:
    """Return the numbers of the query that stand under one name, separated by commas."""
    texts = [text for text in request.query_params.get(name, "").split(",") if text]
    if len(texts) > at_most:
        raise bad(name, f"at most {at_most} at once")
    return [_number(name, text, 0, MAX_NUMBER) for text in texts]


def one_of(request: Request, name: str, allowed: tuple[str, ...]) -> str:
    """Return a word of the query; the first of those allowed where it is missing."""
    text = request.query_params.get(name, allowed[0])
    if text not in allowed:
        raise bad(name, f"one of {', '.join(word for word in allowed if word)}")
    return text


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object that was sent."""
    try:
        value = json.loads(await request.body(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "BadBody", "the body is not JSON") from error
    if not isinstance(value, dict):
        raise Refusal(400, "BadBody", "the body is not a JSON object")
    return value


def field(body: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return a field of a body that has to be there."""
    value = optional(body, name, kind)
    if value is None:
        raise bad(name, f"is missing; it is {WORDS[kind]}")
    return value


def optional(body: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """Return a field of a body; None where it is missing or null."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not kind:  # true is no number
        raise bad(name, f"has to be {WORDS[kind]}")
    return value


def texts(body: Mapping[str, Any], name: str) -> list[str]:
    """Return a list of texts in a body; empty where it is missing."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise bad(name, "has to be a list of texts")
    return value


def _number(name: str, text: str, low: int, high: int) -> int:
    if re.fullmatch(r"[0-9]{1,16}", text) is None or not low <= int(text) <= high:
        raise bad(name, f"a whole number from {low} to {high}, not {text[:40]!r}")
    return int(text)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
