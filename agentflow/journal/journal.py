"""The journal as people use it: list runs, read one, answer its questions, annotate it.

Owns the interface of the SDK and the command line. Events are written by a run alone; an answer is left
beside them, and the run takes it from there. Annotations stay beside them.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from agentflow.journal import annotations
from agentflow.journal.annotations import Annotation
from agentflow.journal.answering import check_answer, find_question
from agentflow.journal.events import Stored
from agentflow.journal.records import RunRecord
from agentflow.journal.store import Store
from agentflow.journal.summary import status_of


@dataclass(frozen=True, kw_only=True)
class RunHead:
    """How a run stands, without its steps.

    `status` is `running` while a process writes it, and `stopped` when that process is gone without
    having ended the run. Times are Unix seconds, `cost_usd` None is an unknown price.
    """

    id: str
    flow: str
    status: str
    started_at: float
    ended_at: float | None
    steps: int
    tokens: int
    cost_usd: float | None
    parent: str | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it has not ended."""
        return None if self.ended_at is None else self.ended_at - self.started_at


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

    def head(self, run: str) -> RunHead:
        """Return how one run stands, without reading its events.

        Raises:
            UnknownRunError: There is none, or more than one.
        """
        _, number = self._store.find_run(run)
        return _head(self._store.run_row(number), time.time())

    def heads(self, limit: int | None = None) -> list[RunHead]:
        """Return how the runs stand, newest first; a list of a million steps costs one query."""
        now = time.time()
        return [_head(row, now) for row in self._store.run_rows(limit)]

    def answer(self, run: str, answer: Any, *, step: int | None = None) -> int:
        """Answer a question that a run asks, whether its process is there or not; return the step.

        Args:
            run: The run, as for `run`.
            answer: Text as a person types it, or plain data.
            step: Which question, when there are several.

        Raises:
            UnknownRunError: There is no such run.
            AskError: There is no such question, or the answer does not fit it.
        """
        name, number = self._store.find_run(run)
        record = RunRecord.of(name, self._store.events(number))
        question = find_question(record, step)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        check_answer(question, text)
        self._store.leave_answer(number, question.key, text.encode())
        return question.number

    def annotate(
        self, run: str, text: str, *, step: int | None = None, tag: str = ""
    ) -> Annotation:
        """Write a remark on a run or one of its steps, whoever writes the run; secrets are redacted.

        Args:
            run: The run, as for `run`.
            text: At most 64 KiB.
            step: The number of a step; None is the run as a whole.
            tag: One word of at most 40 characters, to choose by.

        Raises:
            UnknownRunError: There is no such run.
            AnnotationError: There is no such step, or text or tag cannot be written.
        """
        return annotations.annotate(self._store, run, text, step=step, tag=tag)

    def annotations(self, run: str, step: int | None = None) -> list[Annotation]:
        """Return what people have written on a run, or on one step of it, in the order written.

        Raises:
            UnknownRunError: There is no such run.
        """
        return annotations.read_annotations(self._store, run, step)

    def remove_annotation(self, run: str, id: int) -> None:  # noqa: A002 - as `Annotation.id`
        """Take back what was written on a run.

        Raises:
            UnknownRunError: There is no such run.
            AnnotationError: There is no such annotation on it.
        """
        annotations.remove_annotation(self._store, run, id)

    def find(self, run: str) -> str:
        """Return the whole id of a run, given as for `run`, without reading its events.

        Raises:
            UnknownRunError: There is none, or more than one.
        """
        return self._store.find_run(run)[0]

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


def _head(row: Any, now: float) -> RunHead:
    return RunHead(
        id=row.id,
        flow=row.flow or "",
        status=status_of(row, now),
        started_at=row.created_at,
        ended_at=row.ended_at,
        steps=row.steps or 0,
        tokens=row.tokens or 0,
        cost_usd=row.cost_usd,
        parent=row.parent,
    )
