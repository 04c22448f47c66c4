"""Look for words in the contents of a run, without an index.

Owns the scan: cells and payloads are read in chunks, a payload that many steps share once, and memory
does not grow with the run. What is recorded is JSON, so a word is looked for as typed and as JSON
spells it; an escaped character outside ASCII is read as what it stands for.
"""

import json
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, case, or_, select

from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.content import INLINE, names_in
from agentflow.journal.events import Expanded, Noted, StepFailed, StepFinished, StepStarted
from agentflow.journal.rows import TYPES, WHOLE_STEP
from agentflow.journal.store import Store
from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.source import readable

PARTS = ("input", "output", "error", "note")
MOST_WORDS = 32
MOST_FOUND = 5000
CHUNK_ROWS = 2000
PAYLOADS_A_QUERY = 500
PAYLOADS_AT_ONCE = 32  # one may have megabytes
KEPT_PAYLOADS = 200_000

_WORD = re.compile(r'"(.+?)"(?=\s|$)|(\S+)', re.DOTALL)
_ESCAPED = re.compile(r"(?:\\u[0-9a-f]{4})+")
_events, _payloads = tables.events.c, tables.payloads.c
_OUTPUTS = (TYPES[StepFinished], WHOLE_STEP, TYPES[Expanded])


def split_words(query: str) -> list[str]:
    """Return what a query asks for: its words, and "phrases in quotes" as they stand.

    Raises:
        ValueError: It asks for nothing, or for too much.
    """
    words = list(dict.fromkeys(phrase or word for phrase, word in _WORD.findall(query)))
    if not words:
        raise ValueError("nothing to look for: the query is empty")
    if len(words) > MOST_WORDS:
        raise ValueError(f"{len(words)} words to look for; at most {MOST_WORDS}")
    return words


