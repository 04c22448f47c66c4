"""What crosses between the front and a replica: a request, and the answer as it comes.

Owns these values, and how an id names its replica. Everything is plain data; knows neither Ray nor a model.
"""

import re
from dataclasses import dataclass
from typing import Any

Headers = tuple[tuple[bytes, bytes], ...]
MARKED = re.compile(r"resp_([a-z0-9]+)_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was let in, and the replica that it is meant for."""

    home: str
    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What there is of an answer since the last time; `status` and `headers` come with the first."""

    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    is_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a replica serves, and for whom: it ends itself when `owner`, an actor, is gone.

    `options` are those of its engine as JSON; `expected` see `fitting`.
    """

    app: str
    model: str
    name: str
    options: str
    expected: dict[str, str]
    owner: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a replica has found out about its model, and its process."""

    replica: str
    pid: int
    device: str
    reads: str
    rows: int
    notes: tuple[str, ...]


def mark_of(replica: str) -> str:
    """Return what stands in the ids of a replica's responses."""
    return f"{replica}_"


def replica_in(response_id: str) -> str | None:
    """Return the name of the replica that has made an id, if it is one of theirs."""
    found = MARKED.fullmatch(response_id)
    return found[1] if found else None
