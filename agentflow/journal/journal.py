"""The journal as people use it: list runs, read one.

Owns the reading interface of the SDK and the command line; writing happens only through a run.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from agentflow.journal.events import Stored
from agentflow.journal.records import RunRecord
from agentflow.journal.store import Store


class Journal:
    """A journal opened for reading; a context manager.

    Args:
        where: A file path or database URL; None is the user's default journal.

    Raises:
        JournalError: It does not exist or cannot be read.
    """

    def __init__(self, where: str | Path | None = None) -> None:
        self._store = Store(where, create=False)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._store.close()

    def runs(self, limit: int | None = None) -> Iterator[RunRecord]:
        """Yield the runs, newest first."""
        for row in self._store.run_rows(limit):
            yield RunRecord.of(row.id, self._store.events(row.number))

    def run(self, run: str) -> RunRecord:
        """Return one run: by id, by the beginning of its id, or the newest by `last`.

        Raises:
            UnknownRunError: There is none, or more than one.
        """
        name, number = self._store.find_run(run)
        return RunRecord.of(name, self._store.events(number))

    def events(self, run: str, after: int = 0) -> list[Stored]:
        """Return the events of a run after number `after`: what a live reader asks again and again.

        Raises:
            UnknownRunError: There is no such run.
        """
        return self._store.events(self._store.find_run(run)[1], after)
