"""The answer is this number, about."""

import math
import re
from typing import Any

from pydantic import Field, field_validator

from agentflow_evals.scorer import Options, Score, read_options, shown, verdict

NUMBER = re.compile(
    r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII
)


class NumericOptions(Options):
    """`value`, how far off it may be, and which `field` of the answer holds it."""

    value: float = Field(allow_inf_nan=False)
    relative_tolerance: float = Field(default=1e-6, ge=0, allow_inf_nan=False)
    absolute_tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    field: str | None = None

    @field_validator("value", "relative_tolerance", "absolute_tolerance", mode="before")
    @classmethod
    def _is_no_bool(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("true and false are not numbers")  # noqa: TRY004  pydantic reports this one
        return value


async def numeric(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the answer is a number close to `value`, or text that holds exactly one number."""
    wanted = read_options(NumericOptions, "numeric", options)
    if wanted.field is not None:
        if not isinstance(output, dict) or wanted.field not in output:
            return verdict(False, f"the answer has no field {wanted.field!r}")
        output = output[wanted.field]
    found = _number(output)
    if found is None:
        return verdict(False, f"{shown(output)} is not one number")
    tolerances = {"rel_tol": wanted.relative_tolerance, "abs_tol": wanted.absolute_tolerance}
    is_close = math.isclose(found, wanted.value, **tolerances)
    return verdict(is_close, f"{found:.15g} is {'' if is_close else 'not '}{wanted.value:.15g}")


def _number(output: Any) -> float | None:
    if isinstance(output, bool):
        return None
    if isinstance(output, int | float):
        return _as_float(output)
    found = NUMBER.findall(output) if isinstance(output, str) else []
    return float(found[0].replace(",", "")) if len(found) == 1 else None


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number past every float is close to none of them
        return math.inf if number > 0 else -math.inf
