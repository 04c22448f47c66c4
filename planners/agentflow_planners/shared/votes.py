"""Which answers are the same, and how many votes each has.

Owns the comparison of answers as values, for every planner that votes. Knows no model.
"""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Context
from typing import Any

NINE_DIGITS = Context(prec=9)
MAX_AMOUNT_CHARS = 40
_AMOUNT = re.compile(r"[$€£]?\s*(-?[\d,]*\.?\d+)\s*%?\.?")


@dataclass(frozen=True, slots=True)
class Ballot:
    """One answer, as it was first given, and the numbers of the chains that came to it."""

    answer: Any
    voters: tuple[int, ...]


def ballots(answers: Sequence[Any]) -> list[Ballot]:
    """Return the different answers, most votes first, then in the order of their first vote."""
    voters: dict[Hashable, list[int]] = {}
    for number, answer in enumerate(answers):
        voters.setdefault(same_key(answer), []).append(number)
    found = [Ballot(answers[numbers[0]], tuple(numbers)) for numbers in voters.values()]
    return sorted(found, key=lambda ballot: -len(ballot.voters))


def same_key(value: Any) -> Hashable:
    """Return what two answers have in common exactly when they are the same answer.

    Numbers are equal by value to nine digits, also as text with a currency or per cent sign; other
    text is compared without regard to case, spaces and a full stop at the end.
    """
    if isinstance(value, bool) or value is None:
        return ("constant", value)
    if isinstance(value, int | float):
        return ("number", str(NINE_DIGITS.create_decimal(value).normalize(NINE_DIGITS)))
    if isinstance(value, str):
        amount = _AMOUNT.fullmatch(value.strip()) if len(value) <= MAX_AMOUNT_CHARS else None
        if amount:
            return same_key(float(amount[1].replace(",", "")))
        return ("text", " ".join(value.split()).rstrip(".").casefold())
    if isinstance(value, list | tuple):
        return ("list", tuple(same_key(item) for item in value))
    if isinstance(value, dict):
        return ("object", frozenset((name, same_key(item)) for name, item in value.items()))
    return ("other", repr(value))
