"""Makespan of uneven parallel chains over their critical path, next to peers, in one run.

Workload: 20 independent chains of 10 steps that sleep 1 to 50 ms (seed 7). The critical path is the
longest chain; an engine with a barrier after each layer cannot go below 1.38 times that.

    python benchmarks/uneven_chains.py            # ours and bare asyncio
    pip install langgraph                         # adds LangGraph's two interfaces
"""

import argparse
import asyncio
import operator
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from rich.console import Console
from rich.table import Table

from agentflow import Runner, flow, parallel, tool

CHAINS, LENGTH = 20, 10
_random = random.Random(7)
SLEEPS = [[_random.uniform(0.001, 0.050) for _ in range(LENGTH)] for _ in range(CHAINS)]
CRITICAL_S = max(sum(chain) for chain in SLEEPS)
BARRIER = sum(max(chain[step] for chain in SLEEPS) for step in range(LENGTH)) / CRITICAL_S


@tool
async def pause(chain: int, position: int) -> int:
    """Sleep as long as that step of that chain does."""
    await asyncio.sleep(SLEEPS[chain][position])
    return position


@flow
async def one_chain(chain: int) -> int:
    for position in range(LENGTH):
        await pause(chain, position)
    return chain


@flow
async def uneven() -> int:
    return sum(await parallel(one_chain(chain) for chain in range(CHAINS)))


async def bare_asyncio() -> None:
    async def chain(number: int) -> None:
        for seconds in SLEEPS[number]:
            await asyncio.sleep(seconds)

    await asyncio.gather(*(chain(number) for number in range(CHAINS)))


def ours(journal: str) -> Callable[[], Awaitable[Any]]:
    """Run on our engine; return how long the chains took, without opening and closing the journal."""

    async def run() -> float:
        record = (await Runner(journal=journal).run_async(uneven)).record
        chains = [step for step in record.steps.values() if step.name == "one_chain"]
        ends = [step.ended_at or 0.0 for step in chains]
        return max(ends) - min(step.started_at for step in chains)

    return run


def langgraph_functional() -> Callable[[], Awaitable[Any]]:
    from langgraph.func import entrypoint, task

    @task
    async def step(chain: int, position: int) -> int:
        await asyncio.sleep(SLEEPS[chain][position])
        return position

    @entrypoint()
    async def run(_: int) -> int:
        async def chain(number: int) -> None:
            for position in range(LENGTH):
                await step(number, position)

        await asyncio.gather(*(chain(number) for number in range(CHAINS)))
        return 0

    return lambda: run.ainvoke(0)


def langgraph_graph() -> Callable[[], Awaitable[Any]]:
    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        done: Annotated[int, operator.add]

    def node(chain: int, position: int) -> Callable[[State], Awaitable[State]]:
        async def run(_state: State) -> State:
            await asyncio.sleep(SLEEPS[chain][position])
            return {"done": 1}

        return run

    graph = StateGraph(State)
    for chain in range(CHAINS):
        for position in range(LENGTH):
            graph.add_node(f"{chain}.{position}", node(chain, position))
            graph.add_edge(f"{chain}.{position - 1}" if position else START, f"{chain}.{position}")
        graph.add_edge(f"{chain}.{LENGTH - 1}", END)
    compiled = graph.compile()
    return lambda: compiled.ainvoke({"done": 0})


def measure(run: Callable[[], Awaitable[Any]], repeats: int) -> tuple[list[float], list[float]]:
    """Return whole calls and, where the engine says so, the chains alone, over the critical path."""

    async def timed() -> tuple[float, float]:
        start = time.perf_counter()
        chains = await run()
        whole = time.perf_counter() - start
        return whole / CRITICAL_S, (chains if isinstance(chains, float) else whole) / CRITICAL_S

    asyncio.run(timed())  # to warm up
    measured = [asyncio.run(timed()) for _ in range(repeats)]
    return [whole for whole, _chains in measured], [chains for _whole, chains in measured]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        engines: dict[str, Callable[[], Callable[[], Awaitable[Any]]]] = {
            "bare asyncio": lambda: bare_asyncio,
            "agentflow, in memory": lambda: ours(":memory:"),
            "agentflow, SQLite, every result durable": lambda: ours(str(Path(folder) / "j.db")),
            "LangGraph functional API, in memory": langgraph_functional,
            "LangGraph StateGraph, in memory": langgraph_graph,
        }
        table = Table(title=f"20 uneven chains; critical path {CRITICAL_S * 1e3:.0f} ms")
        for heading in ("engine", "chains, median", "whole call, median", "best", "worst"):
            table.add_column(heading)
        for name, make in engines.items():
            try:
                whole, chains = measure(make(), repeats)
            except ImportError as error:
                table.add_row(name, f"not installed ({error.name})", "", "", "")
                continue
            medians = (statistics.median(chains), statistics.median(whole))
            shown = (*medians, min(whole), max(whole))
            table.add_row(name, *(f"{ratio:.3f}" for ratio in shown))
        table.add_row("any engine with a barrier per layer, at best", f"{BARRIER:.3f}", "", "", "")
        Console().print(table)


if __name__ == "__main__":
    main()
