"""Run plan code in pydantic-monty, a Python interpreter without access to the machine.

Owns the pool of interpreter processes, and the proof that they confine. No process is held while the host
works: the paused program is dumped to bytes, its process goes to another program, and the bytes are loaded
again with the answer.
"""

from collections.abc import Callable, Mapping

import anyio
import pydantic_monty as monty

from agentflow.errors import ProgramError, SandboxUnavailableError
from agentflow.sandbox.execution import execute
from agentflow.sandbox.protocol import Call, CallHandler, Finished, Limits
from agentflow.sandbox.turns import Issued, Turn, TurnEnd, take_turn

WORKERS = 2
CHECKOUT_TIMEOUT_S = 600.0  # many programs may queue for few workers
REQUEST_TIMEOUT_S = 60.0  # the backstop behind the limits of each program


async def open_sandbox(workers: int = WORKERS) -> "MontySandbox":
    """Return a sandbox that has just shown that it confines code.

    Raises:
        SandboxUnavailableError: It cannot start, or a canary got out.
    """
    sandbox = MontySandbox(workers)
    remedy = "reinstall it with `pip install --force-reinstall pydantic-monty`"

    async def nobody(call: Call) -> object:
        raise LookupError(call.name)

    canary = "try:\n    open('/etc/hostname')\n    return 'out'\nexcept Exception:\n    return 'in'"
    try:
        finished = await sandbox.run(canary, {}, call=nobody, parallel=False, limits=Limits())
    except (OSError, ProgramError, monty.MontyError) as error:
        await sandbox.aclose()
        raise SandboxUnavailableError(
            problem=f"pydantic-monty does not run: {error}", remedy=remedy
        ) from error
    if finished.value != "in":
        await sandbox.aclose()
        raise SandboxUnavailableError(
            problem="code in pydantic-monty could open a file", remedy=remedy
        )
    return sandbox


class MontySandbox:
    """A pool of interpreter processes; see `ProgramSandbox`."""

    def __init__(self, workers: int = WORKERS) -> None:
        self._workers = workers
        self._pool: monty.AsyncMonty | None = None
        self._opening = anyio.Lock()

    async def run(
        self,
        code: str,
        inputs: Mapping[str, object],
        *,
        call: CallHandler,
        parallel: bool,
        limits: Limits,
    ) -> Finished:
        """Run one program; see `ProgramSandbox.run`."""
        return await execute(
            self.take_turn, code, inputs, call=call, parallel=parallel, limits=limits
        )

    async def take_turn(self, turn: Turn, issue: Callable[[Issued], None]) -> TurnEnd:
        """Take one turn of a program in a process of the pool; see `turns.take_turn`."""
        return await take_turn(await self._opened(), turn, issue)

    async def aclose(self) -> None:
        """End the worker processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            with anyio.CancelScope(shield=True):
                await pool.__aexit__(None, None, None)

    async def _opened(self) -> monty.AsyncMonty:
        async with self._opening:
            if self._pool is None:
                pool = monty.AsyncMonty(
                    min_processes=1,
                    max_processes=self._workers,
                    checkout_timeout=CHECKOUT_TIMEOUT_S,
                    request_timeout=REQUEST_TIMEOUT_S,
                )
                self._pool = await pool.__aenter__()
            return self._pool
