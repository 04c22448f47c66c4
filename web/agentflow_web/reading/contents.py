"""What went into steps and came out, as the page shows it.

Owns `Content`: recorded text, cut where a page would choke on it. Of a long payload only the head is
read, so showing many steps needs little memory however long their inputs are.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, LargeBinary, func, select

from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.content import INLINE, names_in
from agentflow.journal.events import Failure
from agentflow.journal.store import NAMES_A_QUERY

SHOWN_BYTES = 64 * 1024
_HEAD_BYTES = SHOWN_BYTES + 4  # so that the cut can be told from the end, and fall on a character

_payloads = tables.payloads.c


class Contents:
    """The payloads that some event rows refer to, as far as they are shown; `whole` reads all of them.

    Raises:
        ValueError: A cell is none of ours.
    """

    def __init__(
        self, connection: Connection, store: str, rows: Sequence[Any], *, whole: bool = False
    ) -> None:
        self._store, self._connection = store, connection
        cells = [cell for row in rows for cell in (row.input, row.output) if cell is not None]
        names = [names_in(cell) for cell in cells]
        self._sizes: dict[bytes, int] = dict(
            self._read(func.length(_payloads.data), (name for some in names for name in some))
        )
        limit = None if whole else _HEAD_BYTES
        wanted = (name for some in names for name in self._first(some, limit))
        head: Any = _payloads.data
        if limit is not None:
            head = func.substr(_payloads.data, 1, limit, type_=LargeBinary())
        self._heads: dict[bytes, bytes] = dict(self._read(head, wanted))

    def get(self, name: bytes) -> bytes:
        """Return the beginning of a payload: all that matters of it for what is shown.

        Raises:
            JournalError: It is not there.
        """
        head = self._heads.get(name, b"")
        return head if len(head) == self._size(name) else _whole_characters(head)

    def size(self, cell: bytes | None) -> int:
        """Return how many bytes the content of a cell has."""
        if cell is None:
            return 0
        if cell[:1] == INLINE:
            return len(cell) - 1
        return sum(self._size(name) for name in names_in(cell))

    def _size(self, name: bytes) -> int:
        size = self._sizes.get(name)
        if size is None:
            problem = f"payload {name.hex()} is missing: the file is damaged"
            raise JournalError(store=self._store, problem=problem)
        return size

    def _first(self, names: Sequence[bytes], limit: int | None) -> list[bytes]:
        """Return the names of the first parts that hold `limit` bytes."""
        first, total = [], 0
        for name in names:
            if limit is not None and total >= limit:
                break
            first.append(name)
            total += self._sizes.get(name, 0)
        return first

    def _read(self, what: Any, names: Iterable[bytes]) -> Iterable[tuple[bytes, Any]]:
        wanted = list(dict.fromkeys(names))
        for start in range(0, len(wanted), NAMES_A_QUERY):
            some = wanted[start : start + NAMES_A_QUERY]
            query = select(_payloads.hash, what).where(_payloads.hash.in_(some))
            for name, found in self._connection.execute(query):
                yield bytes(name), bytes(found) if isinstance(found, memoryview) else found


def content(
    data: bytes, size: int, *, is_json: bool = True, limit: int | None = SHOWN_BYTES
) -> dict[str, Any]:
    """Return recorded bytes as `Content`; `size` is how many there are in all."""
    is_cut = limit is not None and size > limit
    text = _whole_characters(data[:limit]) if is_cut else data
    return {"text": shown(text), "bytes": size, "cut": is_cut, "is_json": is_json}


def failure_data(failure: Failure) -> dict[str, Any]:
    """Return a failure as `Error`."""
    return {
        "type": failure.name,
        "message": failure.message,
        "trace": failure.trace,
        "facts": failure.facts,
    }


def shown(data: bytes) -> str:
    """Return recorded bytes as text; what is no UTF-8 (half a surrogate pair) shows as a question mark."""
    return data.decode("utf-8", "replace")


def _whole_characters(data: bytes) -> bytes:
    """Return text without the character that its end cuts through."""
    start = len(data) - 1
    while start > 0 and data[start] & 0xC0 == 0x80:
        start -= 1
    length = next((n for n, first in _LONG if data[start : start + 1] >= first), 1)
    return data if start + length <= len(data) else data[:start]


# How many bytes a character has, by its first one.
_LONG = ((4, b"\xf0"), (3, b"\xe0"), (2, b"\xc0"))
