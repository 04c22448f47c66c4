"""Write runs to a file that another journal can take in.

Owns the format: JSON lines, packed when the name ends in `.gz`. A header, then each run with its
events and annotations, then a line that counts the lines before it and holds their hash, so that a file
that was cut or changed is noticed. Secrets are looked for once more on the way out. Cached answers do not travel.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Row, select

from agentflow.errors import AgentflowError, JournalError
from agentflow.journal import tables
from agentflow.journal.annotations import annotations_of
from agentflow.journal.store import Store
from agentflow.journal.upkeep.form import annotation_form, event_form
from agentflow.journal.upkeep.reading import events_of, snapshot
from agentflow.redaction import Redactor
from agentflow.wholefile import whole_file

FORMAT, VERSION = "agentflow-journal", 2  # 2 has annotations
HASH_BYTES = 32
_INDEX = ("flow", "parent", "status", "ended_at", "steps", "tokens", "cost_usd")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and how large the file is."""

    runs: tuple[str, ...]
    events: int
    file_bytes: int


def export_runs(
    store: Store,
    target: Path,
    runs: Sequence[str] | None = None,
    *,
    redactor: Redactor | None = None,
) -> Exported:
    """Write runs to the file `target`, which appears whole or not at all; None writes all runs.

    Raises:
        UnknownRunError: A run is not there.
        JournalError: The store cannot be read, or the file cannot be written.
    """
    chosen = None if runs is None else {store.find_run(run)[1] for run in runs}
    with (
        whole_file(target, _refusal(target)) as raw,
        _packed(target, raw) as file,
        snapshot(store) as connection,
    ):
        rows = connection.execute(select(tables.runs).order_by(tables.runs.c.number)).all()
        rows = [row for row in rows if chosen is None or row.number in chosen]
        writer = _Writer(file, redactor or Redactor())
        writer.put({"format": FORMAT, "version": VERSION, "runs": [row.id for row in rows]})
        for row in rows:
            writer.put_run(connection, store.name, row)
        writer.end()
    size = target.stat().st_size
    return Exported(runs=tuple(row.id for row in rows), events=writer.events, file_bytes=size)


class _Writer:
    """Writes lines and keeps count."""

    def __init__(self, file: IO[bytes], redactor: Redactor) -> None:
        self._file, self._redactor = file, redactor
        self._hash = hashlib.blake2b(digest_size=HASH_BYTES)
        self.lines = self.events = 0

    def put(self, form: dict[str, Any]) -> None:
        line = _line(form)
        self._file.write(line)
        self._hash.update(line)
        self.lines += 1

    def put_run(self, connection: Connection, store: str, row: Row[Any]) -> None:
        events = events_of(connection, store, row.number)
        index = {name: getattr(row, name) for name in _INDEX}
        annotations = annotations_of(connection, row.number)
        head = {"run": row.id, "created_at": row.created_at}
        head |= {"events": len(events), "annotations": len(annotations)}
        self.put(head | {"index": self._redactor.data(index)})
        for event in events:
            self.put(event_form(event, self._redactor))
        for annotation in annotations:
            self.put(annotation_form(annotation, self._redactor))
        self.events += len(events)

    def end(self) -> None:
        self.put({"end": {"lines": self.lines, "blake2b": self._hash.hexdigest()}})


@contextmanager
def _packed(target: Path, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    """Give what to write to: compressed if the name says so."""
    if target.suffix != ".gz":
        yield raw
        return
    with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
        yield packed  # type: ignore[misc]  # it is written like any file


def _refusal(target: Path) -> Callable[[str], AgentflowError]:
    return lambda problem: JournalError(store=str(target), problem=problem)


def _line(form: dict[str, Any]) -> bytes:
    """Return a line of UTF-8; a lone surrogate, which UTF-8 lacks, stays a JSON escape."""
    try:
        text = json.dumps(form, separators=(",", ":"), ensure_ascii=False)
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(form, separators=(",", ":")).encode() + b"\n"
