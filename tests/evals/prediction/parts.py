"""Small real parts of these tests: an event loop whose clock jumps, records, and shapes without their marks."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import networkx as nx
from agentflow_evals.prediction.shape import Call, Shape

from agentflow.journal.records import RunRecord, StepRecord

T = TypeVar("T")


class JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the clock on."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout is not None:
            self.now_s += timeout
        return found


def run_jumping(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on a loop in which a sleep takes no time."""

    def make() -> asyncio.AbstractEventLoop:
        selector = JumpingSelector()
        loop = asyncio.SelectorEventLoop(selector)
        loop.time = lambda: selector.now_s  # type: ignore[method-assign]
        return loop

    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(work)


def recorded(
    *calls: tuple[float, float, dict[str, Any]], run_id: str = "r1", model: str = "openai:m"
) -> RunRecord:
    """Return the record of a flow that made these calls: start, end, and details besides the model."""
    end = max(end for _, end, _ in calls)
    root = StepRecord(
        number=1, key=b"1", parent=None, name="root", kind="flow", input=b"{}", started_at=0.0
    )
    root.status, root.ended_at = "succeeded", end
    steps = {1: root}
    for number, (start, stop, details) in enumerate(calls, 2):
        step = StepRecord(
            number=number,
            key=b"k",
            parent=1,
            name="generate",
            kind="model",
            input=b"{}",
            started_at=start,
        )
        step.status, step.ended_at, step.details = "succeeded", stop, {"model": model, **details}
        steps[number] = step
        root.children.append(step)
    return RunRecord(id=run_id, flow="root", started_at=0.0, ended_at=end, steps=steps)


def usage(read: int, written: int, cached: int = 0) -> dict[str, int]:
    return {"input_tokens": read, "output_tokens": written, "cached_tokens": cached}


def call_order(shape: Shape) -> set[tuple[int, int]]:
    """Return which call, by its place among the calls, comes before which."""
    names = [name for name, part in shape.parts.items() if isinstance(part, Call)]
    names.sort(key=lambda name: int(name.split()[0]))
    return {
        (before, after)
        for before, first in enumerate(names)
        for after, second in enumerate(names)
        if first != second and nx.has_path(shape.graph, first, second)
    }
