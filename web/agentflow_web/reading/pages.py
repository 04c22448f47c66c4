"""One page of events as columns: what history and the live view are both made of.

Owns the shape of a page and the pages kept ready to be sent. A page is a function of the events in it,
but for `status` and `last`; a full page that is not the newest one never changes any more.
"""

import gzip
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from agentflow.journal.rows import MICROSECONDS
from agentflow_web.reading.columns import EFFECT, NO_MODEL, TAKEN, UNSPENT, Columns
from agentflow_web.reading.index import Known, RunIndex

VERSION = 1
TICK_US = 100
MOST_EVENTS = 200_000
KEPT_PAGES = 64
GZIP_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Encoded:
    """A page as it is sent: JSON, gzipped. `is_final`: it is the same for ever."""

    body: bytes
    etag: str
    is_final: bool


def page(index: RunIndex, after: int, limit: int) -> dict[str, Any]:
    """Return the events after number `after`, at most `limit`.

    Raises:
        UnknownRunError: The run is there no more.
        JournalError: The journal cannot be read, or the next event is damaged.
        ValueError: `after` or `limit` is out of bounds.
    """
    if after < 0 or not 0 < limit <= MOST_EVENTS:
        raise ValueError(f"events after {after}, at most {limit}: out of bounds")
    index.catch_up(after + limit)
    known = index.known
    if after > known.last:
        return {"run": index.run, "reset": True}
    if known.complete <= after:
        index.check(after + 1)
    return page_of(index.run, known, after, min(after + limit, max(known.complete, after)))


def page_of(run: str, known: Known, after: int, to: int) -> dict[str, Any]:
    """Return the events after number `after`, up to `to`, of what is known already."""
    columns = known.columns
    types = columns.types[after + 1 : to + 1].decode()
    at_us = columns.at_us[after + 1 : to + 1]
    numbered = list(zip(types, columns.step[after + 1 : to + 1], strict=True))
    starts = [step for letter, step in numbered if letter == "S"]
    others = [step for letter, step in numbered if letter not in "BSZ"]
    ends = [step for letter, step in numbered if letter in "EFRC"]
    return {
        "run": run,
        "after": after,
        "to": to,
        "last": known.last,
        "status": known.status,
        "at": at_us[0] / MICROSECONDS if at_us else 0,
        "types": types,
        "dt": _ticks(at_us),
        "step": _deltas(others),
        **_starts(columns, starts),
        "tokens": _tokens(columns, ends),
        "model": _models(columns, starts, ends),
        **_rarities(columns, starts, ends),
    }


def _ticks(at_us: Sequence[int]) -> list[int]:
    """Return the times between events; rounding them one by one would let the sum drift away."""
    if not at_us:
        return []
    first = at_us[0]
    ticks = [(at - first + TICK_US // 2) // TICK_US for at in at_us]
    return [0, *(later - earlier for earlier, later in pairwise(ticks))]


def _deltas(numbers: Iterable[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise((0, *numbers))]


def _starts(columns: Columns, starts: list[int]) -> dict[str, Any]:
    parent, name = columns.parent, columns.name
    local = {number: place for place, number in enumerate(dict.fromkeys(name[s] for s in starts))}
    return {
        "start": {
            "step": _deltas(starts),
            "parent": [step - parent[step] if parent[step] else 0 for step in starts],
            "name": [local[name[step]] for step in starts],
        },
        "names": [list(columns.names[number]) for number in local],
    }


def _tokens(columns: Columns, ends: list[int]) -> dict[str, list[int]]:
    spent = [step for step in ends if columns.cost[step] != UNSPENT]
    return {
        "step": _deltas(spent),
        "input": [columns.tokens_in[step] for step in spent],
        "output": [columns.tokens_out[step] for step in spent],
        "cost": [columns.cost[step] for step in spent],
    }


def _models(columns: Columns, starts: list[int], ends: list[int]) -> dict[str, list[Any]]:
    """Return the models of steps; what is known at the end counts for more than what was asked for."""
    begun, ended = columns.model_begun, columns.model_ended
    models = {step: begun[step] for step in starts if begun[step] != NO_MODEL}
    models |= {step: ended[step] for step in ends if ended[step] != NO_MODEL}
    steps = sorted(models)
    local = {number: place for place, number in enumerate(dict.fromkeys(models[s] for s in steps))}
    return {
        "names": [columns.models[number] for number in local],
        "step": _deltas(steps),
        "name": [local[models[step]] for step in steps],
    }


def _rarities(columns: Columns, starts: list[int], ends: list[int]) -> dict[str, Any]:
    flags = columns.flags
    return {
        "taken": [step for step in ends if flags[step] & TAKEN],
        "effect": [step for step in starts if flags[step] & EFFECT],
        "attempts": _of(columns.attempts, ends),
        "errors": _of(columns.errors, ends),
        "links": _of(columns.links, starts),
    }


def _of(facts: dict[int, Any], steps: list[int]) -> dict[int, Any]:
    return {step: facts[step] for step in steps if step in facts} if facts else {}


class Pages:
    """Pages ready to be sent; those that never change are kept."""

    def __init__(self, kept: int = KEPT_PAGES) -> None:
        self._most = kept
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int, int, int], Encoded] = OrderedDict()

    def encoded(self, index: RunIndex, after: int, limit: int) -> Encoded:
        """Return a page gzipped.

        Raises:
            UnknownRunError, JournalError, ValueError: See `page`.
        """
        index.catch_up(after + limit)
        key = (index.run, index.known.edition, after, limit)
        with self._lock:
            if (found := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return found
        made = page(index, after, limit)
        encoded = encode(made, is_final=_is_final(made, limit))
        if encoded.is_final:
            self._keep(key, encoded)
        return encoded

    def _keep(self, key: tuple[str, int, int, int], encoded: Encoded) -> None:
        with self._lock:
            self._kept[key] = encoded
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def encode(reply: dict[str, Any], *, is_final: bool = False) -> Encoded:
    """Return a reply of the API as it is sent."""
    text = json.dumps({"v": VERSION, **reply}, separators=(",", ":"))
    body = gzip.compress(text.encode(), GZIP_LEVEL, mtime=0)
    return Encoded(body, hashlib.blake2b(body, digest_size=12).hexdigest(), is_final)


def _is_final(made: dict[str, Any], limit: int) -> bool:
    """Whether a page is full and not the newest: the newest one also says how the run stands."""
    return "types" in made and len(made["types"]) == limit and made["to"] < made["last"]
