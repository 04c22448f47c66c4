"""Several processes write different runs to one store at once, and readers look on."""

import signal
import sqlite3
import textwrap
import threading
from pathlib import Path

import pytest
from sqlalchemy import update

from agentflow import Journal
from agentflow.errors import RunBusyError
from agentflow.journal import tables
from agentflow.journal.engines import _write_ahead
from agentflow.journal.store import Store
from tests import warm

PROGRAM = """
    import sys
    import anyio
    from agentflow import Runner, flow, parallel, tool

    @tool
    async def work(x: int) -> int:
        await anyio.sleep(0.001)
        return x

    @flow
    async def branch(start: int) -> int:
        return sum([await work(start + step) for step in range(10)])

    @flow
    async def whole(first: int) -> int:
        return sum(await parallel(branch(first + start) for start in range(0, 100, 10)))

    runner = Runner(journal=sys.argv[1])
    for number in range(3):
        anyio.run(runner.run_as, f"{sys.argv[2]}-{number}", whole, int(sys.argv[2]) * 1000)
"""
PROCESSES = 5


@pytest.mark.slow
def test_processes_share_a_store_without_losing_or_mixing_anything(
    any_journal: str, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    running = [
        warm.Process([str(program), any_journal, str(number)]) for number in range(PROCESSES)
    ]
    for process in running:
        _out, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
    with Journal(any_journal) as journal:
        heads = journal.heads()
        assert len(heads) == 3 * PROCESSES
        assert {(head.status, head.steps) for head in heads} == {("succeeded", 111)}
        for head in heads:
            record = journal.run(head.id)
            first = int(head.id.partition("-")[0]) * 1000
            assert record.value() == sum(range(first, first + 100))
            assert [event.number for event in record.events] == list(
                range(1, len(record.events) + 1)
            )


SLEEPER = """
    import os, signal, sys
    import anyio
    from agentflow import Runner, flow, tool

    @tool
    async def work() -> int:
        print("working", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        return 1

    @flow
    async def whole() -> int:
        return await work()

    print(anyio.run(Runner(journal=sys.argv[1]).run_as, "asleep", whole).output)
"""


def test_a_process_that_was_asleep_for_longer_than_its_lease_keeps_its_run(
    any_journal: str, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(SLEEPER))
    with warm.Process([str(program), any_journal]) as sleeping:
        assert sleeping.stdout.readline() == "working\n"
        store = Store(any_journal)
        try:
            with store.writing() as connection:
                connection.execute(update(tables.runs).values(lease_until=1.0))
            with Journal(any_journal) as journal:
                assert journal.heads()[0].status == "running"
            with pytest.raises(RunBusyError, match=f"process {sleeping.pid} "):
                store.claim_run("asleep")
        finally:
            store.close()
            sleeping.send_signal(signal.SIGCONT)
        assert sleeping.stdout.readline() == "1\n"


@pytest.mark.parametrize("number", range(5))
def test_a_new_store_can_be_opened_by_many_at_once(tmp_path: Path, number: int) -> None:
    path = tmp_path / f"{number}.db"
    together, failures = threading.Barrier(8), list[BaseException]()

    def opened() -> None:
        connection = sqlite3.connect(path, timeout=30)
        together.wait()
        try:
            _write_ahead(connection.cursor())
        except sqlite3.Error as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=opened) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
