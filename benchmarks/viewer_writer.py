"""Write a run at a given pace, in this process, and print what it took as JSON.

    python -m benchmarks.viewer_writer JOURNAL --rate 1000 --seconds 10

Prints `ready` when the run has begun, and waits for a line. Then ten chains side by side run episodes of
nine calls each, through the real runner into a real file. A call sleeps until it is due, so that steps have
bars; one that is late makes up for it. Rate 0 is as fast as it goes.
"""

import argparse
import itertools
import json
import sys
import time
from dataclasses import dataclass

import anyio
from anyio import to_thread

from agentflow import Runner, flow, parallel, tool

RUN = "live"
CHAINS = 10
CALLS = 9
TEXT = "what was seen here, in about as many words as a short observation of an agent has: " * 2


@dataclass
class Pace:
    """When calls are due: those of a chain every `period_s`, 0 is at once, until `seconds` are over."""

    period_s: float
    seconds: float
    began: float = 0.0

    async def wait_due(self, chain: int, place: int) -> None:
        due = self.began + (place + chain / CHAINS) * self.period_s
        await anyio.sleep(max(0.0, due - time.perf_counter()) if self.period_s else 0)

    @property
    def is_over(self) -> bool:
        return time.perf_counter() - self.began >= self.seconds


pace = Pace(0, 0)


@tool
async def begin() -> float:
    """Wait for the word to go."""
    print("ready", flush=True)
    await to_thread.run_sync(sys.stdin.readline)
    return time.time()


@tool
async def look(chain: int, place: int, text: str) -> str:
    """Look at something when it is due."""
    await pace.wait_due(chain, place)
    return f"{chain}.{place}: {text}"


@flow
async def episode(chain: int, first: int) -> int:
    """Look at some things, one after another."""
    for place in range(first, first + CALLS):
        await look(chain, place, f"{place} after {chain}, {TEXT}")
    return CALLS + 1


@flow
async def work() -> dict[str, float]:
    """Write until the time is over; return how many steps that were, and what they took."""
    await begin()

    async def one(chain: int) -> int:
        done = 0
        for number in itertools.count():
            if pace.is_over:
                return done
            done += await episode(chain, number * CALLS)
        raise AssertionError

    pace.began, cpu = time.perf_counter(), time.process_time()
    steps = sum(await parallel(one(chain) for chain in range(CHAINS)))
    took_s = time.perf_counter() - pace.began
    return {"steps": steps, "wall_s": took_s, "cpu_s": time.process_time() - cpu}


async def main(journal: str) -> None:
    """Run the flow and print what it returns."""
    result = await Runner(journal=journal).run_as(RUN, work)
    print(json.dumps(result.output), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("journal")
    parser.add_argument("--rate", type=float, default=1000, help="steps a second; 0: no limit")
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    # An episode is a step as well, and takes no time of its own.
    between = CHAINS * (CALLS + 1) / CALLS / given.rate if given.rate else 0
    pace = Pace(between, given.seconds)
    anyio.run(main, given.journal)
