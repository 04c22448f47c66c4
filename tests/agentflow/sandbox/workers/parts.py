"""How these tests run generated code."""

import os
import select
import textwrap
from pathlib import Path
from typing import Any

from agentflow.sandbox.workers.pool import TrialWorkers
from agentflow.sandbox.workers.protocol import (
    Examination,
    Examined,
    Observation,
    Observed,
    Trial,
    TrialLimits,
)

SHORT = TrialLimits(call_s=0.3, total_s=5.0)


async def observe(
    workers: TrialWorkers,
    source: str,
    *calls: str,
    limits: TrialLimits = TrialLimits(),  # noqa: B008 - it is frozen
    stdin: str = "",
) -> tuple[Observation, ...]:
    """Return the observations of a source that loads."""
    trial = Trial(source=textwrap.dedent(source), calls=calls, limits=limits, stdin=stdin)
    observed = await workers.observe(trial)
    assert observed.failure is None, observed.failure.report
    assert len(observed.observations) == len(calls)
    return observed.observations


async def load(
    workers: TrialWorkers, source: str, limits: TrialLimits = SHORT, *calls: str
) -> Observed:
    """Return what came of a source that does not have to load."""
    return await workers.observe(Trial(source=textwrap.dedent(source), calls=calls, limits=limits))


async def value(workers: TrialWorkers, source: str, call: str = "f()") -> Any:
    """Return the encoded value of one call that returns."""
    (seen,) = await observe(workers, source, call)
    assert seen.outcome == "returned", seen
    return seen.value


async def examine(
    workers: TrialWorkers,
    source: str,
    tests: str,
    limits: TrialLimits = TrialLimits(),  # noqa: B008 - it is frozen
    **names: str,
) -> Examined:
    """Return the verdict of `tests`, which know the function `f` of the source, or `names`."""
    return await workers.examine(
        Examination(
            source=textwrap.dedent(source),
            tests=textwrap.dedent(tests),
            names=names or {"f": "f"},
            limits=limits,
        )
    )


def outcomes(observations: tuple[Observation, ...]) -> list[str]:
    return [seen.outcome for seen in observations]


def descendants(pid: int) -> set[int]:
    """Return the processes below one, by /proc; those that have ended and are not waited for left out."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return set(found[1:])


def jails() -> set[int]:
    """Return the processes of this one's jails: other tests have servers and children of their own."""
    return {pid for pid in descendants(os.getpid()) if _JAIL in _command(pid)}


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


_JAIL = b"Start a jail"  # the program text that each of them is given


def cpu_s(pid: int) -> float:
    """Return how long a process has computed; 0 for one that has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_gone(pids: set[int]) -> None:
    """Return when none of these processes runs any more; fail when one stays."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([handle], [], [], 20.0)
            assert ended, f"process {pid} has survived"
        finally:
            os.close(handle)
