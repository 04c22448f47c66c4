"""Judge answers by criteria, one call for as many criteria as are given.

Owns the prompt, the form of an opinion, and points as shares from 0 to 1. An answer is judged alone, or
beside another one in both orders, since judges prefer a place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from agentflow_evals.scorers.judging.asking import Judge, quoted
from agentflow_evals.suite import Value

REASON_CHARACTERS = 600  # of a judge that goes on and on, for the others to read
Order = Literal["alone", "first", "second"]  # where the answer stands beside the other one


class Criterion(Value):
    """One thing to judge by, for 1 to `points` points; `weight` is its part of the whole."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,59}$")
    question: str = Field(min_length=1, pattern=r"\S")
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    points: int = Field(default=5, ge=2, le=100)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is judged: texts as the judge reads them; empty where there is none."""

    answer: str
    task: str = ""
    reference: str = ""
    against: str = ""

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders in which it is judged."""
        return ("first", "second") if self.against else ("alone",)

    def blocks(self, order: Order) -> dict[str, str]:
        """Return the texts by title."""
        blocks = {"task": self.task} if self.task else {}
        if self.reference:
            blocks["reference answer"] = self.reference
        if order == "alone":
            return {**blocks, "answer": self.answer}
        pair = (self.answer, self.against)
        first, second = pair if order == "first" else pair[::-1]
        return {**blocks, "answer A": first, "answer B": second}


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What one call said of one criterion: `share` from 0 to 1, beside another answer 0.5 is equal."""

    criterion: Criterion
    order: Order
    share: float
    said: str
    reason: str

    @property
    def line(self) -> str:
        """It in a line, for other judges to read."""
        return f"{self.criterion.name}: {self.said}: {self.reason}"


async def opinions(
    judge: Judge,
    case: Case,
    criteria: Sequence[Criterion],
    *,
    order: Order,
    vote: int = 0,
    heard: Sequence[Opinion] = (),
) -> list[Opinion]:
    """Return what one call says of each criterion; `heard` is what other judges said before.

    Raises:
        EvaluationError: The judge gives no opinion.
        ModelError: The call failed.
    """
    prompt = _prompt(case, criteria, order, heard)
    found = await judge.ask(prompt, _schema(criteria, order), vote)
    return [_opinion(criterion, order, found[criterion.name]) for criterion in criteria]


def _prompt(
    case: Case, criteria: Sequence[Criterion], order: Order, heard: Sequence[Opinion]
) -> str:
    blocks = case.blocks(order)
    if heard:
        blocks["opinions of other judges"] = "\n".join(opinion.line for opinion in heard)
    asked = "\n".join(
        f"- {item.name} (1 to {item.points} points): {item.question}" for item in criteria
    )
    if order == "alone":
        what = "Judge the answer"
    else:
        what = "Judge answer A and answer B, each on its own merits"
    again = (
        "Other judges have given opinions; weigh them, agree or not, and judge anew.\n"
        if heard
        else ""
    )
    return (
        f"{quoted(blocks)}\n\n{again}{what} by each of these criteria, 1 being the worst:\n{asked}"
    )


def _schema(criteria: Sequence[Criterion], order: Order) -> dict[str, Any]:
    keys = ("points",) if order == "alone" else ("points_a", "points_b")
    return closed({item.name: _form(item, keys) for item in criteria})


def _form(criterion: Criterion, keys: Sequence[str]) -> dict[str, Any]:
    points = {"type": "integer", "enum": list(range(1, criterion.points + 1))}
    return closed({"reason": {"type": "string"}, **dict.fromkeys(keys, points)})


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with these properties, all of them and no other."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _opinion(criterion: Criterion, order: Order, found: dict[str, Any]) -> Opinion:
    most = criterion.points
    if order == "alone":
        share, said = _share(found["points"], most), f"{found['points']} of {most}"
    else:
        a, b = found["points_a"], found["points_b"]
        own, other = (a, b) if order == "first" else (b, a)
        share = 0.5 + (_share(own, most) - _share(other, most)) / 2
        said = f"A {a}, B {b} of {most}"
    reason = " ".join(found["reason"].split())[:REASON_CHARACTERS]
    return Opinion(criterion=criterion, order=order, share=share, said=said, reason=reason)


def _share(points: int, most: int) -> float:
    return (points - 1) / (most - 1)
