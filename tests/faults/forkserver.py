"""Carry out runs in children that may be killed: import once, fork for every attempt.

Reads one job a line, as JSON, and writes one reply a line. It has no threads, no event loop and no
open database while it forks, which a test process cannot promise.
"""

import json
import os
import select
import signal
import sys
import traceback
from typing import Any

import anyio
import psycopg  # noqa: F401 - imported once, for every child

from agentflow import Runner
from agentflow.journal.store import Store
from tests.faults.trees import branch, counting, model

Job = dict[str, Any]


def main() -> None:
    """Serve until the input ends."""
    Store(":memory:").close()  # whatever is loaded late is loaded now
    for line in sys.stdin:
        print(json.dumps(attempt(json.loads(line))), flush=True)


def attempt(job: Job) -> Job:
    """Do a job in a child; kill it after `kill_after_s`, if it says so and the child still runs."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(_reply(job)).encode())
        os._exit(0)
    os.close(writer)
    limit_s: float | None = job["kill_after_s"]
    if not select.select([reader], [], [], limit_s)[0]:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader, "rb") as replies:
        text = replies.read()
    os.waitpid(child, 0)
    reply: Job = json.loads(text) if text else {"killed": True}
    return reply


def _reply(job: Job) -> Job:
    try:
        return {"killed": False, "output": anyio.run(_run, job)}
    except BaseException:  # noqa: BLE001 - reported to the test
        return {"killed": False, "error": traceback.format_exc()}


async def _run(job: Job) -> int:
    counting["attempt"] = job["attempt"]
    counting["file"] = os.open(job["counts"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    runner = Runner(journal=job["journal"], model=model(), on_event=_Killer(job["kill_at_event"]))
    if job["resume"]:
        return (await runner.resume(branch, job["run"])).output
    return (await runner.run_as(job["run"], branch, job["tree"], "0", 1)).output


class _Killer:
    """Kills its own process at one event: just made, and not yet written."""

    def __init__(self, at_event: int | None) -> None:
        self._left = at_event

    def __call__(self, _event: object) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
