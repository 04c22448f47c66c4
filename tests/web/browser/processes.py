"""Other processes that the page looks at: a run that grows by a line at a time, and `agentflow` itself.

python -m tests.web.browser.processes JOURNAL    # a run whose every step is a line of standard input
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import anyio

from agentflow import Runner, flow, tool

ROOT = Path(__file__).parents[3]
AGENTFLOW = [sys.executable, "-P", "-m", "agentflow.cli.main"]
GROWING = [sys.executable, "-m", "tests.web.browser.processes"]
ADDRESS = re.compile(r"(http://\S+)/#t=([\w-]{40,})(?:&run=([\w-]+))?")
RUN = "growing"


@contextmanager
def started(
    words: list[str], environment: Mapping[str, str], folder: Path = ROOT
) -> Iterator["subprocess.Popen[str]"]:
    """Start a process; it is killed when the block ends."""
    with subprocess.Popen(
        words,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def address_in(stream: IO[str] | None) -> tuple[str, str, str]:
    """Return origin, token and run of the address that a process prints."""
    assert stream is not None
    for line in stream:
        if found := ADDRESS.search(line):
            return found[1], found[2], found[3] or ""
    raise AssertionError("no address was printed")


@tool
def heard(line: str) -> str:
    """Return what was heard."""
    return line.upper()


@flow
async def grow() -> int:
    """Take one step for each line."""
    count = 0
    while line := (await anyio.to_thread.run_sync(sys.stdin.readline)).strip():
        await heard(line)
        print(line, flush=True)
        count += 1
    return count


if __name__ == "__main__":
    anyio.run(partial(Runner(journal=sys.argv[1]).run_as, RUN, grow))
