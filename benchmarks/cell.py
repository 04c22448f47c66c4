"""Measure one engine on one workload, in this process, and print what was measured as JSON.

    python -m benchmarks.cell "agentflow, results" chain --repeats 5

The first run warms up; memory and disk are taken after it, times from the runs that follow.
"""

import argparse
import asyncio
import gc
import json
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import workloads
from benchmarks.catalogue import ENGINES, NOTHING, Engine, missing_peer
from benchmarks.peers.contract import Once
from benchmarks.workloads import CRITICAL_S, Workload

Timed = tuple[float, float, float]  # seconds: CPU, wall, the branches alone


def peak_memory_mb() -> float:
    """Return the most memory that this process has held so far.

    Not `ru_maxrss` where that can be helped: on Linux a child's starts at its parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        peak_kb = next(line for line in status.read_text().splitlines() if "VmHWM" in line)
        return int(peak_kb.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def stored_bytes(folder: Path) -> int:
    """Return the size of the databases in `folder`, once what their logs hold has moved in."""
    for path in folder.rglob("*.db"):
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if not path.name.endswith("-shm"))


async def timed(once: Once, workload: Workload) -> Timed:
    """Run once and return how long it took; a wrong result is no measurement."""
    gc.collect()
    workloads.BRANCHES_ALONE.seconds = None
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    result = await once()
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    assert result == workload.expected, f"returned {result}, not {workload.expected}"
    return cpu_s, wall_s, workloads.BRANCHES_ALONE.seconds or wall_s


async def measure(
    engine: Engine, workload: Workload, *, folder: Path, repeats: int, limit_s: float
) -> dict[str, Any]:
    """Return what the table shows of a cell."""
    async with engine.load().opened(engine.configuration, folder, workload) as once:
        before = stored_bytes(folder)
        runs = [await timed(once, workload)]
        disk, memory = stored_bytes(folder) - before, peak_memory_mb()
        started = time.perf_counter()
        while len(runs) <= repeats and time.perf_counter() - started < limit_s:
            runs.append(await timed(once, workload))
    return report(workload, runs[1:] or runs) | {
        "memory_mb": memory,
        "disk_bytes": None if engine.stores == NOTHING else disk / workload.steps,
    }


def report(workload: Workload, runs: list[Timed]) -> dict[str, Any]:
    """Return times in microseconds per step, and makespans over the critical path."""
    cpus, walls, branches = zip(*runs, strict=True)
    per_step = 1e6 / workload.steps
    times = {
        "steps": workload.steps,
        "repeats": len(runs),
        "cpu_us": min(cpus) * per_step,
        "cpu_us_median": statistics.median(cpus) * per_step,
        "wall_us": min(walls) * per_step,
    }
    if workload.uneven:
        for name, seconds in (("branches", branches), ("whole", walls)):
            times[f"{name}_over_critical"] = min(seconds) / CRITICAL_S
            times[f"{name}_over_critical_median"] = statistics.median(seconds) / CRITICAL_S
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=[engine.name for engine in ENGINES])
    parser.add_argument("workload", choices=list(workloads.workloads(quick=True)))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit-s", type=float, default=30.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, help="where databases go (the temporary folder)")
    asked = parser.parse_args()
    engine = next(engine for engine in ENGINES if engine.name == asked.engine)
    workload = workloads.workloads(quick=asked.quick)[asked.workload]
    with tempfile.TemporaryDirectory(dir=asked.folder, ignore_cleanup_errors=True) as folder:
        try:
            cell = asyncio.run(
                measure(
                    engine,
                    workload,
                    folder=Path(folder),
                    repeats=asked.repeats,
                    limit_s=asked.limit_s,
                )
            )
        except ModuleNotFoundError as error:
            cell = {"missing": missing_peer(error)}
    print(json.dumps(cell))


if __name__ == "__main__":
    main()
