"""Many answers to one task: drawn side by side, voted on, ranked, and fused into one.

Owns who is asked (`Voice`), what an answer among others is (`Candidate`) and the three ways from many to
fewer, each a small flow and so a step of the journal. Which answers are the same is
decided in votes.py. Knows no planner's order of these.
"""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field

from agentflow import BranchFailure, Task, flow, generate, note, parallel
from agentflow.data import Data
from agentflow.errors import ExpansionError, MalformedReplyError
from agentflow_planners.shared.sampling import LOCAL_TEMPERATURE, sample_options
from agentflow_planners.shared.values import Count as Count
from agentflow_planners.shared.values import Frozen
from agentflow_planners.shared.votes import ballots
from agentflow_planners.shared.wording import question, shown

T = TypeVar("T")

LOCAL = ("gguf", "recurrent")
NO_ANSWER = (ExpansionError, MalformedReplyError)
MAX_CANDIDATE_CHARS = 8_000

RANK = (
    "Rank these answers to the task by how right, complete and useful they are. Give the reason in one "
    "sentence, then the numbers of the answers, best first."
)
FUSE = (
    "Above are answers to one task. Some of what they say may be wrong or biased. Write one answer that "
    "keeps what is right in them and is better than each. Give that answer alone, as if it were the "
    "first: do not speak of the others."
)


class Voice(Frozen):
    """Which model is asked and how; what is left out is as the run has it."""

    model: str | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    max_tokens: Count | None = None

    def settings(self) -> dict[str, Any]:
        """Return the options of `generate` for one reply."""
        names = {"model", "temperature", "max_tokens"}
        return self.model_dump(include=names, exclude_none=True)

    async def sample(self, number: int) -> dict[str, Any]:
        """Return the options of `generate` for the `number`-th of several replies, from 0."""
        if self.model is None:
            return self.settings() | await sample_options(number, self.temperature)
        provider, colon, _name = self.model.partition(":")
        if colon and provider not in LOCAL:
            return self.settings() | {"cache": False}
        return {"temperature": LOCAL_TEMPERATURE, "seed": number} | self.settings()


class Candidate(Frozen):
    """One answer among others, and what a critic has said of it."""

    answer: Data
    critique: str = ""


class Election(Frozen):
    """Which answer was given most often; `is_level`: another one was given as often.

    `votes` are those of the different answers, most first; `share` is the winner's.
    """

    winner: Data
    votes: tuple[int, ...]
    share: float
    is_level: bool


@flow
async def vote(answers: Annotated[tuple[Data, ...], Field(min_length=1)]) -> Election:
    """Elect the answer given most often; among equals the one that was given first."""
    found = ballots(answers)
    votes = tuple(len(ballot.voters) for ballot in found)
    note(f"{votes[0]} of {len(answers)} votes for the winner", votes=list(votes))
    return Election(
        winner=found[0].answer,
        votes=votes,
        share=votes[0] / len(answers),
        is_level=votes.count(votes[0]) > 1,
    )


@flow
async def rank(
    task: Task, candidates: tuple[Candidate, ...], top_k: Count, voice: Voice
) -> tuple[Candidate, ...]:
    """Let a model put candidates in order, critiques in view; return the best `top_k`.

    Those that its ranking leaves out come last, in the order they had.

    Raises:
        MalformedReplyError: No reply was a ranking of these candidates.
        ModelError: The call failed for good.
    """
    if len(candidates) < 2:
        return candidates
    prompt = f"{question(task)}\n\n{listed(candidates)}\n\n{RANK}"
    order = await chosen_numbers(prompt, len(candidates), voice, least=1)
    left_out = [number for number in range(1, len(candidates) + 1) if number not in order]
    return tuple(candidates[number - 1] for number in [*order, *left_out][:top_k])


@flow
async def fuse(task: Task, candidates: tuple[Candidate, ...], voice: Voice, number: int = 0) -> Any:
    """Let a model write one answer out of candidates; `number` tells several such answers apart.

    Raises:
        ExpansionError: The reply is empty.
        MalformedReplyError: No reply had the wanted shape.
        ModelError: The call failed for good.
    """
    prompt = f"{question(task)}\n\n{listed(candidates)}\n\n{FUSE}"
    options = await voice.sample(number) if number else voice.settings()
    return await answer_to(task, prompt, options)


async def answer_to(task: Task, prompt: str, options: dict[str, Any]) -> Any:
    """Return the answer to a prompt, in the shape that the task wants.

    Raises:
        ExpansionError: The reply is empty.
        MalformedReplyError: No reply had the wanted shape.
        ModelError: The call failed for good.
    """
    if task.output_schema is not None:
        return await generate(prompt, output=task.output_schema, **options)
    text = (await generate(prompt, **options)).text.strip()
    if not text:
        raise ExpansionError(step="answer", problem="the model's reply is empty")
    return text


async def chosen_numbers(prompt: str, count: int, voice: Voice, *, least: int = 0) -> list[int]:
    """Return the different numbers from 1 to `count` that a reply lists, in its order.

    Raises:
        MalformedReplyError: No reply lists such numbers, at least `least` of them.
        ModelError: The call failed for good.
    """
    number = {"type": "integer", "minimum": 1, "maximum": count}
    numbers = {"type": "array", "items": number, "minItems": least, "maxItems": count}
    schema = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "numbers": numbers},
        "required": ["reason", "numbers"],
        "additionalProperties": False,
    }
    said = await generate(prompt, output=schema, **voice.settings())
    return list(dict.fromkeys(said["numbers"]))


async def surviving(branches: Iterable[Awaitable[T]], *, least: int = 1) -> list[T]:
    """Await branches side by side; return what those with an answer gave, and note the others.

    Raises:
        AgentflowError: Fewer than `least` have one: what the first of the others raised. Or a branch
            failed for another reason than its model's replies.
    """
    outcomes = await parallel(branches, collect=True)
    kept = [outcome for outcome in outcomes if not isinstance(outcome, BranchFailure)]
    failures = [outcome.error for outcome in outcomes if isinstance(outcome, BranchFailure)]
    for error in failures:
        if not isinstance(error, NO_ANSWER) or len(kept) < least:
            raise error
    if failures:
        note(f"{len(failures)} of {len(outcomes)} gave no answer; the first: {failures[0]}")
    return kept


def listed(candidates: Sequence[Candidate]) -> str:
    """Return candidates as text for a model, numbered from 1, each with its critique."""
    parts = []
    for number, candidate in enumerate(candidates, 1):
        parts.append(f"[{number}]\n{shown(candidate.answer, MAX_CANDIDATE_CHARS)}")
        if candidate.critique:
            parts.append(f"Of [{number}] a critic says:\n{candidate.critique}")
    return "\n\n".join(parts)
