"""The floor: asyncio, and sqlite3 with group commit in a writer thread.

Types nothing, names nothing, resumes nothing. With `durable`, a step's row is on the disk (WAL,
synchronous=FULL) before its caller goes on; rows that wait together are committed together.
"""

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks import workloads
from benchmarks.peers.contract import Once
from benchmarks.workloads import FIRST, Answer, Question, Workload, follow_up

Row = tuple[int, str, str, float]
Step = Callable[[Callable[[Any], Awaitable[Any]], Any], Awaitable[Any]]


class GroupCommit:
    """One run's rows; `put` returns once its row is on the disk."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._wake = threading.Condition()
        self._closed = False
        self._number = 0
        self._writer = threading.Thread(target=self._write, args=(path,))
        self._writer.start()

    async def put(self, name: str, data: str) -> None:
        self._number += 1
        done = self._loop.create_future()
        with self._wake:
            self._waiting.append(((self._number, name, data, time.time()), done))
            self._wake.notify()
        await done

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._writer.join()

    def _write(self, path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS runs(run INTEGER PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS steps(run INT, number INT, name TEXT, data TEXT, at REAL,"
            " PRIMARY KEY(run, number)) WITHOUT ROWID"
        )
        run = connection.execute("INSERT INTO runs DEFAULT VALUES").lastrowid
        while batch := self._next_batch():
            connection.execute("BEGIN")
            rows = ((run, *row) for row, _done in batch)
            connection.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_release, [done for _row, done in batch])
        connection.close()

    def _next_batch(self) -> list[tuple[Row, asyncio.Future[None]]]:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closed)
            batch, self._waiting = self._waiting, []
        return batch


def _release(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        waiter.set_result(None)


@asynccontextmanager
async def opened(configuration: str, folder: Path, workload: Workload) -> AsyncIterator[Once]:
    """Yield one run of `workload`; see the contract."""
    if configuration == "asyncio only":

        async def plain(body: Callable[[Any], Awaitable[Any]], given: Any) -> Any:
            return await body(given)

        yield lambda: _run(plain, workload)
        return

    async def once() -> int:
        log = GroupCommit(folder / "steps.db")

        async def recorded(body: Callable[[Any], Awaitable[Any]], given: Any) -> Any:
            value = await body(given)
            json_text = value.model_dump_json() if isinstance(value, Answer) else json.dumps(value)
            await log.put(body.__name__, json_text)
            return value

        try:
            return await _run(recorded, workload)
        finally:
            log.close()

    GroupCommit(folder / "steps.db").close()  # the tables are there before anything is measured
    yield once


async def _run(step: Step, workload: Workload) -> int:
    match workload.shape:
        case "typed":
            return await _typed(step, workload.length)
        case "fan":
            branches = (step(workloads.advance, place) for place in range(workload.width))
            return await step(workloads.join, list(await asyncio.gather(*branches)))
        case "tree":
            return await step(_tree(step), workload.length)
        case _:
            return await _chains(step, workload)


async def _chains(step: Step, workload: Workload) -> int:
    body = workloads.pause if workload.uneven else workloads.advance

    async def one(number: int) -> int:
        place = number * workload.length
        for _ in range(workload.length):
            place = await step(body, place)
        return place

    with workloads.BRANCHES_ALONE:
        return sum(await asyncio.gather(*(one(number) for number in range(workload.width))))


async def _typed(step: Step, length: int) -> int:
    question: Question = FIRST
    for _ in range(length):
        question = follow_up(await step(workloads.answer, question))
    return question.number


def _tree(step: Step) -> Callable[[int], Awaitable[int]]:
    async def tree(depth: int) -> int:
        await workloads.advance(depth)
        if depth == 0:
            return 1
        return 1 + sum(await asyncio.gather(step(tree, depth - 1), step(tree, depth - 1)))

    return tree
