"""A pool of jails that runs generated functions, many at once.

Owns the choice of the launcher and the number of jails. A jail is used after it has been proved, is
started when one is needed, and is replaced when it is lost. Nothing is ever run unconfined: where no
launcher holds, there is no pool.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

import anyio

from agentflow.errors import SandboxUnavailableError
from agentflow.sandbox.workers import trialing
from agentflow.sandbox.workers.inside.wire import Header
from agentflow.sandbox.workers.jail import Jail, Reply
from agentflow.sandbox.workers.launchers import LAUNCHERS, Launcher, LauncherName
from agentflow.sandbox.workers.proof import prove
from agentflow.sandbox.workers.protocol import Examination, Examined, Observed, Trial

VARIABLE = "AGENTFLOW_SANDBOX"
_MOST_JAILS = 8


async def open_workers(
    *, launcher: LauncherName | None = None, jails: int | None = None
) -> "TrialWorkers":
    """Return a pool whose first jail has just shown that it confines.

    Args:
        launcher: The only one to try; otherwise what `AGENTFLOW_SANDBOX` names, or the first that holds.
        jails: How many at most; otherwise one per core, at least 2 and at most 8.

    Raises:
        SandboxUnavailableError: None confines code here; it says why not and what to install.
    """
    reasons = []
    chosen = _chosen(launcher)
    for one in chosen:
        try:
            first = await _started(one)
        except OSError as error:
            reasons.append(f"{one.name}: {error.strerror or error}")
            continue
        return TrialWorkers(one, first, jails or _default_jails())
    remedy = ", ".join(one.remedy for one in chosen)
    raise SandboxUnavailableError(problem="; ".join(reasons), remedy=remedy.removeprefix("or "))


class TrialWorkers:
    """Runs trials and examinations; made by `open_workers`."""

    def __init__(self, launcher: Launcher, first: Jail, jails: int) -> None:
        self._launcher = launcher
        self._idle = [first]
        self._all = {first}
        self._limiter = anyio.Semaphore(jails)

    @property
    def launcher(self) -> LauncherName:
        """How the jails are confined."""
        return self._launcher.name

    async def observe(self, trial: Trial) -> Observed:
        """Return what a module does when it is loaded and called; its own errors are data.

        Raises:
            SandboxUnavailableError: A jail was lost and no other one can be started.
        """
        return await trialing.observe(self._ask, trial)

    async def examine(self, examination: Examination) -> Examined:
        """Return whether a module passes tests that it cannot see; errors of both are data.

        Raises:
            SandboxUnavailableError: A jail was lost and no other one can be started.
        """
        return await trialing.examine(self._ask, examination)

    async def aclose(self) -> None:
        """End all jails; what is still asked of them is lost."""
        with anyio.CancelScope(shield=True):
            for jail in list(self._all):
                await self._end(jail)
            self._idle.clear()

    async def _ask(self, header: Header, parts: tuple[bytes, ...]) -> Reply:
        async with self._jail() as jail:
            return await jail.request(header, parts)

    @asynccontextmanager
    async def _jail(self) -> AsyncIterator[Jail]:
        async with self._limiter:
            jail = self._idle.pop() if self._idle else await self._another()
            try:
                yield jail
            finally:
                if jail.is_lost:
                    await self._end(jail)
                else:
                    self._idle.append(jail)

    async def _another(self) -> Jail:
        try:
            jail = await _started(self._launcher)
        except OSError as error:
            raise SandboxUnavailableError(
                problem=f"{self._launcher.name}: {error.strerror or error}",
                remedy=self._launcher.remedy.removeprefix("or "),
            ) from error
        self._all.add(jail)
        return jail

    async def _end(self, jail: Jail) -> None:
        self._all.discard(jail)
        await jail.aclose()


async def _started(launcher: Launcher) -> Jail:
    """Start a jail and prove it.

    Raises:
        OSError: It does not start, or does not confine.
    """
    jail = await Jail.start(launcher)
    try:
        await prove(jail)
    except BaseException:
        await jail.aclose()
        raise
    return jail


def _chosen(forced: str | None) -> tuple[Launcher, ...]:
    name = forced or os.environ.get(VARIABLE) or None
    if name is None:
        return LAUNCHERS
    found = tuple(one for one in LAUNCHERS if one.name == name)
    if not found:
        known = ", ".join(get_args(LauncherName))
        raise SandboxUnavailableError(
            problem=f"there is no launcher {name!r}", remedy=f"set {VARIABLE} to one of: {known}"
        )
    return found


def _default_jails() -> int:
    return max(2, min(len(os.sched_getaffinity(0)), _MOST_JAILS))
