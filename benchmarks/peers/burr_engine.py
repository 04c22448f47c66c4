"""Apache Burr: actions over a state, sub-applications where branches run in parallel.

`sqlite` is its synchronous persister, which only chains can use; `aiosqlite` the other one.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from burr.core import Application, ApplicationBuilder, GraphBuilder, State, action, expr
from burr.core.parallelism import MapStates, RunnableGraph
from burr.core.persistence import SQLitePersister
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister

from benchmarks import workloads
from benchmarks.peers.contract import Once
from benchmarks.workloads import Workload


@action(reads=["place"], writes=["place"])
async def advance(state: State) -> State:
    return state.update(place=await workloads.advance(state["place"]))


@action(reads=["place"], writes=["place"])
def advance_now(state: State) -> State:
    return state.update(place=workloads.advance_now(state["place"]))


@action(reads=["place"], writes=["place"])
async def pause(state: State) -> State:
    return state.update(place=await workloads.pause(state["place"]))


@action(reads=[], writes=[])
async def done(state: State) -> State:
    await asyncio.sleep(0)
    return state


@action(reads=[], writes=["place"])
async def leaf(state: State) -> State:
    await asyncio.sleep(0)
    return state.update(place=1)


class Branches(MapStates):
    """One sub-application per branch; their places are added up."""

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.workload = workload

    def is_async(self) -> bool:
        return True

    @property
    def reads(self) -> list[str]:
        return ["place"]

    @property
    def writes(self) -> list[str]:
        return ["place"]

    async def states(self, state: State, context: Any, inputs: Any) -> AsyncIterator[State]:  # noqa: ARG002
        for number in range(self.workload.width):
            yield state.update(place=number * self.workload.length)

    def action(self, state: State, inputs: Any) -> Any:  # noqa: ARG002
        if self.workload.shape == "fan":
            return advance
        step = pause if self.workload.uneven else advance
        again = expr(f"place % {self.workload.length} != 0")
        graph = GraphBuilder().with_actions(step=step, done=done)
        graph = graph.with_transitions(("step", "step", again), ("step", "done"))
        return RunnableGraph(graph=graph.build(), entrypoint="step", halt_after=["done"])

    async def reduce(self, state: State, states: AsyncIterator[State]) -> State:
        return state.update(place=sum([branch["place"] async for branch in states]))


class Tree(Branches):
    """A node whose branches are nodes; `place` goes down as a depth and comes up as a count."""

    async def states(self, state: State, context: Any, inputs: Any) -> AsyncIterator[State]:  # noqa: ARG002
        await asyncio.sleep(0)
        for _ in range(2):
            yield state.update(place=state["place"] - 1)

    def action(self, state: State, inputs: Any) -> Any:  # noqa: ARG002
        return Tree(self.workload).with_name("tree") if state["place"] > 1 else leaf

    async def reduce(self, state: State, states: AsyncIterator[State]) -> State:
        return state.update(place=1 + sum([branch["place"] async for branch in states]))


@asynccontextmanager
async def opened(configuration: str, folder: Path, workload: Workload) -> AsyncIterator[Once]:
    """Yield one run of `workload`; see the contract."""
    path = str(folder / "burr.db")
    match configuration:
        case "sqlite":
            persister = SQLitePersister(path)
            persister.initialize()
            yield lambda: _chain_now(workload, persister)
            persister.cleanup()
        case "aiosqlite":
            keeper = await AsyncSQLitePersister.from_values(path)
            await keeper.initialize()
            yield lambda: _run(workload, keeper)
            await keeper.cleanup()
        case _:
            yield lambda: _run(workload, None)


async def _run(workload: Workload, persister: Any) -> int:
    if workload.shape == "chain":
        return await _chain(workload, persister)
    top = Tree(workload) if workload.shape == "tree" else Branches(workload)
    builder = ApplicationBuilder().with_actions(top=top, done=done)
    builder = builder.with_transitions(("top", "done")).with_entrypoint("top")
    application = await _identified(builder, workload.length, persister).abuild()
    _, _, state = await application.arun(halt_after=["done"])
    return int(state["place"])


async def _chain(workload: Workload, persister: Any) -> int:
    builder = _looping(advance)
    application: Application[Any] = await _identified(builder, 0, persister).abuild()
    async for _ in application.aiterate(halt_after=[]):
        if application.state["place"] == workload.length:
            break
    return int(application.state["place"])


async def _chain_now(workload: Workload, persister: Any) -> int:
    application: Application[Any] = _identified(_looping(advance_now), 0, persister).build()
    for _ in application.iterate(halt_after=[]):
        if application.state["place"] == workload.length:
            break
    return int(application.state["place"])


def _looping(step: Any) -> ApplicationBuilder[Any]:
    builder = ApplicationBuilder().with_actions(step=step)
    return builder.with_transitions(("step", "step")).with_entrypoint("step")


def _identified(
    builder: ApplicationBuilder[Any], place: int, persister: Any
) -> ApplicationBuilder[Any]:
    builder = builder.with_state(place=place).with_identifiers(app_id=str(uuid.uuid4()))
    return builder if persister is None else builder.with_state_persister(persister)
