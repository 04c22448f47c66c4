"""Read what a child wrote: frames of JSON, which hostile code may have written too.

Owns the way from bytes to observations. Nothing is taken on trust: lengths are bounded, shapes are
validated, and at the first thing that does not fit the rest is dropped.
"""

import json
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, TypeAdapter

from agentflow.sandbox.workers.encoded import check_encoded
from agentflow.sandbox.workers.protocol import Examined, Failure, Observation, TrialLimits

_LENGTH = struct.Struct("!I")
_REST_BYTES = 64 << 10  # a failure and the names of the fields
_ESCAPED = 6  # bytes that one byte of output can become in JSON
_OBSERVATION = TypeAdapter(Observation)


class Loaded(BaseModel):
    """The first frame of a trial."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    failure: Failure | None


def most_frame_bytes(limits: TrialLimits) -> int:
    """Return how long the longest frame of a trial can be: a value, the arguments, what was printed."""
    return 2 * limits.value_bytes + _ESCAPED * limits.stdout_bytes + _REST_BYTES


def read_trial(data: bytes, most: int) -> tuple[Loaded | None, list[Observation]]:
    """Return the frames of a trial up to the first that is none; None if not even loading was told."""
    frames = _frames(data, most)
    try:
        loaded = Loaded.model_validate(next(frames))
        _check_texts("", loaded.failure)
    except (StopIteration, ValueError, RecursionError):
        return None, []
    observations: list[Observation] = []
    with suppress(ValueError, RecursionError):
        observations.extend(map(_observation, frames))
    return loaded, observations


def read_examined(data: bytes, most: int) -> Examined | None:
    """Return the verdict of an examination; None if there is none."""
    try:
        examined = Examined.model_validate(next(_frames(data, most)))
        _check_texts(examined.stdout, examined.failure)
    except (StopIteration, ValueError, RecursionError):
        return None
    return examined


def _observation(frame: Any) -> Observation:
    seen = _OBSERVATION.validate_python(frame)
    check_encoded(seen.value)
    check_encoded(seen.arguments)
    _check_texts(seen.stdout, seen.failure)
    if (seen.outcome == "raised") != (seen.failure is not None):
        raise ValueError("an outcome without its failure")
    return seen


def _check_texts(stdout: str, failure: Failure | None) -> None:
    """Refuse text that cannot be printed, as it holds half a character.

    Raises:
        UnicodeEncodeError: A ValueError.
    """
    stdout.encode()
    if failure is not None:
        for text in (failure.type, *failure.bases, failure.message, failure.report):
            text.encode()


def _frames(data: bytes, most: int) -> Iterator[Any]:
    position = 0
    while position + _LENGTH.size <= len(data):
        (size,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        if size > most or position + size > len(data):
            return
        yield json.loads(data[position : position + size], parse_constant=_refuse)
        position += size


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not in the encoded form")
