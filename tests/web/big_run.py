"""Write a large, lifelike run into a journal, quickly and the same one for the same seed.

    python -m tests.web.big_run JOURNAL [STEPS [SEED]]

Owns a simulation of recursive flows on a clock of its own: branches run in parallel, model calls take
their time and cost money, some steps fail, are refused, cancelled or taken over. Its events go through
the real writer, so the journal is one that a run of this size would have left.
"""

import heapq
import itertools
import random
import sys
from collections.abc import Generator, Iterator
from hashlib import blake2b
from typing import Any

import anyio

from agentflow.data import canonical
from agentflow.journal.events import (
    Expanded,
    Failure,
    Noted,
    RunFinished,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepKind,
    StepStarted,
    Stored,
)
from agentflow.journal.store import Store
from agentflow.journal.writer import JournalWriter

BEGAN_AT = 1_760_000_000.0
PARALLEL_DEPTH = 6
ROOM_EVERY = 500
FLOWS = ("solve", "research", "outline", "write_section", "review", "merge", "split", "check")
TOOLS = ("search", "read_page", "run_tests", "calculate", "list_folder", "read_text")
MODELS = ("openai:gpt-5", "openai:gpt-5-mini", "anthropic:claude-sonnet-5")
WORDS = (
    "the task asks for a function that returns every path of the graph in order and fails when "
    "there is a cycle so we split it into parts and test each one before they are merged again"
)
Waiting = Generator["float | list[Waiting]", None, int]
Part = Generator["float | list[Waiting]", None, None]


