"""Choose the replica of a request: where the state is that it goes on from, or where there is least to do.

Owns the memory of which replica has read which beginning, and how many requests each has. Knows neither Ray nor HTTP.
Belongs to one event loop.

A response that is gone on from is on one replica, and only there. What a prompt has in common with an earlier one can be
read anew anywhere, so it is a reason to go there, and no more.
"""

import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from pydantic_core import from_json

from agentflow.cluster.serving.asking import replica_in

MOST_REMEMBERED = 1 << 16  # beginnings
MOST_PIECES = 4096  # of one prompt
PIECE_CHARS = 256  # of a prompt that has no messages
PIECE_TOKENS = 64
SHARE = 0.5  # of a prompt that must be known for its replica to be worth waiting for
SLACK = 4  # requests that it may have more than the least busy one
RESPONSES = "/v1/responses/"


@dataclass(frozen=True, slots=True)
class Beginning:
    """A beginning of a prompt: what stands for it, and its length in characters."""

    digest: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request says about where it belongs; `beginnings` become longer."""

    replica: str | None = None
    beginnings: tuple[Beginning, ...] = ()


class Homes:
    """The replicas and what is known of them; `living` names those that may be asked now."""

    def __init__(self, living: Callable[[], Sequence[str]]) -> None:
        self._living = living
        self._readers: OrderedDict[bytes, str] = OrderedDict()
        self.busy: Counter[str] = Counter()
        self._turns, self._last = count(1), dict[str, int]()

    @contextmanager
    def chosen(self, wanted: Wanted, avoid: Collection[str] = ()) -> Iterator[str]:
        """Yield a replica, and count the request there; an empty name where there is none to choose."""
        living = [name for name in self._living() if name not in avoid]
        home = self._home(wanted, living)
        if home:
            self._remember(wanted, home)
        self.busy[home] += 1
        self._last[home] = next(self._turns)
        try:
            yield home
        finally:
            self.busy[home] -= 1

    def _home(self, wanted: Wanted, living: Sequence[str]) -> str:
        if wanted.replica in living:
            return wanted.replica or ""
        if not living:
            return ""
        least = min(living, key=lambda name: (self.busy[name], self._last.get(name, 0)))
        reader = self._reader(wanted)
        if reader in living and self.busy[reader] < self.busy[least] + SLACK:
            return reader
        return least

    def _reader(self, wanted: Wanted) -> str:
        """Return who has read enough of a prompt; nobody has an empty name."""
        whole = wanted.beginnings[-1].length if wanted.beginnings else 0
        for beginning in reversed(wanted.beginnings):
            if beginning.length < SHARE * whole:
                break
            if beginning.digest in self._readers:
                return self._readers[beginning.digest]
        return ""

    def _remember(self, wanted: Wanted, home: str) -> None:
        for beginning in wanted.beginnings:
            self._readers[beginning.digest] = home
            self._readers.move_to_end(beginning.digest)
        while len(self._readers) > MOST_REMEMBERED:
            self._readers.popitem(last=False)


def wanted_by(path: str, body: bytes) -> Wanted:
    """Return where a request belongs; one that makes no sense belongs nowhere, and is refused by its replica."""
    if path.startswith(RESPONSES):
        return Wanted(replica_in(path.removeprefix(RESPONSES)))
    try:
        given = from_json(body) if body else None
    except ValueError:
        return Wanted()
    if not isinstance(given, dict):
        return Wanted()
    before = given.get("previous_response_id")
    if isinstance(before, str):
        return Wanted(replica_in(before))
    return Wanted(None, tuple(_beginnings(given)))


def _beginnings(given: dict[str, Any]) -> Iterator[Beginning]:
    digest, length = b"", 0
    for piece in _pieces(given)[:MOST_PIECES]:
        data = json.dumps(piece, sort_keys=True).encode()
        digest = hashlib.blake2b(digest + data, digest_size=16).digest()
        length += len(data)
        yield Beginning(digest, length)


def _pieces(given: dict[str, Any]) -> list[Any]:
    """Return a prompt in the order in which a model reads it."""
    head = [given[field] for field in ("tools", "instructions") if given.get(field)]
    said = given.get("messages") or given.get("input") or given.get("prompt")
    if isinstance(said, list) and said and isinstance(said[0], int):
        return [*head, *_cut(said, PIECE_TOKENS)]
    if isinstance(said, list):
        return [*head, *said]
    return [*head, *_cut(said, PIECE_CHARS)] if isinstance(said, str) else head


def _cut(whole: Any, size: int) -> list[Any]:
    return [whole[start : start + size] for start in range(0, len(whole), size)]
