"""Self-consistency: many chains of thought side by side, and the answer that most of them come to.

Source: Wang et al., Self-Consistency Improves Chain of Thought Reasoning in Language Models,
  arXiv:2203.11171.
Cost: tens of calls: up to `samples`, fewer with `wave`.
Needs: nothing.
Published: GSM8K 17.9 points more than one chain; SVAMP 11.0 more; AQuA 12.2 more; StrategyQA 6.4 more;
  ARC-challenge 3.9 more.

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
from typing import Annotated, Any

from pydantic import Field

from agentflow import BranchFailure, Result, Task, flow, note, parallel
from agentflow.errors import BudgetExceededError, ExpansionError, MalformedReplyError
from agentflow_planners.functions.consensus import cannot_be_caught
from agentflow_planners.shared.sampling import sample_options
from agentflow_planners.shared.thinking import Worked, reasoned
from agentflow_planners.shared.values import Count
from agentflow_planners.shared.votes import ballots

Share = Annotated[float, Field(ge=0, le=1)]

NO_VOTE = (ExpansionError, MalformedReplyError, BudgetExceededError)


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
