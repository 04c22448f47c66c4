"""A run in a process of its own, under conditions that a test would not want for itself.

Prints one JSON object: the output, or the type and words of the error.
"""

import concurrent.futures.thread  # noqa: F401 - before rights are given up: Python itself may be out of reach then
import hashlib
import json
import os
import pwd
import resource
import sys
from pathlib import Path
from typing import Any

import anyio
import sqlalchemy
import sqlalchemy.dialects.sqlite.pysqlite

from agentflow import AgentflowError, Runner, flow, tool

conditions: dict[str, Any] = {}


@tool
def fill(x: int) -> str:
    """Return 20 kB that are like no others; say so in a file, and wait at the gate if there is one."""
    with Path(conditions["calls"]).open("a") as calls:
        calls.write(f"{x}\n")
    if conditions.get("gate") == x:
        print("at the gate", flush=True)
        sys.stdin.readline()
    if conditions.get("stop") == x:
        raise RuntimeError("far enough")
    return "".join(hashlib.sha512(f"{x} {part}".encode()).hexdigest() for part in range(160))


@flow
async def fills(count: int) -> int:
    """Call `fill` so many times."""
    return sum([len(await fill(x)) for x in range(count)])


def impose() -> None:
    """Take on the conditions."""
    if "file_bytes" in conditions:
        limit = conditions["file_bytes"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if "pages" in conditions:
        sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _limit_pages)
    if conditions.get("user") and os.geteuid() == 0:
        os.setgroups([])
        os.setuid(pwd.getpwnam(conditions["user"]).pw_uid)


def _limit_pages(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA max_page_count={conditions['pages']}")


async def carry_out() -> int:
    """Start or resume the run."""
    runner, run = Runner(journal=conditions["journal"]), conditions["run"]
    if conditions.get("resume"):
        return (await runner.resume(fills, run)).output
    return (await runner.run_as(run, fills, conditions["count"])).output


def main() -> None:
    """Run under the conditions given as JSON."""
    conditions.update(json.loads(sys.argv[1]))
    anyio.run(
        Runner(journal=":memory:").run_async, nothing
    )  # imports what a poorer user cannot read
    impose()
    try:
        answer: dict[str, Any] = {"output": anyio.run(carry_out)}
    except AgentflowError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer), flush=True)


@flow
async def nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    from tests.agentflow.journal import hardship  # so that the flows have one name in every process

    hardship.main()
