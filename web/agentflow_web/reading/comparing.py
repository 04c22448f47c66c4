"""Two runs side by side.

Owns the shape of a comparison; which steps belong together is decided by `agentflow.journal.diff`. Long
contents are not read for it: two of them are the same when their names are, and only where they were
stored differently (in parts, and in one piece) are they looked at.
"""

from typing import Any

from sqlalchemy import Connection, select

from agentflow.journal import tables
from agentflow.journal.content import HASH_BYTES, payload_hash
from agentflow.journal.diff import StepDifference, diff_runs
from agentflow.journal.records import RunRecord
from agentflow.journal.rows import from_rows
from agentflow.journal.store import NAMES_A_QUERY
from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.runs import run
from agentflow_web.reading.source import readable

_LETTERS = {"input": "i", "output": "o", "status": "s", "model": "m"}
_MARK = b"\x00"  # nothing recorded begins with it: JSON and tracebacks are text
_NAME_BYTES = 1 + 2 * HASH_BYTES


def compare(left: RunIndex, right: RunIndex) -> dict[str, Any]:
    """Return every step of two runs of one store, in the order of `diff_runs`.

    Raises:
        UnknownRunError: A run is there no more.
        JournalError: The store cannot be read or is damaged.
    """
    one, other = _named(left), _named(right)
    found = diff_runs(one, other)
    with left.store.errors(), left.store.engine.connect() as connection:
        changed = [_changed(connection, difference) for difference in found]
    return {
        "a": run(left),
        "b": run(right),
        "left": [0 if pair.left is None else pair.left.number for pair in found],
        "right": [_right(pair) for pair in found],
        "changed": changed,
    }


def _named(index: RunIndex) -> RunRecord:
    """Return the record of a run in which long contents are replaced by their names."""
    columns, store = tables.events.c, index.store
    query = select(tables.events).where(columns.run == index.number).order_by(columns.number)
    with store.errors(), store.engine.connect() as connection:
        rows = connection.execute(query).all()
    with readable(store, index.run):
        return RunRecord.of(index.run, from_rows(rows, lambda name: _MARK + name.hex().encode()))


def _right(pair: StepDifference) -> int:
    """Return the step in the second run; 0 where it is below a result that was taken over whole."""
    return 0 if pair.right is None or pair.right is pair.left else pair.right.number


def _changed(connection: Connection, pair: StepDifference) -> str:
    letters = "".join(_LETTERS[what] for what in pair.changed if _is_real(connection, pair, what))
    return letters + ("r" if pair.is_reused else "")


def _is_real(connection: Connection, pair: StepDifference, what: str) -> bool:
    """Return whether contents differ, and not only the way they were stored."""
    if what not in ("input", "output") or pair.left is None or pair.right is None:
        return True
    one, other = getattr(pair.left, what), getattr(pair.right, what)
    if not (_is_name(one) and _is_name(other)) or len(one) == len(other) == _NAME_BYTES:
        return True
    return _hash(connection, one) != _hash(connection, other)


def _is_name(content: bytes | None) -> bool:
    return content is not None and content[:1] == _MARK


def _hash(connection: Connection, names: bytes) -> bytes:
    if len(names) == _NAME_BYTES:
        return bytes.fromhex(names[1:].decode())
    wanted = [bytes.fromhex(name.decode()) for name in names.split(_MARK)[1:]]
    columns = tables.payloads.c
    found: dict[bytes, bytes] = {}
    for start in range(0, len(wanted), NAMES_A_QUERY):
        query = select(tables.payloads).where(
            columns.hash.in_(wanted[start : start + NAMES_A_QUERY])
        )
        found |= {bytes(row.hash): bytes(row.data) for row in connection.execute(query)}
    return payload_hash(b"".join(found.get(name, name) for name in wanted))
