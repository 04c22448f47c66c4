"""What is asked of the confined workers, and what they say was seen.

Owns the values that cross between the host and generated Python code. Knows neither processes nor
confinement. An encoded value is JSON that describes a Python value (see docs/sandbox.md): it was made
by the code's own process, so it is data to compare and print, and is never turned into live objects here.
"""

from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Outcome = Literal["returned", "raised", "timeout", "memory", "too_large", "crashed"]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrialLimits(_Value):
    """What one trial may use. There is no way to say: no limit.

    `call_s` holds for each call, and for loading the source; `total_s` for loading and all calls
    together. `value_bytes` is the size of one value as encoded.
    """

    call_s: Seconds = 2.0
    total_s: Seconds = 20.0
    memory_bytes: Bytes = 512 << 20
    stdout_bytes: Bytes = 64 << 10
    value_bytes: Bytes = 1 << 20


class Trial(_Value):
    """A module and the call expressions to evaluate in its namespace, each with fresh arguments.

    Loading and every call read `stdin` from its start.
    """

    source: str
    calls: tuple[str, ...]
    stdin: str = ""
    limits: TrialLimits = TrialLimits()


class Failure(_Value):
    """An exception, as data.

    `bases` are the classes it inherits from, nearest first, without `object` and `BaseException`.
    `report` is a traceback for a model: frames of the source only, with their lines. `line` is the
    line of the source it came from. Where there was no exception, `type` is TimeoutError, MemoryError
    or Crash.
    """

    type: str
    bases: tuple[str, ...] = ()
    message: str
    report: str
    line: int | None = None


class Observation(_Value):
    """What one call did.

    `value` is encoded, and so are `arguments`: the tuple [args, kwargs] after the call, or None if the
    call left them as they were. `failure` is there when the outcome is "raised".
    """

    outcome: Outcome
    value: Any = None
    failure: Failure | None = None
    arguments: Any = None
    stdout: str = ""


class Observed(_Value):
    """What a trial did: an observation a call, in order; or why the source did not load."""

    failure: Failure | None = None
    observations: tuple[Observation, ...] = ()


class Examination(_Value):
    """A module, and tests that run in another process than it does.

    `names` says under which name the tests reach which function of the source.
    """

    source: str
    tests: str
    names: dict[str, str]
    limits: TrialLimits = TrialLimits()


class Examined(_Value):
    """Whether the tests ran to their end; if not, `failure` says why. `stdout` is what they printed."""

    passed: bool
    failure: Failure | None = None
    stdout: str = ""


class Workers(Protocol):
    """Runs generated functions confined."""

    async def observe(self, trial: Trial) -> Observed:
        """Return what a module does when it is loaded and called; its own errors are data.

        Raises:
            SandboxUnavailableError: Nothing can confine it any more.
        """
        ...

    async def examine(self, examination: Examination) -> Examined:
        """Return whether a module passes tests that it cannot see; errors of both are data.

        Raises:
            SandboxUnavailableError: Nothing can confine it any more.
        """
        ...

    async def aclose(self) -> None:
        """End what was started; what is still asked is lost."""
        ...