def search(
    index: RunIndex,
    words: Sequence[str],
    *,
    parts: Sequence[str] = PARTS,
    limit: int = MOST_FOUND,
    between: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Return the numbers of the steps in whose contents all of `words` are, in whatever case.

    Args:
        index: The run; its index need not have been read.
        words: What `split_words` gives.
        parts: Where to look: some of `PARTS`. What a step expanded into is looked for in `output`.
        limit: At most how many steps; `more` says that there may be others.
        between: Called between two chunks; what it raises ends the search.

    Raises:
        JournalError: The store cannot be read or is damaged.
        ValueError: `parts` are others.
    """
    if unknown := [part for part in parts if part not in PARTS]:
        raise ValueError(f"cannot look in {unknown[0]!r}: only in {', '.join(PARTS)}")
    wanted = Wanted(words)
    found = _Found(wanted.all)
    store = index.store
    with store.errors(), store.engine.connect() as connection:
        scan = _Scan(store, connection, wanted)
        after = 0
        while rows := connection.execute(_chunk(index.number, after, parts)).all():
            with readable(store, index.run):
                for step, mask in scan.masks(rows):
                    found.add(step, mask)
            if len(found.steps) > limit:
                break
            after = int(rows[-1].number)
            between()
    return {"steps": sorted(found.steps[:limit]), "more": len(found.steps) > limit}


class Wanted:
    """Words to find, each a bit of a mask; `all` has every bit."""

    def __init__(self, words: Sequence[str]) -> None:
        self.all = (1 << len(words)) - 1
        spelled = [_spellings(word) for word in words]
        self._bits = [(1 << place, spellings) for place, spellings in enumerate(spelled)]
        self._is_ascii = all(word.isascii() for word in words)
        self._bytes = [
            (bit, [one.encode("utf-8", "replace") for one in some]) for bit, some in self._bits
        ]

    def within(self, data: bytes) -> int:
        """Return which words are in recorded bytes."""
        if self._is_ascii:  # no need to decode them: lower() of bytes is for ASCII letters
            low = data.lower()
            return sum(bit for bit, some in self._bytes if any(one in low for one in some))
        return self.within_text(data.decode("utf-8", "replace"))

    def within_text(self, text: str) -> int:
        """Return which words are in a text."""
        low = text.lower()
        if not self._is_ascii and "\\u" in low:
            low = _ESCAPED.sub(_unescaped, low).lower()
        return sum(bit for bit, some in self._bits if any(one in low for one in some))


class _Found:
    """The steps that have all the words, in whatever events these were found."""

    def __init__(self, all_: int) -> None:
        self._all = all_
        self._masks = array("L", [0])
        self.steps: list[int] = []

    def add(self, step: int, mask: int) -> None:
        missing = step + 1 - len(self._masks)
        if missing > 0:
            self._masks.extend(array("L", [0]) * (missing + 1024))
        before = self._masks[step]
        if before != self._all and before | mask == self._all:
            self.steps.append(step)
        self._masks[step] = before | mask


class _Scan:
    """Looks through the cells of rows; remembers what was found in payloads."""

    def __init__(self, store: Store, connection: Connection, wanted: Wanted) -> None:
        self._store, self._connection, self._wanted = store, connection, wanted
        self._known: dict[bytes, int] = {}

    def masks(self, rows: Sequence[Any]) -> Iterator[tuple[int, int]]:
        """Yield step numbers and which words are in one row of theirs."""
        self._read_payloads(
            [name for row in rows for cell in (row.input, row.output) for name in _names(cell)]
        )
        for row in rows:
            mask = self._within(row.input) | self._within(row.output) | self._within_words(row)
            if mask:
                yield row.step, mask

    def _within(self, cell: bytes | None) -> int:
        if cell is None:
            return 0
        if cell[:1] == INLINE:
            return self._wanted.within(bytes(cell[1:]))
        mask = 0
        for name in names_in(cell):
            mask |= self._known[name]
        return mask

    def _within_words(self, row: Any) -> int:
        if row.details is None:
            return 0
        details = json.loads(row.details)
        if row.type == TYPES[Noted]:
            return self._wanted.within_text(str(details["text"]))
        failure = details["failure"]
        return self._wanted.within_text(f"{failure['name']}: {failure['message']}")

    def _read_payloads(self, names: Sequence[bytes]) -> None:
        if len(self._known) > KEPT_PAYLOADS:
            self._known.clear()
        unknown = [name for name in dict.fromkeys(names) if name not in self._known]
        for start in range(0, len(unknown), PAYLOADS_A_QUERY):
            some = unknown[start : start + PAYLOADS_A_QUERY]
            query = select(_payloads.hash, _payloads.data).where(_payloads.hash.in_(some))
            streamed = query.execution_options(yield_per=PAYLOADS_AT_ONCE)
            for name, data in self._connection.execute(streamed):
                self._known[bytes(name)] = self._wanted.within(bytes(data))
        for name in unknown:
            if name not in self._known:
                problem = f"payload {name.hex()} is missing: the file is damaged"
                raise JournalError(store=self._store.name, problem=problem)


def _chunk(run: int, after: int, parts: Sequence[str]) -> Select[Any]:
    """Return the query for the next rows in which the words may be, with only the cells to look at."""
    starts = _events.type.in_((TYPES[StepStarted], WHOLE_STEP))
    ends = _events.type.in_(_OUTPUTS)
    fails = _events.type == TYPES[StepFailed]
    notes = and_(_events.type == TYPES[Noted], _events.step.is_not(None))
    where = dict(zip(PARTS, (starts, ends, fails, notes), strict=True))
    looked_at = {part: where[part] for part in PARTS if part in parts}
    outputs = [looked_at[part] for part in ("output", "error") if part in looked_at]
    words = [looked_at[part] for part in ("error", "note") if part in looked_at]
    return (
        select(
            _events.number,
            _events.type,
            _events.step,
            _cell(_events.input, [starts] if "input" in parts else []),
            _cell(_events.output, outputs),
            _cell(_events.details, words),
        )
        .where(_events.run == run, _events.number > after, or_(*looked_at.values()))
        .order_by(_events.number)
        .limit(CHUNK_ROWS)
    )


def _cell(column: Any, where: Sequence[Any]) -> Any:
    """Return the column where one of the conditions holds, and nothing elsewhere."""
    if not where:
        return case((_events.number < 0, column)).label(column.name)
    return case((or_(*where), column)).label(column.name)


def _names(cell: bytes | None) -> list[bytes]:
    return [] if cell is None else names_in(cell)


def _spellings(word: str) -> list[str]:
    low = word.lower()
    return list(dict.fromkeys((low, json.dumps(low, ensure_ascii=False)[1:-1])))


def _unescaped(match: "re.Match[str]") -> str:
    units = bytes.fromhex(match[0].replace("\\u", ""))
    return units.decode("utf-16-be", "replace")
