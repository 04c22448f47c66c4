"""The answer is a module whose functions return the right values.

Owns the comparison of what calls returned with what they should have. The calls are made in a confined
process that never holds the expected values; what comes back is data, and is compared here. Where the
tests are Python that calls the answer, use `code_tests`.
"""

import math
from typing import Any

from pydantic import Field

from agentflow.data import Data
from agentflow.engine.trials import observe
from agentflow.sandbox.workers.protocol import Observation, Trial, TrialLimits
from agentflow_evals.scorer import Options, Score, read_options, shown, verdict
from agentflow_evals.scorers.confined import ConfinedOptions, not_python, not_returned
from agentflow_evals.scorers.exact import difference

_VALUE_BYTES = 16 << 20
_SPARE_S = 5.0  # for the process itself, so that no call is cut short that is within its own time


class Call(Options):
    """A Python expression over the answer's names, and the value it should have."""

    call: str = Field(min_length=1)
    returns: Data


class FunctionIoOptions(ConfinedOptions):
    """`calls`; tuples count as lists.

    `total_seconds` is the time for loading the answer and all calls together; without it, each of them has
    its `seconds`, however many there are.
    """

    calls: tuple[Call, ...] = Field(min_length=1)
    total_seconds: float | None = Field(default=None, gt=0, le=3600, allow_inf_nan=False)

    @property
    def limit(self) -> str:
        """The time of a call, in words."""
        in_all = f", or all calls more than {self.total_seconds:g} s" if self.total_seconds else ""
        return f"{self.seconds:g} s{in_all}"


async def function_io(output: Any, options: dict[str, Any]) -> Score:
    """Pass if every call returns what it should.

    Raises:
        InputError: The options are wrong.
        SandboxUnavailableError: Nothing can confine code on this machine.
    """
    wanted = read_options(FunctionIoOptions, "function_io", options)
    if problem := not_python(output):
        return verdict(False, problem)
    seen = await observe(_trial(output, wanted), name="calls")
    if seen.failure is not None:
        return verdict(False, shown(seen.failure.report))
    for call, found in zip(wanted.calls, seen.observations, strict=True):
        if problem := _problem(found, call, wanted):
            return verdict(False, f"{shown(call.call)}: {problem}")
    return verdict(True, f"all {len(wanted.calls)} calls returned the right value")


def _trial(source: str, wanted: FunctionIoOptions) -> Trial:
    limits = TrialLimits(
        call_s=wanted.seconds,
        total_s=wanted.total_seconds or (1 + len(wanted.calls)) * wanted.seconds + _SPARE_S,
        memory_bytes=wanted.memory_bytes,
        value_bytes=_VALUE_BYTES,
    )
    calls = tuple(call.call for call in wanted.calls)
    return Trial(source=f"{wanted.prelude}\n{source}", calls=calls, limits=limits)


def _problem(found: Observation, call: Call, wanted: FunctionIoOptions) -> str:
    if problem := not_returned(found, wanted.limit):
        return problem
    try:
        value = decoded(found.value)
    except ValueError as error:
        return str(error)
    if wanted.tolerance and _close(value, call.returns, wanted.tolerance):
        return ""
    return difference(value, call.returns, "the value")


def decoded(value: Any) -> Any:
    """Return an encoded value as plain data; sequences are lists.

    Raises:
        ValueError: It is none.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    kind, content = next(iter(value.items()))
    if kind in ("list", "tuple"):
        return [decoded(item) for item in content]
    if kind == "dict":
        return {_key(decoded(name)): decoded(item) for name, item in content}
    if kind == "float":
        return float(content)
    if kind == "int":
        return int(content, 16)
    raise ValueError(f"it is a {kind}, no plain value")


def _key(name: Any) -> Any:
    if isinstance(name, list | dict):
        raise ValueError("it is a dictionary whose keys are no plain values")  # noqa: TRY004
    return name


def _close(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, list) and isinstance(other, list | tuple):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_close(*pair, tolerance) for pair in pairs)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        try:
            return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
        except OverflowError:  # a whole number beyond all floats
            return one == other
    return not difference(one, other)
