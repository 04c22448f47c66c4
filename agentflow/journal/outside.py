"""What other processes and other runs have left in the store for this run.

Owns two look-ups: the answer a person left for a question, and the result of another run's step that
had the same fingerprint. Neither is ever written from here: answers come through `Journal.answer`, and
results with the commit of the step that had them.
"""

import json
from typing import Any

from sqlalchemy import bindparam, select

from agentflow.journal import tables
from agentflow.journal.content import unpack
from agentflow.journal.reuse import Recorded
from agentflow.journal.store import Store

_ANSWER = select(tables.inbox.c.answer).where(
    tables.inbox.c.run == bindparam("run"), tables.inbox.c.key == bindparam("key")
)
_CACHED = select(tables.answers).where(tables.answers.c.fingerprint == bindparam("fingerprint"))
_PAYLOAD = select(tables.payloads.c.data).where(tables.payloads.c.hash == bindparam("hash"))


class StoreOutside:
    """The view of run number `run` on the rest of its store."""

    def __init__(self, store: Store, run: int) -> None:
        self._store, self._run = store, run

    def answer_to(self, key: bytes) -> bytes | None:
        """Return the answer a person left for the question asked by the step `key`.

        Raises:
            JournalError: The store cannot be read.
        """
        with self._store.errors(), self._store.engine.connect() as connection:
            found = connection.execute(_ANSWER, {"run": self._run, "key": key}).scalar()
        return None if found is None else bytes(found)

    def cached(self, fingerprint: bytes) -> Recorded | None:
        """Return the result of a step of another run that had the same fingerprint, and whose it was.

        Raises:
            JournalError: The store cannot be read.
        """
        with self._store.errors(), self._store.engine.connect() as connection:
            row = connection.execute(_CACHED, {"fingerprint": fingerprint}).one_or_none()
            if row is None:
                return None

            def payload(name: bytes) -> bytes:
                return bytes(connection.execute(_PAYLOAD, {"hash": name}).scalar_one())

            output = unpack(row.output, payload)
        kept: dict[str, Any] = json.loads(row.details) if row.details else {}
        return Recorded(
            output, kept | {"origin": {"run": row.run, "step": row.step, "cache": True}}
        )
