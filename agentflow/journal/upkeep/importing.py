"""Take runs from a file into a journal.

Owns the reading of an export. The file may come from anybody: it is read twice, and only when all of
it has been found good are its runs written, in one transaction. Nothing in it is executed, nothing
overwrites a run, and nothing goes to the cached answers, from which other runs would take it.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeGuard

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from agentflow.errors import JournalError
from agentflow.journal import tables
from agentflow.journal.content import Payloads
from agentflow.journal.events import StepStarted, Stored
from agentflow.journal.records import RunRecord
from agentflow.journal.rows import COLUMNS, to_rows
from agentflow.journal.store import NAMES_A_QUERY, Store
from agentflow.journal.summary import Summary
from agentflow.journal.upkeep.export import FORMAT, HASH_BYTES, VERSION
from agentflow.journal.upkeep.form import (
    Form,
    check_name,
    check_time,
    read_annotation,
    read_event,
)
from agentflow.journal.upkeep.order import findings
from agentflow.journal.upkeep.reading import CHUNK_ROWS, UNREADABLE

MAX_LINE_BYTES = 64 * 2**20
MAX_RUN_BYTES = 2**30
MAX_ID_CHARS = 64
_GZIP = b"\x1f\x8b"
_PACKING = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Which runs came in, and which were there already."""

    runs: tuple[str, ...]
    skipped: tuple[str, ...]
    events: int


@dataclass(kw_only=True)
class _Run:
    id: str
    created_at: float
    events: list[Stored]
    annotations: list[Form]


def import_runs(store: Store, source: Path, *, skip_existing: bool = False) -> Imported:
    """Write the runs of an export into `store`: all of them or none.

    Raises:
        JournalError: The file is not good; the message names the line. A run is there already and
            `skip_existing` is not given, or the store cannot be written.
    """
    ids = [run.id for run in _runs_of(source)]
    came: list[str] = []
    events = 0
    with store.errors(), store.writing() as connection:
        existing = _existing(connection, ids)
        if existing and not skip_existing:
            problem = f"there is a run {min(existing)} already; skip such runs with --skip-existing"
            raise JournalError(store=store.name, problem=problem)
        for run in _runs_of(source):
            if run.id not in existing:
                _write(connection, run)
                came.append(run.id)
                events += len(run.events)
    return Imported(
        runs=tuple(came), skipped=tuple(id_ for id_ in ids if id_ in existing), events=events
    )


# Reading -----------------------------------------------------------------------------------


class _Lines:
    """The lines of a file: counted, hashed, never longer than allowed."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self._file = path, file
        self.number = self.read_bytes = 0
        self._hash = hashlib.blake2b(digest_size=HASH_BYTES)

    def bad(self, problem: str) -> JournalError:
        return JournalError(store=str(self.path), problem=f"line {self.number}: {problem}")

    def next(self) -> dict[str, Any]:
        """Return the next line's object."""
        self.number += 1
        try:
            line = self._file.readline(MAX_LINE_BYTES + 1)
        except _PACKING as error:
            raise self.bad(f"the file is cut short or damaged ({error})") from error
        if not line.endswith(b"\n"):
            what = (
                "is too long" if len(line) > MAX_LINE_BYTES else "is missing: the file is cut short"
            )
            raise self.bad(f"the line {what}")
        self.before = self._hash.hexdigest()
        self._hash.update(line)
        self.read_bytes += len(line)
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self.bad(f"no JSON ({error})") from error
        if not isinstance(found, dict):
            raise self.bad("no JSON object")
        return found

    def is_over(self) -> bool:
        try:
            return not self._file.read(1)
        except (EOFError, zlib.error, OSError):
            return False


def _runs_of(source: Path) -> Iterator[_Run]:
    """Yield the runs of a file, one at a time in memory; at the end the whole file is checked."""
    with _opened(source) as file:
        lines = _Lines(source, file)
        for run in _ids(lines):
            yield _run(lines, run)
        end = lines.next().get("end")
        if end != {"lines": lines.number - 1, "blake2b": lines.before}:
            raise lines.bad("the file was changed or cut: count or hash of its lines is another")
        if not lines.is_over():
            raise lines.bad("something follows the last line")


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    try:
        with source.open("rb") as raw:
            is_packed = raw.read(2) == _GZIP
            raw.seek(0)
            if is_packed:
                with gzip.GzipFile(fileobj=raw) as packed:
                    yield packed  # type: ignore[misc]  # it reads like any file
            else:
                yield raw
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise JournalError(store=str(source), problem=problem) from error


