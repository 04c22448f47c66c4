"""What is asked of an engine that has to put recorded results back in their places.

Eight chains of three steps run side by side. Every step takes a random time, so that their calls
interleave differently each time a program runs, as with models that answer when they like. A result
says which call it belongs to.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

CHAINS, LENGTH = 8, 3
LONGEST_S = 0.004

Grid = list[list[str]]
# Runs once to where it crashes, resumes, and returns what the resumed run returned. Of the
# journal, it keeps the whole or a random part.
Replay = Callable[[bool], Awaitable[Grid]]

RANDOM = random.Random(7)


def right(chain: int, position: int) -> str:
    """Return what the step at that place returns."""
    return f"{chain}.{position}"


class Executions:
    """How many steps were carried out, not answered from a journal."""

    count = 0


async def work(chain: int, position: int) -> str:
    """Take a random time, and say which step this is."""
    Executions.count += 1
    await asyncio.sleep(RANDOM.uniform(0, LONGEST_S))
    return right(chain, position)


def misplaced(grid: Grid) -> int:
    """Count the results that are not where they belong."""
    return sum(
        grid[chain][position] != right(chain, position)
        for chain in range(CHAINS)
        for position in range(LENGTH)
    )


class CrashedError(Exception):
    """The process is taken to have died here."""
