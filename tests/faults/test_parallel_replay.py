"""Interleaved branches resumed from any moment: no result in another's place, none worked out twice."""

import asyncio
import random
from collections import Counter
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from agentflow import Flow, Journal, Runner, flow, parallel, tool
from agentflow.journal.events import StepFinished, StepStarted, Stored
from agentflow.journal.records import RunRecord
from agentflow.journal.reuse import latest
from agentflow.journal.store import Store
from agentflow.journal.writer import JournalWriter
from agentflow.runner import new_run_id
from tests.faults.storm import check_events

pytestmark = pytest.mark.anyio

CHAINS, LENGTH = 8, 3
place: ContextVar[str] = ContextVar("place")
schedule: dict[str, int] = {}
ran: list[str] = []


@tool
async def answer() -> str:
    """Return where it was called; its input says nothing, so only identity tells the calls apart."""
    here = place.get()
    ran.append(here)
    for _ in range(schedule[here]):
        await anyio.sleep(0)
    return here


async def chain(number: int) -> list[str]:
    answers = []
    for position in range(LENGTH):
        place.set(f"{number}.{position}")
        answers.append(await answer())
    return answers


@flow
async def with_gather() -> list[list[str]]:
    return list(await asyncio.gather(*map(chain, range(CHAINS))))


@flow
async def with_parallel() -> list[list[str]]:
    return await parallel(map(chain, range(CHAINS)))


PLACES = [[f"{number}.{position}" for position in range(LENGTH)] for number in range(CHAINS)]


def shuffle(dice: random.Random) -> None:
    """Have the next run interleave in another way."""
    schedule.update({here: dice.randrange(9) for row in PLACES for here in row})
    ran.clear()


async def put(journal: str, events: list[Stored]) -> str:
    """Write the beginning of a run as a process leaves it that dies there; return its id."""
    run, store = new_run_id(), Store(journal)
    writer = JournalWriter(store, store.new_run(run))
    for event in events:
        writer.append(event)
    await writer.aclose()
    store.close()
    return run


def read(journal: str, run: str) -> list[Stored]:
    with Journal(journal) as opened:
        return opened.events(run)


def cut(events: list[Stored], dice: random.Random) -> list[Stored]:
    """Return the beginning of a record: up to any event, to one that began a step, or almost all."""
    began = [length for length, event in enumerate(events, 1) if isinstance(event, StepStarted)]
    almost = len(events) - 1
    return events[: dice.choice((dice.randint(2, almost), dice.choice(began), almost))]


def finished(events: list[Stored]) -> Counter[str]:
    """Return the results of leaves that are in the journal, and how often each."""
    outputs = [event.output.decode().strip('"') for event in events if type(event) is StepFinished]
    return Counter(output for output in outputs if len(output) == len("0.0"))


async def trial(branches: Flow[[], list[list[str]]], journal: str, dice: random.Random) -> None:
    """Run, cut the record, resume, cut again, resume, replay."""
    shuffle(dice)
    runner = Runner(journal=journal)
    run = (await runner.run_async(branches)).id
    for _ in range(2):
        events = read(journal, run)
        half = cut(events, dice)
        done = finished(half)
        run = await put(journal, half)
        shuffle(dice)
        result = await runner.resume(branches, run)
        assert result.output == PLACES
        assert Counter(ran) == Counter(here for row in PLACES for here in row if here not in done)
    check_events(read(journal, run))
    ran.clear()
    replayed = await runner.replay(branches, run)
    assert replayed.output == PLACES
    assert ran == []
    assert outputs(replayed.record) == outputs(result.record)


def outputs(record: RunRecord) -> dict[bytes, bytes | None]:
    return {key: step.output for key, step in latest(record).items()}


both = pytest.mark.parametrize("branches", [with_gather, with_parallel])


@both
async def test_every_branch_gets_its_own_results_back(branches: Any, sqlite_journal: str) -> None:
    dice = random.Random(17)
    for _ in range(30):
        await trial(branches, sqlite_journal, dice)


@pytest.mark.long
@both
async def test_five_hundred_random_schedules_and_cuts(branches: Any, sqlite_journal: str) -> None:
    dice = random.Random()
    for _ in range(500):
        await trial(branches, sqlite_journal, dice)
