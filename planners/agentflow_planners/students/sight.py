"""What the texts in a reply may say: anything, or what stands before the model's eyes.

Owns which phrases those are. A small model that copies a name it has never met begins it rightly and then strays; held to
what is in sight, it can only go on with that name.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from agentflow import Tool
from agentflow_planners.students.grammars import Phrases, Sight
from agentflow_planners.students.prompts import DONE

Texts = Literal["free", "in_sight"]
LONGEST = 5  # words of a phrase
_WORD = r"[A-Za-z0-9]+(?:['-][A-Za-z0-9]+)*"
_RUN = re.compile(rf"{_WORD}(?: {_WORD})*")
_ARTICLE = re.compile(r"\b(?:a|an|the|some) ")
_EXAMPLE = re.compile(r"`([^`]+)`")
_JOINTS = ("at", "from", "in", "into", "on", "to", "with")
_TIES = frozenset({"of", "your"})  # what stands before them and behind them is one phrase


def in_sight(texts: Texts, said: Iterable[str], examples: Sequence[str]) -> Sight | None:
    """Return what texts may be made of, or None if of anything.

    Phrases are words that stand one after the other in the conversation, with articles or without, or in the examples of the
    tools' descriptions; the first words of examples are verbs: `take coin` means that `take` goes with any thing.
    """
    if texts == "free":
        return None
    phrases = Phrases()
    phrases.after(DONE).may_end = True
    for text in (*said, *examples):
        for words in (*_runs(text), *_runs(_ARTICLE.sub("", text))):
            _add(phrases, words)
    verbs = dict.fromkeys(example.split()[0] for example in examples)
    return Sight(list(verbs), phrases, _JOINTS)


def examples_of(tools: Iterable[Tool[..., Any]]) -> list[str]:
    """Return the examples in the tools' descriptions: what stands there in backticks."""
    return [found for tool in tools for found in _EXAMPLE.findall(tool.description)]


def _runs(text: str) -> Iterator[list[str]]:
    """Yield words with nothing but one space between them."""
    return (run.split(" ") for run in _RUN.findall(text))


def _add(phrases: Phrases, words: Sequence[str]) -> None:
    for start in range(len(words)):
        place = phrases
        for at in range(start, min(start + LONGEST, len(words))):
            place = place.after(words[at])
            place.may_end |= _TIES.isdisjoint(words[at : at + 2])
