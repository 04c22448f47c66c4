"""Run branches side by side, and DAGs of them.

Owns structured concurrency for flows (invariants 6 and 10): a branch starts as soon as its inputs
are there, a failure cancels the unfinished siblings, and nothing outlives the call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

import anyio

from agentflow.engine.lineage import Branches
from agentflow.errors import ExitError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BranchFailure:
    """The error of one branch, where `parallel(..., collect=True)` asked to keep it."""

    error: Exception


@overload
async def parallel(
    *branches: Awaitable[T] | Iterable[Awaitable[T]], collect: Literal[False] = False
) -> list[T]: ...
@overload
async def parallel(
    *branches: Awaitable[T] | Iterable[Awaitable[T]], collect: Literal[True]
) -> list[T | BranchFailure]: ...
async def parallel(
    *branches: Awaitable[Any] | Iterable[Awaitable[Any]], collect: bool = False
) -> list[Any]:
    """Await all branches at once and return their results in the order given.

    Args:
        branches: Awaitables, or iterables of awaitables.
        collect: Keep a failed branch's error in its place as a `BranchFailure` instead of
            cancelling the others.

    Raises:
        Exception: The first failure, once every other branch has stopped.
    """
    pending = _flatten(branches)
    results: list[Any] = [None] * len(pending)
    tasks: list[asyncio.Task[None]] = []
    first: list[Exception] = []

    async def branch(index: int, awaitable: Awaitable[Any]) -> None:
        try:
            results[index] = await _without_exit(awaitable)
        except Exception as error:  # noqa: BLE001 - kept for the caller, who gets every one
            if collect:
                results[index] = BranchFailure(error)
                return
            first.append(error)
            if len(first) == 1:
                for task in tasks:
                    task.cancel()

    try:
        # A task group of asyncio: anyio's costs four times as much a branch, and this is the hot path.
        async with asyncio.TaskGroup() as group:
            for index, awaitable in enumerate(pending):
                tasks.append(group.create_task(branch(index, awaitable)))
    finally:
        _close_unstarted(pending)
    if first:
        for other in first[1:]:
            first[0].add_note(f"another branch failed too: {type(other).__name__}: {other}")
        raise first[0]
    return results


async def _without_exit(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except SystemExit as stop:  # out of a task it would end the event loop
        raise ExitError(step="a branch", code=repr(stop.code)) from stop


def _close_unstarted(pending: list[Awaitable[Any]]) -> None:
    """Close coroutines whose branch was cancelled before its first step; a finished one is closed."""
    for awaitable in pending:
        if isinstance(awaitable, Coroutine):
            awaitable.close()


def _flatten(branches: Iterable[Any]) -> list[Awaitable[Any]]:
    pending: list[Awaitable[Any]] = []
    for item in branches:
        if isinstance(item, Awaitable):
            pending.append(item)
        elif isinstance(item, Iterable):
            pending.extend(item)
        else:
            raise TypeError(f"parallel takes awaitables, got {type(item).__name__}")
    return pending


async def run_dag(
    needs: Mapping[str, Iterable[str]], start: Callable[[str, dict[str, Any]], Awaitable[Any]]
) -> dict[str, Any]:
    """Run the nodes of a DAG, each as soon as the nodes it needs are done.

    Args:
        needs: For every node, the nodes whose results it takes. The caller has checked for cycles.
        start: Called with a node and the results so far of what it needs.

    Raises:
        Exception: The first failure; the other nodes are cancelled.
    """
    done = {node: anyio.Event() for node in needs}
    results: dict[str, Any] = {}
    branches = Branches()

    async def node_branch(node: str) -> None:
        wanted = tuple(needs[node])
        for other in wanted:
            await done[other].wait()
        with branches.enter(node, fed_by=wanted):
            results[node] = await start(node, {other: results[other] for other in wanted})
        done[node].set()

    await parallel(node_branch(node) for node in needs)
    return {node: results[node] for node in needs}
