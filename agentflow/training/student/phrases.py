"""Phrases and words of a data set that become one token each: what an environment says again and again.

Owns the choice. A student reads a fixed description in one step, and its memory keeps what varies. A phrase ends at a
sentence's end, at a digit and at a name, which is a word that replies often say in quotes and no little word of
English: what a reply names has the same tokens everywhere.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from agentflow.training.student.conversations import Conversation

LEAST_SEEN = 20
LITTLE = frozenset(
    {
        *("a", "an", "and", "at", "by", "for", "from", "in", "is", "it"),
        *("no", "not", "of", "on", "or", "that", "the", "to", "with"),
    }
)
NAMED_SHARE = 0.06  # of a word's uses outside of replies: so many in quotes make it a name
WORD = re.compile("[A-Za-z]+")
_QUOTED, _PART = re.compile(r'"([^"\n]*)"'), re.compile("[A-Za-z]+|[^A-Za-z]+?")
_ENDS = re.compile(r"[.!?] $|\n$")


def phrases(conversations: Sequence[Conversation], most: int) -> list[str]:
    """Return up to `most` phrases of two words or more, those that save the most tokens first."""
    names = _named(conversations)
    counts: Counter[str] = Counter()
    for conversation in conversations:
        for message in conversation.messages:
            is_reply = message.role == "assistant"
            for text in _outside_quotes(message.text) if is_reply else [message.text]:
                counts.update(_runs(text, names))
    saved = {
        text: (len(_PART.findall(text)) - 1) * count
        for text, count in counts.items()
        if count >= LEAST_SEEN and len(WORD.findall(text)) > 1
    }
    return sorted(saved, key=lambda text: (-saved[text], text))[:most]


def frequent_words(conversations: Sequence[Conversation], most: int) -> list[str]:
    """Return up to `most` words that stand in the most conversations."""
    counts: Counter[str] = Counter()
    for conversation in conversations:
        texts = (message.text for message in conversation.messages)
        counts.update({word for text in texts for word in WORD.findall(text)})
    found = [word for word, count in counts.items() if count >= LEAST_SEEN and len(word) > 1]
    return sorted(found, key=lambda word: (-counts[word], word))[:most]


def _named(conversations: Iterable[Conversation]) -> frozenset[str]:
    """Return the words that are names."""
    quoted, elsewhere = Counter[str](), Counter[str]()
    for message in (message for one in conversations for message in one.messages):
        if message.role == "assistant":
            quoted.update(WORD.findall(" ".join(_QUOTED.findall(message.text))))
        else:
            elsewhere.update(WORD.findall(message.text))
    return frozenset(
        word
        for word, count in quoted.items()
        if count >= NAMED_SHARE * elsewhere[word] and word not in LITTLE
    )


def _outside_quotes(reply: str) -> list[str]:
    """Return what a reply says around its quoted texts, quotes included: what is in them is a name, whatever it is elsewhere."""
    parts = reply.split('"')
    last = len(parts) - 1
    return [
        '"' * (at > 0) + part + '"' * (at < last) for at, part in enumerate(parts) if at % 2 == 0
    ]


def _runs(text: str, names: frozenset[str]) -> list[str]:
    """Return the longest pieces of the sentences of a text without names and digits."""
    found, run = list[str](), list[str]()
    for part in _PART.findall(text):
        is_name = part in names or part.isdigit()
        if not is_name:
            run.append(part)
        if is_name or _ENDS.search("".join(run[-2:])):
            found.append("".join(run))
            run = []
    return [*filter(None, found), "".join(run)]
