"""The task: a recursive decomposition of exactly so many steps.

Owns the shape, the flows and what a run of them must return. Which part has how many steps is a function of its
place and the seed, never of the order in which things happen. A part of more than `LEAF` steps asks the model for
a plan and solves its parts side by side; a smaller one goes around: model, remote tool, trial.
"""

import asyncio
import random
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import ClassVar

from agentflow import Trial, flow, generate, observe, parallel, tool

BRANCHES, LEAF, GROUP = 5, 12, 100
SYSTEM = "You solve a part of a task, or say into which parts to split it. " * 8
WORDS = "the part before this one has left these notes for whoever goes on with it; " * 100
ROUND = ("model", "tool", "trial")


class Room:
    """How many groups of parts may be open at once: what the author of a wide flow has to say."""

    groups: ClassVar[asyncio.Semaphore | None] = None
    chars: ClassVar[int] = 1000

    @classmethod
    def of(cls, steps: int, above: int) -> AbstractAsyncContextManager[object]:
        is_group = steps <= GROUP < above
        return cls.groups if is_group and cls.groups is not None else nullcontext()


@dataclass(slots=True)
class Counts:
    """Steps by kind."""

    flow: int = 0
    model: int = 0
    tool: int = 0
    trial: int = 0

    @property
    def leaves(self) -> int:
        """Steps that do the work themselves."""
        return self.model + self.tool + self.trial

    @property
    def on_workers(self) -> int:
        """Steps that need a worker."""
        return self.tool + self.trial


@dataclass
class Shape:
    """How parts are split."""

    seed: int
    counts: Counts = field(default_factory=Counts)

    def parts(self, place: str, steps: int) -> list[int]:
        """Return the steps of each part; none for a part that is not split."""
        if steps <= LEAF:
            return []
        roll = random.Random(f"{self.seed} {place}")
        spare = steps - 2 - 2 * BRANCHES  # two of its own, two at least for each part
        weights = [roll.uniform(1.0, 3.0) for _ in range(BRANCHES)]
        sizes = [2 + int(spare * weight / sum(weights)) for weight in weights]
        sizes[-1] += steps - 2 - sum(sizes)
        return sizes

    def count(self, place: str, steps: int) -> Counts:
        """Return the steps of a part, by kind."""
        parts = self.parts(place, steps)
        self.counts.flow += 1
        for kind in [ROUND[0]] if parts else [ROUND[index % 3] for index in range(steps - 1)]:
            setattr(self.counts, kind, getattr(self.counts, kind) + 1)
        for index, size in enumerate(parts):
            self.count(f"{place}.{index}", size)
        return self.counts


def counts_of(steps: int, seed: int) -> Counts:
    """Return how many steps of each kind a run of `steps` has."""
    return Shape(seed).count("0", steps)


def text_of(what: str) -> str:
    """Return a text of the usual length that says `what`."""
    return f"{what}: {WORDS[: Room.chars]}"


@tool(remote=True)
def check(place: str, text: str) -> str:
    """Check what a model wrote."""
    return f"{place}: {len(text)} characters checked"


async def _work(kind: str, place: str) -> int:
    match kind:
        case "model":
            await generate(text_of(place), system=SYSTEM)
        case "tool":
            await check(place, WORDS[:200])
        case "trial":
            await observe(Trial(source=text_of(f"# {place}"), calls=("solve(1)", "solve(2)")))
    return 1


@flow
async def solve(place: str, steps: int, above: int, seed: int) -> int:
    """Solve a part, and return how many steps that took."""
    async with Room.of(steps, above):
        parts = Shape(seed).parts(place, steps)
        if not parts:
            kinds = [ROUND[index % 3] for index in range(steps - 1)]
            return 1 + sum([await _work(kind, f"{place}/{n}") for n, kind in enumerate(kinds)])
        made = 1 + await _work("model", place)
        below = (solve(f"{place}.{index}", size, steps, seed) for index, size in enumerate(parts))
        return made + sum(await parallel(below))
