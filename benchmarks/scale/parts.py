"""Which part of the code takes the CPU: a run under cProfile, its functions sorted into parts.

Owns the sorting. A function of C belongs to the part that called it, but for those named here. cProfile makes calls
of Python dearer than those of C, so shares are what counts, and the engine's is rather too large.
"""

import cProfile
import pstats
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

# The first that is found in a function's file and name.
PARTS = (
    ("commit: SQLite", ("sqlite3", "Cursor", "Connection", "psycopg", "/journal/commits")),
    ("journal: rows, queue", ("/agentflow/journal/",)),
    ("serialisation", ("pydantic", "/json/", "_json", "/data.py", "/signature.py")),
    ("redaction", ("/redaction.py",)),
    ("steps: identity, events", ("/engine/steps", "/engine/lineage", "/engine/run.py",
                                 "/engine/idle", "/engine/ledger", "blake2")),
    ("calls: models, retries, permits", ("/engine/generate", "/agentflow/models/", "tenacity",
                                         "aiolimiter", "contextlib")),
    ("flows, tools, branches", ("/agentflow/",)),
    ("the simulation", ("/benchmarks/scale/", "random")),
    ("event loop", ("asyncio", "anyio", "select", "_contextvars")),
)  # fmt: skip


def part_of(file: str, name: str) -> str | None:
    """Return the part of a function; None if its caller has to say."""
    where = f"{file} {name}"
    return next((part for part, signs in PARTS if any(sign in where for sign in signs)), None)


def seconds_by_part(work: Callable[[], Any]) -> dict[str, Any]:
    """Return the seconds of each part while `work` ran in this thread, the largest first."""
    profiler = cProfile.Profile(time.thread_time)
    profiler.runcall(work)
    found: dict[str, float] = defaultdict(float)
    stats: Any = pstats.Stats(profiler)
    for (file, _line, name), (_, _, own_s, _, callers) in stats.stats.items():
        part = part_of(file, name)
        if part is not None:
            found[part] += own_s
            continue
        for (caller_file, _, caller_name), (_, _, share_s, _) in callers.items():
            found[part_of(caller_file, caller_name) or "other"] += share_s
    return {"seconds": dict(sorted(found.items(), key=lambda item: -item[1]))}
