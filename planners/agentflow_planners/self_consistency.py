"""Self-consistency: many chains of thought side by side, and the answer that most of them come to.

Source: Wang et al., Self-Consistency Improves Chain of Thought Reasoning in Language Models,
arXiv:2203.11171. Published figures (40 samples, PaLM 540B): GSM8K 74.4 against 56.5 for one greedy
chain; AQuA +12.2 points, SVAMP +11.0, StrategyQA +6.4, ARC-challenge +3.9.

What differs, and why:
- answers are compared as values: 18, 18.0 and "$18." are one answer, true is not 1, and the order of an
  object's keys does not matter;
- a tie is broken by a seeded choice, so a run can be repeated; the paper leaves it open;
- samples can be drawn in waves, which stop when the leading answer cannot be caught any more: the same
  answer as with all samples for less (compare Aggarwal et al., arXiv:2305.11860, who stop earlier, on a
  bet);
- the share of the winner is noted as the confidence, and the planner may abstain below one.
"""

import random
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Context
from typing import Annotated, Any

from pydantic import Field

from agentflow import BranchFailure, Result, Task, flow, note, parallel
from agentflow.errors import BudgetExceededError, ExpansionError, MalformedReplyError
from agentflow_planners.cot import Worked, reasoned
from agentflow_planners.functions.consensus import cannot_be_caught
from agentflow_planners.shared.sampling import sample_options

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

NO_VOTE = (ExpansionError, MalformedReplyError, BudgetExceededError)
NINE_DIGITS = Context(prec=9)
MAX_AMOUNT_CHARS = 40
_AMOUNT = re.compile(r"[$€£]?\s*(-?[\d,]*\.?\d+)\s*%?\.?")


@flow
async def self_consistency(
    task: Task,
    *,
    samples: Count = 10,
    wave: Count | None = None,
    temperature: Annotated[float, Field(ge=0)] | None = None,
    abstain_below: Share = 0.0,
    seed: int = 0,
    examples: tuple[Worked, ...] = (),
) -> Result:
    """Answer by the majority of independent chains of thought.

    Args:
        task: An output schema with short fields gives answers that can agree; free text seldom does.
        samples: How many chains at most.
        wave: How many at a time, stopping when the leader cannot be caught; None draws all at once.
        temperature: None: the hosted model's own, 0.7 for a local one.
        abstain_below: The smallest share of the chains drawn that the winner must have.
        seed: Breaks ties.
        examples: Worked examples to show before the task.

    Raises:
        ExpansionError: The winner has too small a share.
        AgentflowError: No chain came to an answer: what the first of them raised.
    """
    answers: list[Any] = []
    failures: list[Exception] = []
    while (drawn := len(answers) + len(failures)) < samples:
        size = min(wave or samples, samples - drawn)
        chains = (chain(task, drawn + index, temperature, examples) for index in range(size))
        for outcome in await parallel(chains, collect=True):
            _sort_in(outcome, answers, failures)
        sizes = [len(ballot.voters) for ballot in ballots(answers)]
        if cannot_be_caught(sizes, samples - len(answers) - len(failures)):
            break
    if not answers:
        raise failures[0]
    return Result(output=_elected(answers, len(failures), abstain_below, seed))


@flow
async def chain(
    task: Task, number: int, temperature: float | None, examples: tuple[Worked, ...]
) -> Any:
    """Come to an answer by one chain of thought, the `number`-th sample."""
    return await reasoned(task, examples, **await sample_options(number, temperature))


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


def _sort_in(outcome: Any, answers: list[Any], failures: list[Exception]) -> None:
    if not isinstance(outcome, BranchFailure):
        answers.append(outcome)
    elif isinstance(outcome.error, NO_VOTE):
        failures.append(outcome.error)
    else:
        raise outcome.error


def _elected(answers: list[Any], failed: int, abstain_below: float, seed: int) -> Any:
    found, drawn = ballots(answers), len(answers) + failed
    leaders = [ballot for ballot in found if len(ballot.voters) == len(found[0].voters)]
    winner = random.Random(seed).choice(leaders)  # noqa: S311 - a tie needs a repeatable choice
    confidence = len(winner.voters) / drawn
    note(
        f"{len(winner.voters)} of {drawn} chains came to the answer"
        + (f", {len(leaders)} answers were level" if len(leaders) > 1 else "")
        + (f", {failed} gave none" if failed else ""),
        confidence=confidence,
        votes=[len(ballot.voters) for ballot in found],
    )
    if confidence < abstain_below:
        problem = (
            f"the best answer has {confidence:.0%} of the chains, less than {abstain_below:.0%}"
        )
        raise ExpansionError(step="self_consistency", problem=problem)
    return winner.answer
