"""Run trees while their processes are killed, and look whether the promises hold.

Owns the weather: when a process dies, how often, and what must be true after every death and at the
end. The journal is read here, by a process of its own, as it stands at that moment.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from agentflow import Journal, Runner
from agentflow.errors import JournalError, UnknownRunError
from agentflow.journal.events import (
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
    Stored,
)
from agentflow.journal.records import RunRecord
from agentflow.journal.store import Store
from agentflow.journal.upkeep.verify import verify
from agentflow.runner import new_run_id
from tests.faults.trees import Node, branch, effects, outcome, sure_leaves

SPAN_S = 0.12  # about as long as a tree takes


class ForkServer:
    """The process whose children are killed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def attempt(self, **job: Any) -> dict[str, Any]:
        """Carry out one job and return what became of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        reply: dict[str, Any] = json.loads(self._process.stdout.readline())
        return reply


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """Run a fork server for the length of the block."""
    command = [sys.executable, "-m", "tests.faults.forkserver"]
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root) as process:
        yield ForkServer(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


class Storm:
    """One run of one tree, killed until it has had enough and then left to finish."""

    def __init__(
        self, server: ForkServer, journal: str, counts: Path, tree: Node, dice: random.Random
    ) -> None:
        self._server, self._journal, self._counts = server, journal, counts
        self._tree, self._dice = tree, dice
        self._run = new_run_id()
        self._attempts = self.kills = 0
        self._first_attempt = 1
        self._committed: set[str] = set()

    def pass_over(self, kills: int) -> None:
        """Start and resume the run until it ends, killing it at most `kills` times on its way."""
        while self._attempt(is_deadly=self.kills < kills):
            self.kills += 1
            record = self._read()
            if record is not None:
                self._committed |= committed(record)
        self._check_end()

    def _attempt(self, *, is_deadly: bool) -> bool:
        """Run once more and return whether it was killed."""
        record = self._read()
        if record is not None and not record.last_event:
            self._run, record = new_run_id(), None  # killed before it wrote what was to run
            self._first_attempt = self._attempts + 1
        self._attempts += 1
        death = self._death() if is_deadly else {"kill_after_s": None, "kill_at_event": None}
        reply = self._server.attempt(
            journal=self._journal,
            counts=str(self._counts),
            run=self._run,
            tree=self._tree,
            resume=record is not None,
            attempt=self._attempts,
            **death,
        )
        assert "error" not in reply, reply["error"]
        self._check_attempt()
        if not reply["killed"]:
            assert reply["output"] == outcome(self._tree)
        return bool(reply["killed"])

    def _death(self) -> dict[str, Any]:
        """Return when to die: at any moment, or between making an event and writing it."""
        if self._dice.random() < 0.5:
            return {"kill_after_s": None, "kill_at_event": self._dice.randint(1, 40)}
        return {"kill_after_s": self._dice.uniform(0, SPAN_S), "kill_at_event": None}

    def _read(self) -> RunRecord | None:
        try:
            with Journal(self._journal) as journal:
                return journal.run(self._run)
        except UnknownRunError:
            return None
        except JournalError as error:
            if "no such journal" in error.problem:
                return None
            raise

    def _lines(self) -> list[list[str]]:
        if not self._counts.exists():
            return []
        return [line.split() for line in self._counts.read_text().splitlines()]

    def _check_attempt(self) -> None:
        now = [path for number, path, _key in self._lines() if number == str(self._attempts)]
        twice = [path for path, count in Counter(now).items() if count > 1]
        assert not twice, f"ran twice in one attempt: {twice}"
        again = [path for path in now if _is_below(path, self._committed)]
        assert not again, f"was committed, and ran again: {again}"

    def _check_end(self) -> None:
        lines = self._lines()
        ran = Counter(path for _number, path, _key in lines)
        assert set(sure_leaves(self._tree)) <= set(ran)
        assert max(ran.values(), default=0) <= 1 + self.kills
        record = self._read()
        assert record is not None
        assert record.status == "succeeded"
        assert record.value() == outcome(self._tree)
        with Journal(self._journal) as journal:
            check_events(journal.events(self._run))
        store = Store(self._journal, create=False)
        assert verify(store, self._run).problems == ()
        store.close()
        self._check_keys(lines)
        replayed = anyio.run(Runner(journal=self._journal).replay, branch, self._run)
        assert replayed.output == outcome(self._tree)
        assert self._lines() == lines

    def _check_keys(self, lines: list[list[str]]) -> None:
        """Look whether a step that ran again gave its services the same name for what they do."""
        keys: dict[str, set[str]] = {}
        sure = set(effects(self._tree))  # what has effects is in the journal before it first runs
        for number, path, key in lines:
            if path in sure or int(number) >= self._first_attempt:
                keys.setdefault(path, set()).add(key)
        assert all(len(found) == 1 for found in keys.values())


def committed(record: RunRecord) -> set[str]:
    """Return the paths of what must not run again: a branch stands for everything below it."""
    found = set()
    for step in record.steps.values():
        if step.status == "succeeded":
            asked = json.loads(step.input)
            if step.kind == "model":
                asked["path"] = asked["request"]["messages"][-1]["text"].split()[0]
            found.add(asked["path"])
    return found


def _is_below(path: str, roots: set[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:length]) in roots for length in range(1, len(parts) + 1))


def check_events(events: list[Stored]) -> None:
    """Look whether a record is whole: dense numbers, parents first, one end a step.

    What the last process began, it ended.
    """
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    begun: set[int] = set()
    ended: set[int] = set()
    for event in events:
        if isinstance(event, StepStarted):
            assert event.step not in begun
            assert event.parent is None or event.parent in begun
            begun.add(event.step)
        elif isinstance(event, (StepFinished, StepFailed, StepCancelled)):
            assert event.step in begun - ended
            ended.add(event.step)
    last = max(event.number for event in events if isinstance(event, RunStarted))
    started = [event for event in events if isinstance(event, StepStarted)]
    assert not [event for event in started if event.number > last and event.step not in ended]