class Simulation:
    """A run of about `steps` steps; `events` yields what happens, in order."""

    def __init__(self, steps: int, seed: int) -> None:
        self._random = random.Random(seed)
        self._steps = steps
        self._now = BEGAN_AT
        self._numbers, self._step_numbers = itertools.count(1), itertools.count(1)
        self._out: list[Stored] = []
        self._dictionary = WORDS.split()
        self._texts = [self._words(400) for _ in range(200)]

    def events(self) -> Iterator[Stored]:
        """Yield the events of the run."""
        settings = {
            "model": {"provider": "openai", "name": "gpt-5"},
            "budget": {"usd": 500},
            "labels": {"suite": "big", "task": "paths"},
        }
        self._emit(RunStarted, flow="solve", target="big:solve", input=b"{}", settings=settings)
        yield from self._scheduled(self._flow(None, 0, self._steps))
        self._emit(RunFinished, status="succeeded", output=canonical("done"))
        yield from self._out

    def _scheduled(self, root: Waiting) -> Iterator[Stored]:
        """Run the branches by the clock; a branch that yields others waits for them."""
        order = itertools.count()
        waits: dict[int, list[Any]] = {}  # branch -> [its parent, how many it waits for]
        parents: dict[int, Waiting] = {}
        due = [(self._now, next(order), root)]
        while due:
            self._now, _, branch = heapq.heappop(due)
            try:
                asked = next(branch)
            except StopIteration:
                above = parents.pop(id(branch), None)
                if above is not None:
                    waits[id(above)][1] -= 1
                    if not waits[id(above)][1]:
                        heapq.heappush(due, (self._now, next(order), above))
            else:
                if isinstance(asked, float):
                    heapq.heappush(due, (self._now + asked, next(order), branch))
                    continue
                waits[id(branch)] = [branch, len(asked)]
                for child in asked:
                    parents[id(child)] = branch
                    heapq.heappush(due, (self._now, next(order), child))
            yield from self._out
            self._out.clear()

    def _flow(self, parent: int | None, depth: int, budget: int, links: Any = ()) -> Waiting:
        roll = self._random
        step = self._begin(parent, roll.choice(FLOWS), "flow", links=links)
        yield self._pause(0.0005)
        left = budget - 1
        if left > 0:
            yield from self._model(step)
            left -= 1
        if left > 4:
            self._emit(Expanded, step=step, kind="plan", content=canonical({"tasks": left}))
            yield from self._branches(step, depth, left)
        else:
            for _ in range(left):
                yield from self._tool(step)
        if roll.random() < 0.05:
            self._emit(Noted, step=step, text=f"merged {budget} results", details={"size": budget})
        yield self._pause(0.001)
        if roll.random() < 0.004:
            self._fail(step, "OutputError", f"solve: output: not a list but {self._words(3)}")
        else:
            self._finish(step, self._content())
        return step

    def _branches(self, step: int, depth: int, left: int) -> Part:
        shares = self._shares(left)
        if depth < PARALLEL_DEPTH:
            yield [self._flow(step, depth + 1, share) for share in shares]
            return
        before: tuple[int, ...] = ()
        for share in shares:
            if share < 3:
                yield from self._tool(step)
                continue
            sibling = yield from self._flow(step, depth + 1, share, before)
            before = (sibling,) if self._random.random() < 0.3 else ()

    def _shares(self, left: int) -> list[int]:
        """Divide unevenly, so that the tree becomes deep."""
        large = max(1, int(left * self._random.uniform(0.55, 0.78)))
        rest = left - large
        small = self._random.randint(0, rest)
        return [share for share in (large, small, rest - small) if share]

    def _model(self, parent: int) -> Part:
        roll = self._random
        name = roll.choice(MODELS)
        step = self._begin(parent, "generate", "model", model=name, parameters={"temperature": 0.2})
        if roll.random() < 0.02:
            origin = {"run": "earlier", "step": step, "cache": True}
            return self._finish(step, self._content(), origin=origin)
        seconds = roll.lognormvariate(0.5, 0.6)
        facts: dict[str, Any] = {"attempt_s": round(seconds, 6), "thread_s": 0.0021}
        if roll.random() < 0.03:
            self._emit(Noted, step=step, text="429, once more", details={"retry": 1, "wait_s": 2.0})
            facts["attempts"] = 2
            yield 2.0
        yield seconds
        if roll.random() < 0.01:
            return self._fail(
                step, "ModelUnavailableError", "openai:gpt-5: the server is overloaded"
            )
        fresh, made = int(roll.lognormvariate(7, 0.8)), int(roll.lognormvariate(5.5, 0.8))
        usage = {"input_tokens": fresh, "output_tokens": made, "cached_tokens": fresh // 3}
        cost = None if roll.random() < 0.001 else fresh * 1.25e-6 + made * 1e-5
        self._finish(step, self._content(), model=name, usage=usage, cost_usd=cost, **facts)

    def _tool(self, parent: int) -> Part:
        roll = self._random
        kind: StepKind = "code" if roll.random() < 0.1 else "tool"
        facts = {"effect": True} if roll.random() < 0.02 else {}
        step = self._begin(parent, roll.choice(TOOLS), kind, **facts)
        if (chance := roll.random()) < 0.002:
            failure = Failure(name="BudgetExceededError", message="tool: refused, no steps left")
            return self._emit(StepFailed, step=step, failure=failure, refused=True)
        yield self._pause(0.05)
        if chance < 0.004:
            self._emit(StepCancelled, step=step)
        elif chance < 0.03:
            self._fail(step, "ToolError", f"tool: ValueError: {self._words(12)}\nmore of it")
        else:
            self._finish(step, self._content())

    def _begin(
        self, parent: int | None, name: str, kind: StepKind, links: Any = (), **details: Any
    ) -> int:
        step = next(self._step_numbers)
        key = blake2b(b"%d" % step, digest_size=16).digest()
        facts = details | ({"links": list(links)} if links else {})
        start: dict[str, Any] = {"step": step, "key": key, "parent": parent, "name": name}
        self._emit(StepStarted, **start, kind=kind, input=self._content(), details=facts)
        return step

    def _finish(self, step: int, output: bytes, **details: Any) -> None:
        self._emit(StepFinished, step=step, output=output, details=details)

    def _fail(self, step: int, name: str, message: str) -> None:
        trace = f"Traceback (most recent call last):\n  in step {step}\n{name}: {message}\n"
        failure = Failure(name=name, message=message, facts={"step": "x"}, trace=trace)
        self._emit(StepFailed, step=step, failure=failure)

    def _emit(self, kind: type[Any], /, **fields: Any) -> None:
        at = round(self._now, 6)
        self._out.append(kind(number=next(self._numbers), at=at, **fields))

    def _content(self) -> bytes:
        roll = self._random
        text = self._words(roll.randint(4, 40))
        if roll.random() < 0.25:
            text = f"{text} {roll.getrandbits(64):x} {roll.choice(self._texts)}"
        return canonical({"text": text})

    def _words(self, count: int) -> str:
        return " ".join(self._random.choices(self._dictionary, k=count))

    def _pause(self, mean_s: float) -> float:
        return self._random.expovariate(1 / mean_s)


def write_big_run(journal: str, steps: int, seed: int = 0) -> str:
    """Write a run of about `steps` steps into a journal, which need not exist; return the run's id."""
    run = f"big-{steps}-{seed}"
    anyio.run(_write, journal, run, Simulation(steps, seed))
    return run


async def _write(journal: str, run: str, simulation: Simulation) -> None:
    store = Store(journal)
    try:
        writer = JournalWriter(store, store.new_run(run))
        try:
            for count, event in enumerate(simulation.events()):
                writer.append(event)
                if count % ROOM_EVERY == 0:
                    await writer.room()
        finally:
            await writer.aclose()
    finally:
        store.close()


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[2:4]]
    print(write_big_run(sys.argv[1], *(numbers or [100_000])))
