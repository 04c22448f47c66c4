"""What every engine is asked to do: the graphs, and the steps they are made of.

Owns sizes, step bodies and the right answers, so that no peer can be given less to do. Knows no
engine. A workload is data; how its shape is written down is each peer's own business.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from pydantic import BaseModel

Shape = Literal["chain", "fan", "tree", "chains", "typed"]

CHAINS, LENGTH = 20, 10
_random = random.Random(7)
PAUSES_S = [_random.uniform(0.001, 0.050) for _ in range(CHAINS * LENGTH)]
_rows = [PAUSES_S[chain * LENGTH : (chain + 1) * LENGTH] for chain in range(CHAINS)]
CRITICAL_S = max(sum(row) for row in _rows)
# No engine that waits for all chains after each of their steps can do better than this:
BARRIER = sum(max(row[position] for row in _rows) for position in range(LENGTH)) / CRITICAL_S


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A graph: `width` branches of `length` steps; of a tree, `length` is its depth."""

    name: str
    title: str
    shape: Shape
    width: int = 1
    length: int = 1
    uneven: bool = False
    resumed: bool = False

    @property
    def steps(self) -> int:
        """How many steps a run of it has; what an engine adds of its own does not count."""
        if self.shape == "tree":
            return 2 ** (self.length + 1) - 1
        return self.width * self.length + (self.shape == "fan")

    @property
    def expected(self) -> int:
        """What a run of it must return."""
        match self.shape:
            case "chain" | "typed":
                return self.length
            case "fan":
                return self.width * (self.width + 1) // 2
            case "tree":
                return self.steps
            case "chains":
                return self.length * self.width * (self.width + 1) // 2


def workloads(*, quick: bool) -> dict[str, Workload]:
    """Return every workload by name; `quick` ones only show that a cell works."""
    many, depth, wide, long = (50, 4, 5, 10) if quick else (1000, 10, 100, 100)
    total = wide * long
    every = (
        Workload(name="chain", title=f"chain of {many:,}", shape="chain", length=many),
        Workload(name="typed", title=f"chain of {many:,}, typed", shape="typed", length=many),
        Workload(name="fan", title=f"fan-out of {many:,} and a join", shape="fan", width=many),
        Workload(
            name="tree",
            title=f"recursive binary tree of {2 ** (depth + 1) - 1:,}",
            shape="tree",
            length=depth,
        ),
        Workload(
            name="uneven",
            title=f"20 uneven chains; critical path {CRITICAL_S * 1e3:.0f} ms",
            shape="chains",
            width=CHAINS,
            length=LENGTH,
            uneven=True,
        ),
        Workload(
            name="long",
            title=f"{total:,} steps: {wide} chains of {long}",
            shape="chains",
            width=wide,
            length=long,
        ),
        Workload(
            name="resume",
            title=f"resuming {total:,} finished steps",
            shape="chains",
            width=wide,
            length=long,
            resumed=True,
        ),
    )
    return {workload.name: workload for workload in every}


async def advance(place: int) -> int:
    """Give way to the others once, and move on."""
    await asyncio.sleep(0)
    return place + 1


def advance_now(place: int) -> int:
    """Move on; for engines whose steps are not async."""
    return place + 1


async def pause(place: int) -> int:
    """Sleep as long as this place in the uneven chains asks for."""
    await asyncio.sleep(PAUSES_S[place])
    return place + 1


def pause_now(place: int) -> int:
    """Sleep in this thread; for engines whose steps are not async."""
    time.sleep(PAUSES_S[place])
    return place + 1


async def join(places: list[int]) -> int:
    """Add up what the branches brought."""
    await asyncio.sleep(0)
    return sum(places)


class Question(BaseModel):
    """What an agent's step is given."""

    number: int
    goal: str
    notes: list[str]
    limits: dict[str, float]
    model: str


class Answer(BaseModel):
    """What an agent's step returns."""

    number: int
    text: str
    sources: list[str]
    confidence: float
    tokens: int


async def answer(question: Question) -> Answer:
    """Answer without a model: what is measured is the road there and back."""
    await asyncio.sleep(0)
    return answer_now(question)


def answer_now(question: Question) -> Answer:
    """Answer at once; for engines whose steps are not async."""
    return Answer(
        number=question.number + 1,
        text=f"{question.goal}: done after looking at {len(question.notes)} notes.",
        sources=["orders.csv", "customers.csv"],
        confidence=0.75,
        tokens=312,
    )


def follow_up(given: Answer) -> Question:
    """Ask the next question."""
    return Question(
        number=given.number,
        goal="Find the orders that were shipped late and say why",
        notes=["read orders.csv", "joined on customer", given.text],
        limits={"usd": 0.25, "tokens": 4000.0},
        model="local:small",
    )


FIRST = follow_up(Answer(number=0, text="start", sources=[], confidence=1.0, tokens=0))


class Stopwatch:
    """The seconds from the start of a block to its end, kept in `seconds`."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.seconds = time.perf_counter() - self._start


# Started inside a run, where the engine lets code run there: leaves out opening and closing.
BRANCHES_ALONE = Stopwatch()
