"""Runs to look at, and a small client that puts pages together again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.pages import page

from agentflow.journal.commits import Committer
from agentflow.journal.events import Stored
from agentflow.journal.lease import Lease
from agentflow.journal.store import Store
from agentflow.journal.summary import Summary

TICK_S = 1e-4
ENDS = {"E": "succeeded", "F": "failed", "R": "refused", "C": "cancelled"}


@contextmanager
def opened(journal: str, *, create: bool = False) -> Iterator[Store]:
    store = Store(journal, create=create)
    try:
        yield store
    finally:
        store.close()


class Log:
    """A run written by hand, one transaction after the other, through the real writer's statements."""

    def __init__(self, store: Store, run: str = "r1") -> None:
        self.store, self.run = store, run
        self.lease: Lease = store.new_run(run)
        self._committer = Committer(store, self.lease, Summary())

    def write(self, *events: Stored) -> None:
        self._committer.commit(list(events), must_sync=False)

    def close(self) -> None:
        self._committer.close(release=True)


@dataclass(kw_only=True)
class Step:
    """What a client knows of a step."""

    parent: int | None
    name: str
    kind: str
    started_at: float
    start_event: int
    status: str = "running"
    ended_at: float | None = None
    end_event: int = 0
    tokens: tuple[int, int] = (0, 0)
    cost: int = 0
    model: str | None = None
    error: str = ""
    attempts: int = 1
    taken: bool = False
    effect: bool = False
    links: tuple[int, ...] = ()


@dataclass
class Client:
    """The steps of a run as pages tell of them, put together as the page in the browser does."""

    steps: dict[int, Step] = field(default_factory=dict)
    last: int = 0
    status: str = ""
    remarks: list[tuple[str, int, int]] = field(default_factory=list)
    letters: str = ""

    def apply(self, page: dict[str, Any]) -> None:
        assert page["after"] == self.last
        starts = zip(
            summed(page["start"]["step"]),
            page["start"]["parent"],
            page["start"]["name"],
            strict=True,
        )
        others = iter(summed(page["step"]))
        at = page["at"]
        for letter, ticks in zip(page["types"], page["dt"], strict=True):
            at += ticks * TICK_S
            self.last += 1
            if letter == "S":
                number, up, name = next(starts)
                self._start(number, up, page["names"][name], at)
            elif letter in ENDS:
                step = self.steps[next(others)]
                step.status, step.ended_at, step.end_event = ENDS[letter], at, self.last
            elif letter in "XN":
                self.remarks.append((letter, self.last, next(others)))
        assert next(starts, None) is None
        assert next(others, None) is None
        assert self.last == page["to"]
        self.letters += page["types"]
        self.status = page["status"]
        self._facts(page)

    def _start(self, number: int, up: int, name: Sequence[str], at: float) -> None:
        self.steps[number] = Step(
            parent=number - up if up else None,
            name=name[0],
            kind=name[1],
            started_at=at,
            start_event=self.last,
        )

    def _facts(self, page: dict[str, Any]) -> None:
        tokens, model = page["tokens"], page["model"]
        columns = (tokens["input"], tokens["output"], tokens["cost"])
        for number, *spent in zip(summed(tokens["step"]), *columns, strict=True):
            self.steps[number].tokens = (spent[0], spent[1])
            self.steps[number].cost = spent[2]
        for number, name in zip(summed(model["step"]), model["name"], strict=True):
            self.steps[number].model = model["names"][name]
        for number in page["taken"]:
            self.steps[number].taken = True
        for number in page["effect"]:
            self.steps[number].effect = True
        for key, attempts in page["attempts"].items():
            self.steps[int(key)].attempts = attempts
        for key, error in page["errors"].items():
            self.steps[int(key)].error = error
        for key, links in page["links"].items():
            self.steps[int(key)].links = tuple(links)


def summed(deltas: list[int]) -> list[int]:
    found, total = [], 0
    for delta in deltas:
        total += delta
        found.append(total)
    return found


def followed(index: RunIndex, limit: int, client: Client | None = None) -> Client:
    """Apply pages of `limit` events until there are no more."""
    client = client or Client()
    while True:
        found = page(index, client.last, limit)
        client.apply(found)
        if found["to"] >= found["last"]:
            return client
