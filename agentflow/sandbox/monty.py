"""Run plan code in pydantic-monty, a Python interpreter without access to the machine.

Owns the worker pool and the way a program pauses at a call. No worker is held while the host works:
the paused program is dumped to bytes, its worker goes to another program, and the bytes are loaded
again with the answer. The bytes never leave this process's memory, so they need no signature. Clock
and random numbers are frozen, so that a program gives the same calls again on replay.
"""

import datetime as dt
import secrets
from collections.abc import Mapping
from typing import Any

import anyio
import pydantic_monty as monty
from anyio.abc import TaskGroup

from agentflow.data import canonical, encode
from agentflow.errors import ProgramError, SandboxUnavailableError
from agentflow.sandbox.failures import as_raised, program_error
from agentflow.sandbox.nodes import CALL, ISSUE, WAIT
from agentflow.sandbox.protocol import Call, CallHandler, Finished, Limits
from agentflow.sandbox.rewrite import Rewritten, rewrite

WORKERS = 2
CHECKOUT_TIMEOUT_S = 600.0  # many programs may queue for few workers
REQUEST_TIMEOUT_S = 60.0  # the backstop behind the limits of each program
FROZEN: Any = {"datetime": dt.datetime(2026, 1, 1), "random_start": {"seed": 1}, "sleep": "zero"}


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
        program = rewrite(code, inputs, parallel=parallel)
        pool = await self._opened()
        async with anyio.create_task_group() as group:
            execution = _Execution(pool, program, code, call, limits, group)
            outcome: Finished | Exception
            try:
                outcome = await execution.run(_plain_inputs(inputs))
            except Exception as error:  # noqa: BLE001 - raised below, without a group around it
                outcome = error
                group.cancel_scope.cancel()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

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


class _Answer:
    """The result of one call of the host, now or later."""

    def __init__(self) -> None:
        self.ready = anyio.Event()
        self.value: object = None
        self.error: Exception | None = None


