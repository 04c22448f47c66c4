"""The answer's text holds all of these."""

from typing import Annotated, Any

from pydantic import Field

from agentflow_evals.scorer import Options, Score, read_options, shown


class ContainsOptions(Options):
    """`all`: the strings that must be there; `ignore_case`."""

    all: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    ignore_case: bool = False


async def contains(output: Any, options: dict[str, Any]) -> Score:
    """Pass if every string is in the answer's text; the value is the share that is."""
    wanted = read_options(ContainsOptions, "contains", options)
    text = _text(output)
    missing = [item for item in wanted.all if not _is_in(item, text, wanted.ignore_case)]
    share = 1 - len(missing) / len(wanted.all)
    said = (
        f"missing: {', '.join(map(shown, missing))}" if missing else "everything expected is there"
    )
    return Score(passed=not missing, value=share, explanation=said)


def _is_in(item: str, text: str, ignore_case: bool) -> bool:
    return item.casefold() in text.casefold() if ignore_case else item in text


def _text(output: Any) -> str:
    try:
        return str(output)
    except ValueError:  # Python writes no number of thousands of digits
        return shown(output)
