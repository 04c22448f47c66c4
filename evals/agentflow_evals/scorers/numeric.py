"""The answer is this number, about."""

import math
import re
from fractions import Fraction
from typing import Any

from pydantic import Field, field_validator

from agentflow_evals.scorer import Options, Score, read_options, shown, verdict

NUMBER = re.compile(
    r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII
)
_FRACTION = re.compile(r"(?<![\d./])([-+]?\d{1,300})\s*/\s*(\d{1,300})(?![\d/]|\.\d)", re.ASCII)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*([-+]?\d+)\s*\}\s*\{\s*(\d+)\s*\}", re.ASCII)
_LATEX_FRACTION_OF_DIGITS = re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)", re.ASCII)
_MARKED = re.compile(r"####[ \t]*([^\n]+)|\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-"})


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

    @field_validator("value", mode="before")
    @classmethod
    def _is_read_as_an_answer_is(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if (found := number_in(value)) is None:
            raise ValueError(f"{shown(value)} is not one number")
        return found


async def numeric(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the answer is a number close to `value`, or text that says exactly one number.

    Where text marks its answer, with `#### ` or LaTeX's `boxed`, the last such mark is what it says.
    """
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


def number_in(text: str) -> float | None:
    """Return the one number that a text says, None if it says none or several; `3/4` is one."""
    marked = _MARKED.findall(text)
    said = next(filter(None, marked[-1])) if marked and any(marked[-1]) else text
    said = said.translate(_MINUS).replace("{,}", ",")
    said = _LATEX_FRACTION.sub(r" \1/\2 ", _LATEX_FRACTION_OF_DIGITS.sub(r" \1/\2 ", said))
    said = re.sub(r"-\s+(?=\d+/)", "-", said)
    said = re.sub(r"(?<![\w.])([-+])\$\s*(?=\d)", r"\1", said)  # -$5
    fractions = _FRACTION.findall(said)
    rest = NUMBER.findall(_FRACTION.sub(" ", said))
    if len(fractions) == 1 and not rest:
        return _divided(*fractions[0])
    return float(rest[0].replace(",", "")) if len(rest) == 1 and not fractions else None


def _divided(above: str, below: str) -> float | None:
    return _as_float(Fraction(int(above), int(below))) if int(below) else None


def _number(output: Any) -> float | None:
    if isinstance(output, bool):
        return None
    if isinstance(output, int | float):
        return _as_float(output)
    return number_in(output) if isinstance(output, str) else None


def _as_float(number: float | Fraction) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number past every float is close to none of them
        return math.inf if number > 0 else -math.inf