def _ids(lines: _Lines) -> list[str]:
    """Return which runs the header promises."""
    try:
        head = lines.next()
    except JournalError as error:
        if isinstance(error.__cause__, _PACKING):
            raise
        raise lines.bad("no export of `agentflow journal export`") from error
    if head.get("format") != FORMAT:
        raise lines.bad("no export of `agentflow journal export`")
    version = head.get("version")
    if not isinstance(version, int) or version < 1:
        raise lines.bad(f"{version!r} is no version")
    if version > VERSION:
        raise lines.bad(f"written by a newer agentflow (format {version}); upgrade agentflow")
    ids = head.get("runs")
    if not isinstance(ids, list) or not all(_is_id(item) for item in ids):
        raise lines.bad("the list of runs is none")
    if len(set(ids)) != len(ids):
        raise lines.bad("a run is named twice")
    return ids


def _is_id(item: object) -> bool:
    return isinstance(item, str) and 0 < len(item) <= MAX_ID_CHARS and item.isprintable()


def _run(lines: _Lines, id_: str) -> _Run:
    head = lines.next()
    count, remarks = head.get("events"), head.get("annotations", 0)  # format 1 has no annotations
    if head.get("run") != id_ or not (_is_count(count) and _is_count(remarks)):
        raise lines.bad(f"here run {id_} should begin")
    first, began = lines.number, lines.read_bytes
    events = []
    try:
        created_at = check_time(head.get("created_at"))
        for form in (lines.next() for _ in range(count)):
            events.append(read_event(form))
            _limit(lines, id_, began)
    except UNREADABLE as error:
        raise lines.bad(f"no event of run {id_}: {_short(error)}") from error
    _check(lines, id_, events, first)
    annotations = _annotations(lines, id_, remarks, events)
    return _Run(id=id_, created_at=created_at, events=events, annotations=annotations)


def _annotations(lines: _Lines, id_: str, count: int, events: list[Stored]) -> list[Form]:
    steps = {event.step for event in events if isinstance(event, StepStarted)}
    began, found = lines.read_bytes, []
    try:
        for form in (lines.next() for _ in range(count)):
            found.append(read_annotation(form, steps))
            _limit(lines, id_, began)
    except UNREADABLE as error:
        raise lines.bad(f"no annotation of run {id_}: {_short(error)}") from error
    return found


def _is_count(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def _limit(lines: _Lines, id_: str, began: int) -> None:
    if lines.read_bytes - began > MAX_RUN_BYTES:
        raise lines.bad(f"run {id_} is longer than {MAX_RUN_BYTES >> 20} MiB")


def _check(lines: _Lines, id_: str, events: list[Stored], first: int) -> None:
    """Check that the events are the record of a run; line `first` stands before them."""
    for finding in findings(events):
        if not finding.late:
            raise lines.bad(f"run {id_}, event {finding.event}: {finding.problem}")
    try:
        Summary.of(RunRecord.of(id_, events))
        to_rows(0, events, {})
    except UNREADABLE as error:
        problem = f"the events of run {id_} (from line {first + 1}) are no record: {_short(error)}"
        raise lines.bad(problem) from error


def _short(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return "; ".join(line.strip() for line in said[1:3] or said) or type(error).__name__


# Writing -----------------------------------------------------------------------------------


def _existing(connection: Connection, ids: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), NAMES_A_QUERY):
        some = ids[start : start + NAMES_A_QUERY]
        query = select(tables.runs.c.id).where(tables.runs.c.id.in_(some))
        found |= set(connection.execute(query).scalars())
    return found


def _write(connection: Connection, run: _Run) -> None:
    """Write one run; its row first, since that keeps a `prune` away from the payloads."""
    for name in (run.id, *(getattr(event, "flow", "") for event in run.events)):
        check_name(name)
    summary = Summary.of(RunRecord.of(run.id, run.events)).row()
    row = {"id": run.id, "created_at": run.created_at, "epoch": 0} | summary
    result = connection.execute(insert(tables.runs).values(row))
    (number,) = result.inserted_primary_key or (0,)
    payloads: Payloads = {}
    rows = to_rows(int(number), run.events, payloads)
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    put = dialect.insert(tables.payloads).on_conflict_do_nothing()
    items = iter({"hash": name, "data": data} for name, data in payloads.items())
    while some := list(islice(items, CHUNK_ROWS)):
        connection.execute(put, some)
    cells = iter(dict(zip(COLUMNS, row, strict=True)) for row in rows)
    while some := list(islice(cells, CHUNK_ROWS)):
        connection.execute(insert(tables.events), some)
    remarks = [{"run": int(number)} | values for values in run.annotations]
    if remarks:
        connection.execute(insert(tables.annotations), remarks)
