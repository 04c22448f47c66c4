"""What runs generated plan code: a program in, calls out, a value back.

Owns the values that cross between the engine and any sandbox. Knows neither.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a function that the program does not define, waiting for the host.

    `number` counts calls in the order of issue, which is the same for the same program, inputs and
    answers. `line` is the line of the call in the program as written, from 1. `waits_for` names the
    earlier calls whose results are among the arguments.
    """

    number: int
    name: str
    args: tuple[object, ...]
    kwargs: dict[str, object]
    line: int
    waits_for: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one program may use. There is no way to say: no limit.

    `feed_s` is computing time between two calls, in seconds; waiting for the host is free.
    """

    feed_s: float = 5.0
    memory_bytes: int = 128 << 20
    calls: int = 1_000
    recursion: int = 200
    stdout_bytes: int = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end of a program that ran to it: its value, what it printed, how many calls it made."""

    value: object
    stdout: str
    calls: int


CallHandler = Callable[[Call], Awaitable[object]]


class ProgramSandbox(Protocol):
    """Runs programs that cannot reach files, processes, the network, the clock or the host's memory."""

    async def run(
        self,
        code: str,
        inputs: Mapping[str, object],
        *,
        call: CallHandler,
        parallel: bool,
        limits: Limits,
    ) -> Finished:
        """Run the body of a function of `inputs`.

        Args:
            code: Statements; `return` ends it, else the value of a last expression is the result.
            inputs: Plain data by parameter name.
            call: Answers the calls of functions that the program does not define.
            parallel: Whether calls that do not need each other may run side by side.
            limits: What it may use.

        Raises:
            ProgramError: It does not parse, fails, asks for what the interpreter lacks, or goes past
                a limit.
            Exception: What `call` raised, if the program did not catch it.
        """
        ...

    async def aclose(self) -> None:
        """End the worker processes."""
        ...
