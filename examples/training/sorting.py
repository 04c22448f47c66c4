"""A source of traces and a suite for one small skill: put digits in order.

Every tenth order of digits is kept for the suite, so a model is tried on questions it has never seen.
"""

import random
import zlib
from collections.abc import Iterator

from agentflow_evals.suite import Sample, Suite

from agentflow import Task
from agentflow.models.protocol import Message
from agentflow.solving import Named
from agentflow.training.student import Conversation


def conversations(seed: int, count: int = 4000, most: int = 6) -> Iterator[Conversation]:
    """Yield `count` questions with their answers, of up to `most` digits."""
    draw = random.Random(seed)
    for digits in _drawn(draw, count, most, is_held_out=False):
        said = Message(role="user", text=_question(digits))
        reply = Message(role="assistant", text=_answer(digits))
        yield Conversation(messages=(said, reply), group=f"{len(digits)} digits")


class Sorting(Suite):
    """Digits to put in order, none of them in the training data."""

    def __init__(self, count: int = 50, most: int = 6) -> None:
        self.count, self.most = count, most

    def samples(self) -> Iterator[Sample]:
        """Yield questions that `conversations` leaves out."""
        drawn = _drawn(random.Random(0), 4 * self.count, self.most, is_held_out=True)
        for digits in list(dict.fromkeys(drawn))[: self.count]:
            check = Named(name="exact", options={"equals": _answer(digits)})
            task = Task(goal=_question(digits))
            yield Sample(id=" ".join(digits), task=task, checks=(check,), group=str(len(digits)))


def _drawn(draw: random.Random, count: int, most: int, *, is_held_out: bool) -> Iterator[str]:
    while count:
        digits = "".join(draw.sample("0123456789", draw.randint(2, most)))
        if (zlib.crc32(digits.encode()) % 10 == 0) == is_held_out:
            count -= 1
            yield digits


def _question(digits: str) -> str:
    return f"Sort {' '.join(digits)}"


def _answer(digits: str) -> str:
    return " ".join(sorted(digits))
