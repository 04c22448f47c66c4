"""The answer is this very value."""

from typing import Any

from agentflow_evals.scorer import Options, Score, read_options, shown, verdict


class ExactOptions(Options):
    """`equals`: the value. Whole and decimal numbers are equal by value; true is not 1."""

    equals: Any


async def exact(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the answer equals the value; the explanation names the first difference."""
    wanted = read_options(ExactOptions, "exact", options).equals
    found = difference(output, wanted)
    return verdict(not found, found or "the answer is the expected one")


def difference(given: Any, wanted: Any, place: str = "the answer") -> str:
    """Return the first difference in words, empty if there is none."""
    if isinstance(given, dict) and isinstance(wanted, dict):
        for key in wanted:
            if key not in given:
                return f"{place} has no {shown(key)}"
            if found := difference(given[key], wanted[key], f"{place}[{shown(key)}]"):
                return found
        more = [key for key in given if key not in wanted]
        return f"{place} has {shown(more[0])} too" if more else ""
    if isinstance(given, list | tuple) and isinstance(wanted, list | tuple):
        if len(given) != len(wanted):
            return f"{place} has {len(given)} items, not {len(wanted)}"
        pairs = enumerate(zip(given, wanted, strict=True))
        found_in = (difference(left, right, f"{place}[{index}]") for index, (left, right) in pairs)
        return next((found for found in found_in if found), "")
    if isinstance(given, bool) is isinstance(wanted, bool) and given == wanted:
        return ""
    return f"{place} is {shown(given)}, not {shown(wanted)}"