class _Execution:
    """One program from its start to its end."""

    def __init__(
        self,
        pool: monty.AsyncMonty,
        program: Rewritten,
        code: str,
        call: CallHandler,
        limits: Limits,
        group: TaskGroup,
    ) -> None:
        self._pool, self._program, self._code = pool, program, code
        self._call, self._limits, self._group = call, limits, group
        self._answers: dict[str, _Answer] = {}
        self._numbers: dict[str, int] = {}
        # Program code never sees a handle; this keeps it from making one up.
        self._secret = secrets.token_hex(16)
        self._line_count = len(code.splitlines())
        self._raised: dict[tuple[str, str], Exception] = {}
        self._printed: list[str] = []

    async def run(self, inputs: dict[str, object]) -> Finished:
        try:
            value = await self._to_the_end(inputs)
        except monty.MontyError as error:
            failure = program_error(error, self._program, self._code)
            raise self._raised.get((failure.name, failure.message), failure) from error
        for answer in self._answers.values():
            # The program waits for every call, but for those behind an error that it caught.
            await answer.ready.wait()
        value = _crossing(value, "the return value")
        return Finished(value=value, stdout="".join(self._printed), calls=len(self._answers))

    async def _to_the_end(self, inputs: dict[str, object]) -> object:
        """Alternate between turns in a worker and waits outside of one."""
        blob: bytes | None = None
        reply: Any = None
        pause: Any
        while True:
            left = self._limits.stdout_bytes - sum(len(text.encode()) for text in self._printed)
            printed = monty.CollectString(max_bytes=max(0, left))
            async with self._pool.checkout(
                limits=self._monty_limits(), os_policy=FROZEN
            ) as session:
                if blob is None:
                    source = self._program.source
                    pause = await session.feed_start(source, inputs=inputs, print_callback=printed)
                else:
                    loaded: Any = await session.load_snapshot(blob, print_callback=printed)
                    pause = await loaded.resume(reply)
                pause, waits = await self._turn(pause)
                self._printed.append(printed.output)
                if isinstance(pause, monty.MontyComplete):
                    return pause.output
                blob = pause.dump()
            reply = await self._reply_for(waits)

    async def _turn(self, pause: Any) -> tuple[Any, object]:
        """Answer what can be answered at once; return the pause that has to wait, and for what."""
        while not isinstance(pause, monty.MontyComplete):
            if isinstance(pause, monty.AsyncNameLookupSnapshot):
                pause = await pause.resume()  # NameError inside the program
                continue
            if pause.is_os_function:
                pause = await pause.resume_not_handled()
                continue
            if pause.function_name in (ISSUE, CALL) and not self._is_ours(pause.args):
                pause = await pause.resume({"exc_type": "NameError", "message": "reserved name"})
            elif pause.function_name == ISSUE:
                pause = await pause.resume({"return_value": self._issue(pause)})
            elif pause.function_name == CALL:
                return pause, (self._issue(pause),)
            elif pause.function_name == WAIT and len(pause.args) in (1, 2):
                return pause, tuple(pause.args)
            else:
                message = f"name '{pause.function_name}' is not defined"
                pause = await pause.resume({"exc_type": "NameError", "message": message})
        return pause, None

    def _is_ours(self, args: tuple[Any, ...]) -> bool:
        """Return whether the rewrite wrote this call; `eval` in a program can write others."""
        if len(args) < 2 or not isinstance(args[0], str) or type(args[1]) is not int:
            return False
        return 1 <= args[1] <= self._line_count

    def _issue(self, pause: Any) -> str:
        """Start a call and return its handle."""
        name, line, *args = pause.args
        number = len(self._answers)
        if number >= self._limits.calls:
            message = f"more than {self._limits.calls} calls"
            raise ProgramError(
                phase="limit", name="LimitError", message=message, line=line, report=message
            )
        handle = f"{self._secret}:{number}"
        answer = self._answers[handle] = _Answer()
        self._numbers[handle] = number
        waits = [
            item for item in (*args, *pause.kwargs.values()) for item in self._handles_in(item)
        ]
        call = Call(
            number=number,
            name=name,
            args=tuple(args),
            kwargs=dict(pause.kwargs),
            line=line,
            waits_for=tuple(self._numbers[item] for item in waits),
        )
        self._group.start_soon(self._serve, call, answer)
        return handle

    async def _serve(self, call: Call, answer: _Answer) -> None:
        try:
            place = f"the call of {call.name}"
            ready = Call(
                number=call.number,
                name=call.name,
                args=tuple([_crossing(await self._resolved(item), place) for item in call.args]),
                kwargs={
                    word: _crossing(await self._resolved(item), place)
                    for word, item in call.kwargs.items()
                },
                line=call.line,
                waits_for=call.waits_for,
            )
            answer.value = _crossing(await self._call(ready), f"the result of {call.name}")
        except Exception as error:  # noqa: BLE001 - it belongs to the program, which may catch it
            answer.error = error
        finally:
            answer.ready.set()

    async def _reply_for(self, waits: Any) -> dict[str, object]:
        handles, *as_pairs = waits
        try:
            if as_pairs:
                return {"return_value": {key: await self._resolved(item) for key, item in handles}}
            return {"return_value": await self._resolved(handles)}
        except Exception as error:  # noqa: BLE001 - raised inside the program
            kind, message = as_raised(error)
            if any(answer.error is error for answer in self._answers.values()):
                self._raised[kind, message] = error
            return {"exc_type": kind, "message": message}

    async def _resolved(self, value: Any) -> Any:
        """Return a value with its handles, if it has any, replaced by what they stand for."""
        if isinstance(value, str) and value in self._answers:
            answer = self._answers[value]
            await answer.ready.wait()
            if answer.error is not None:
                raise answer.error
            return answer.value
        if not self._handles_in(value):
            return value
        items = sorted(value, key=self._numbers.__getitem__) if isinstance(value, set) else value
        resolved = [await self._resolved(item) for item in items]
        return set(resolved) if isinstance(value, set) else resolved

    def _handles_in(self, value: Any) -> list[str]:
        """Return the handles that a value is, or that a comprehension collected."""
        items = [value]
        if isinstance(value, list | set):
            items = list(value)
        return [item for item in items if isinstance(item, str) and item in self._answers]

    def _monty_limits(self) -> Any:
        limits = self._limits
        return {
            "max_feed_duration_secs": limits.feed_s,
            "max_turn_duration_secs": limits.feed_s,
            "max_memory": limits.memory_bytes,
            "max_recursion_depth": limits.recursion,
            "max_suspensions": 4 * limits.calls + 1_000,
        }


def _plain_inputs(inputs: Mapping[str, object]) -> dict[str, object]:
    return {name: _crossing(value, f"the input {name}") for name, value in inputs.items()}


def _crossing(value: object, what: str) -> object:
    """Return a value that may cross between host and program: plain data and nothing else."""
    try:
        canonical(encode(value, what))
    except (ValueError, RecursionError) as error:
        hint = "pass numbers, strings, lists, dictionaries and the like"
        message = f"{error}: {hint}" if what in str(error) else f"{what}: {error}: {hint}"
        raise ProgramError(
            phase="unsupported",
            name="TypeError",
            message=message,
            line=None,
            report=f"TypeError: {message}",
        ) from error
    return value
