r"""The final answer of a worked solution is this number, expression, tuple, interval or word.

Owns where the final answer stands: the last \boxed{}, else what follows the last `####` or "answer is",
else a short reply as a whole, else its last number. Whether two answers are one is in `math_equal.py`.
"""

import re
from typing import Any, Literal

from pydantic import Field

from agentflow_evals.scorer import Options, Score, read_options, shown, verdict
from agentflow_evals.scorers.math_equal import same_answer

NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|-?\.\d+", re.ASCII)
_SAID = re.compile(r"####|\banswer\s*(?:is|:|=)\s*:?", re.IGNORECASE)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*")
SHORT = 80  # characters: a reply of one line and this length is its own answer
MOST_CHARACTERS = 1_000_000


class MathAnswerOptions(Options):
    """`answer`: the reference. `kind`: with `number`, words around the final number do not count."""

    answer: str = Field(min_length=1, pattern=r"\S")
    kind: Literal["any", "number"] = "any"


async def math_answer(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the final answer is mathematically the reference."""
    wanted = read_options(MathAnswerOptions, "math_answer", options)
    found = final_answer(_text(output))
    if wanted.kind == "number":
        numbers = NUMBER.findall(found)
        found = numbers[-1].replace(",", "") if numbers else ""
    if not found:
        return verdict(False, f"{shown(output)} holds no answer")
    passed = same_answer(found, wanted.answer)
    return verdict(passed, f"{shown(found)} is {'' if passed else 'not '}{wanted.answer}")


def final_answer(text: str) -> str:
    """Return what a reply gives as its answer; empty if it gives none."""
    text = text[-MOST_CHARACTERS:]
    if (boxed := last_boxed(text)) is not None:
        return boxed.strip()
    marks = list(_SAID.finditer(text))
    if marks:
        said = text[marks[-1].end() :].strip().partition("\n")[0]
        if said.strip(" .*$"):
            return said.strip(" .*")
    stripped = text.strip()
    if len(stripped) <= SHORT and "\n" not in stripped:
        return stripped
    numbers = NUMBER.findall(stripped)
    return numbers[-1] if numbers else ""


MOST_BOXES, MOST_BOXED_CHARACTERS = (
    20,
    4_000,
)  # looked at: a model may write the mark without an end


def last_boxed(text: str) -> str | None:
    r"""Return what the last \boxed{} holds; None if there is none, or it is never closed."""
    for mark in list(_BOX.finditer(text))[: -MOST_BOXES - 1 : -1]:
        rest = text[mark.end() : mark.end() + MOST_BOXED_CHARACTERS]
        if not rest.startswith("{"):
            word = re.match(r"[^\s$]+", rest)
            return word[0].rstrip(".,") if word else None
        depth = 0
        for index, letter in enumerate(rest):
            escaped = index > 0 and rest[index - 1] == "\\"
            depth += 0 if escaped else (letter == "{") - (letter == "}")
            if depth == 0:
                return rest[1:index]
    return None


def _text(output: Any) -> str:
    if isinstance(output, list | tuple):
        return ", ".join(map(_text, output[:100]))
    try:
        return "" if output is None else str(output)
    except ValueError:  # Python writes no number of thousands of digits
        return ""
