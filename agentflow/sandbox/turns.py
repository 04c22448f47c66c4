"""One turn of a program: from where it stands to where it has to wait for the host.

Owns what the interpreter does in between. A turn is given everything and keeps nothing, so each may be
taken by another process, and by another machine. Knows neither who answers calls nor when.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pydantic_monty as monty

from agentflow.errors import ProgramError
from agentflow.sandbox.failures import program_error
from agentflow.sandbox.nodes import CALL, ISSUE, WAIT
from agentflow.sandbox.protocol import Limits
from agentflow.sandbox.rewrite import Rewritten

# Clock and random numbers do not move, so that a program gives the same calls again on replay.
FROZEN: Any = {"datetime": dt.datetime(2026, 1, 1), "random_start": {"seed": 1}, "sleep": "zero"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Where a program stands: at its beginning with `inputs`, or at `blob` with the host's `reply`.

    `secret` and `issued`, the number of calls so far, make the handles of new ones. `stdout_bytes` is what
    it may still print.
    """

    program: Rewritten
    code: str
    limits: Limits
    secret: str
    issued: int
    stdout_bytes: int
    inputs: Any = None
    blob: bytes | None = None
    reply: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A call that the program has begun; handles among the arguments stand for earlier ones.

    `problem` is there where the arguments cannot leave the interpreter.
    """

    number: int
    name: str
    line: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    problem: ProgramError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnd:
    """What a turn came to: without a `blob` the program is over and `value` its result.

    `waits` is what it asks for: handles, as the program's own calls gave them.
    """

    printed: str
    value: Any = None
    blob: bytes | None = None
    waits: tuple[Any, ...] = ()


def handle_of(secret: str, number: int) -> str:
    """Return what stands for a call inside the program until its result is there."""
    return f"{secret}:{number}"


async def take_turn(pool: monty.AsyncMonty, turn: Turn, issue: Callable[[Issued], None]) -> TurnEnd:
    """Run a program until it has to wait, or to its end; `issue` hears of each call as it is begun.

    Raises:
        ProgramError: The program failed, or went past a limit.
    """
    printed = monty.CollectString(max_bytes=turn.stdout_bytes)
    try:
        async with pool.checkout(limits=_monty_limits(turn.limits), os_policy=FROZEN) as session:
            pause = await _begun(session, turn, printed)
            pause, waits = await _Turning(turn, issue).to_a_wait(pause)
            if isinstance(pause, monty.MontyComplete):
                return TurnEnd(printed=printed.output, value=pause.output)
            return TurnEnd(printed=printed.output, blob=pause.dump(), waits=waits)
    except monty.MontyError as error:
        raise program_error(error, turn.program, turn.code) from error


async def _begun(session: Any, turn: Turn, printed: monty.CollectString) -> Any:
    if turn.blob is None:
        source = turn.program.source
        return await session.feed_start(source, inputs=turn.inputs, print_callback=printed)
    loaded = await session.load_snapshot(turn.blob, print_callback=printed)
    return await loaded.resume(turn.reply)


class _Turning:
    """Answers what can be answered at once."""

    def __init__(self, turn: Turn, issue: Callable[[Issued], None]) -> None:
        self._turn, self._tell = turn, issue
        self._issued = turn.issued
        self._line_count = len(turn.code.splitlines())

    async def to_a_wait(self, pause: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return the pause that has to wait, and for what."""
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
        return pause, ()

    def _is_ours(self, args: tuple[Any, ...]) -> bool:
        """Return whether the rewrite wrote this call; `eval` in a program can write others."""
        if len(args) < 2 or not isinstance(args[0], str) or type(args[1]) is not int:
            return False
        return 1 <= args[1] <= self._line_count

    def _issue(self, pause: Any) -> str:
        """Begin a call and return its handle."""
        name, line, *args = pause.args
        number, most = self._issued, self._turn.limits.calls
        if number >= most:
            message = f"more than {most} calls"
            raise ProgramError(
                phase="limit", name="LimitError", message=message, line=line, report=message
            )
        self._issued += 1
        kwargs = dict(pause.kwargs)
        self._tell(Issued(number=number, name=name, line=line, args=tuple(args), kwargs=kwargs))
        return handle_of(self._turn.secret, number)


def _monty_limits(limits: Limits) -> Any:
    return {
        "max_feed_duration_secs": limits.feed_s,
        "max_turn_duration_secs": limits.feed_s,
        "max_memory": limits.memory_bytes,
        "max_recursion_depth": limits.recursion,
        "max_suspensions": 4 * limits.calls + 1_000,
    }
