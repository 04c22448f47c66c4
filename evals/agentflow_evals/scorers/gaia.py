"""The answer is the expected number, list or words: the quasi-exact match of the GAIA benchmark.

Owns the rule. Which of the three is expected is read off the reference: a number if it is one, a list
if it has a comma or semicolon, words otherwise. Numbers are compared without currency, percent and
thousands signs; lists item by item in order, punctuation kept; words without spaces, case, punctuation.

Source: Mialon et al., GAIA: a benchmark for General AI Assistants, arXiv:2311.12983.
"""

import re
import string
from typing import Any

from pydantic import Field

from agentflow_evals.scorer import Options, Score, read_options, shown, verdict

_MARK = re.compile(r"final\s+answer\s*:", re.IGNORECASE)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class GaiaOptions(Options):
    """`answer`: the reference."""

    answer: str = Field(min_length=1, pattern=r"\S")


async def gaia(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the answer, or what follows its last "final answer:", quasi-exactly matches."""
    wanted = read_options(GaiaOptions, "gaia", options).answer
    found = _answer(output)
    passed = quasi_exact(found, wanted)
    return verdict(passed, f"{shown(found)} is {'' if passed else 'not '}{shown(wanted)}")


def quasi_exact(given: str, wanted: str) -> bool:
    """Return whether an answer matches the reference by the benchmark's rule."""
    if _number(wanted) is not None:
        return _bare_number(given) == _number(wanted)
    if not re.search("[,;]", wanted):
        return _words(given) == _words(wanted)
    ones, others = re.split("[,;]", given), re.split("[,;]", wanted)
    if len(ones) != len(others):
        return False
    return all(_same_item(one, other) for one, other in zip(ones, others, strict=True))


def _same_item(given: str, wanted: str) -> bool:
    number = _number(wanted)
    if number is not None:
        return _bare_number(given) == number
    return "".join(given.split()).lower() == "".join(wanted.split()).lower()


def _words(text: str) -> str:
    return "".join(text.split()).lower().translate(_NO_PUNCTUATION)


def _bare_number(text: str) -> float | None:
    return _number(re.sub("[$%,]", "", text))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _answer(output: Any) -> str:
    if isinstance(output, list | tuple):
        return ", ".join(map(_answer, output))
    try:
        text = "" if output is None else str(output)
    except ValueError:  # Python writes no number of thousands of digits
        return ""
    marks = list(_MARK.finditer(text))
    return text[marks[-1].end() :].strip().rstrip("*").strip() if marks else text.strip()
