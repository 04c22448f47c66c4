"""The answer's text mentions these facts, however it words the rest.

The loose accuracy of FanOutQA (Zhu et al., arXiv:2402.14116), without its lemmas: the share of the
reference's names and values that stand in the answer as whole words, whatever their case, punctuation
and the commas in numbers.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator

from agentflow_evals.scorer import Options, Score, read_options, shown

MOST_CHARACTERS = 1_000_000
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MARKS = re.compile(r"[^\w\s.$%]|\.(?!\d)")  # a point within a number stays


class MentionsOptions(Options):
    """`reference`: facts, as text, number or truth value, or lists and mappings of such.

    Keys and values of a mapping are both facts.
    """

    reference: Any = Field()

    @field_validator("reference")
    @classmethod
    def _says_something(cls, found: Any) -> Any:
        if not any(_plain(fact) for fact in _facts(found)):
            raise ValueError("it holds no fact")
        return found


async def mentions(output: Any, options: dict[str, Any]) -> Score:
    """Pass if every fact is there; the value is the share that is."""
    wanted = read_options(MentionsOptions, "mentions", options)
    said = f" {_plain(' '.join(_facts(output))[:MOST_CHARACTERS])} "
    facts = [fact for fact in _facts(wanted.reference) if _plain(fact)]
    missing = [fact for fact in facts if f" {_plain(fact)} " not in said]
    explained = "every fact is there"
    if missing:
        explained = f"{len(missing)} of {len(facts)} facts are missing, such as {shown(missing[0])}"
    return Score(passed=not missing, value=1 - len(missing) / len(facts), explanation=explained)


def _facts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:  # not recursive: the depth of an answer is the model's choice
        item = waiting.pop()
        if isinstance(item, dict):
            pairs = [part for pair in item.items() for part in pair]
            waiting.extend(reversed(pairs))
        elif isinstance(item, list | tuple):
            waiting.extend(reversed(item))
        elif isinstance(item, bool):
            yield "yes" if item else "no"
        elif item is not None:
            yield _written(item)


def _written(item: Any) -> str:
    if isinstance(item, float) and item.is_integer():
        return str(int(item))
    return item if isinstance(item, str) else shown(item)


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(character for character in folded if not unicodedata.combining(character))
    return " ".join(_MARKS.sub(" ", _THOUSANDS.sub("", bare)).split())
