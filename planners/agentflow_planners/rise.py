"""Answer by turns, each looking again at the attempts before it; stop at a right one, or vote.

Source: Qu et al., Recursive Introspection: Teaching Language Model Agents How to Self-Improve (RISE),
    arXiv:2407.18219.
Cost: a few calls: 1 + (turns - 1) x samples.
Needs: nothing.
Published: none that were checked.

The first turn is the model's own attempt; every later one is shown the task and the last `window`
attempts and is asked to correct itself. With a verifier the first right answer ends it, and it picks the
best of several samples; without one, or when no answer is right, the attempts vote.

The paper trains a model on such rollouts: each attempt that improves on those before it, weighted by
exp(reward / tau). Here a run is the rollout. An attempt is a step of its own, whose note has its reward
and its weight; one that improves on nothing is noted as a version that failed. So `agentflow pairs --only
all-model-calls` takes just the improving ones, each with the attempts before it in the prompt.

What differs, and why:
- the verifier is a scorer by name, as in a task's `check`; what it says never reaches the model, since
  the words of a scorer may hold the answer;
- where it gives shares instead of yes or no, only the attempts with the highest one vote;
- `agentflow pairs` has a reward a run, not a pair: weights stand in the notes of the step above the call
  that a line's metadata names, and with `trajectory` in the answer. Training is no part of this.
"""

import math
from typing import Annotated, Any

from pydantic import Field

from agentflow import Message, Named, Result, Task, check, flow, generate, note, parallel
from agentflow.data import Data
from agentflow.errors import ExpansionError
from agentflow_planners.shared.answers import read_as, stated, wanted_form
from agentflow_planners.shared.fusing import vote
from agentflow_planners.shared.replies import exchange
from agentflow_planners.shared.sampling import first_options, sample_options
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import cut, statement

MAX_ATTEMPT_CHARS = 8_000

SYSTEM = "Reason step by step before you answer."
AGAIN = (
    "Look at this attempt again. Check each step of it; where something is wrong, say what, and solve "
    "the task anew. {form}"
)


class Attempt(Frozen):
    """What one reply came to; `weight` is exp(reward / tau), both None where nothing verifies."""

    turn: int
    text: str
    answer: Data = None
    has_answer: bool = False
    reward: float | None = None
    weight: float | None = None
    is_right: bool = False
    improves: bool = False


class Job(Frozen):
    """What stays the same for all attempts."""

    task: Task
    verify: Named | None
    tau: float


@flow
async def rise(
    task: Task,
    *,
    turns: Count = 5,
    window: Number = 2,
    samples: Count = 1,
    verify: Named | None = None,
    tau: Annotated[float, Field(ge=0.01)] = 1.0,
    trajectory: bool = False,
) -> Result:
    """Attempt the task by turns until one attempt is right; else elect the answer given most often.

    Args:
        task: Its output schema shapes the answers, not the reasoning.
        turns: How many at most.
        window: How many earlier attempts a turn is shown, the last ones.
        samples: Attempts of each turn after the first, side by side; the best of them goes on.
        verify: The scorer that says whether an answer is right, and its options.
        tau: Of the weights; a smaller one prefers right attempts more.
        trajectory: Answer with an object: `answer`, and `turns` with answers, rewards and weights.

    Raises:
        ExpansionError: No attempt states an answer.
        ModelError: A call failed for good.
    """
    job = Job(task=task, verify=verify, tau=tau)
    every: list[Attempt] = []
    path: list[Attempt] = []  # what the next turn may see: the best attempt of each
    for turn in range(1, turns + 1):
        best = max((each.reward or 0.0 for each in every), default=0.0)
        said = _conversation(task, path[-window:] if window else [])
        first = 0 if turn == 1 else 1 + (turn - 2) * samples
        found = await parallel(
            attempt.named(f"turn {turn}.{number}")(job, said, turn, number, best)
            for number in range(first, first + (1 if turn == 1 else samples))
        )
        every += found
        path.append(max(found, key=lambda each: (each.reward or 0.0, each.has_answer)))
        if path[-1].is_right:
            break
    answer = path[-1].answer if path[-1].is_right else await _elected(every)
    if not trajectory:
        return Result(output=answer)
    rows = [each.model_dump(exclude={"text"}) for each in every]
    return Result(output={"answer": answer, "turns": rows})


@flow
async def attempt(
    job: Job, said: tuple[Message, ...], turn: int, number: int, best: float
) -> Attempt:
    """Make the `number`-th attempt of all; `best` is the highest reward of the turns before."""
    reply = await generate(said, **await (sample_options(number) if number else first_options()))
    made = _read(job.task, reply.text, turn)
    if job.verify is None:
        return made
    verdict = await check(made.answer, job.verify) if made.has_answer else None
    reward = verdict.value if verdict else 0.0
    judged = made.model_copy(
        update={
            "reward": reward,
            "weight": math.exp(reward / job.tau),
            "is_right": verdict is not None and verdict.passed,
            "improves": reward > best,
        }
    )
    # A version that failed, in the words that a training export knows: it is not to be learned.
    became = "improves" if judged.improves else f"version {turn} of answer failed to improve"
    note(f"{became}: reward {reward:g} after {best:g}", turn=turn, reward=reward, weight=judged.weight)  # fmt: skip
    return judged


def _conversation(task: Task, earlier: list[Attempt]) -> tuple[Message, ...]:
    form = wanted_form(task)
    said = [Message(role="system", text=SYSTEM)]
    said.append(Message(role="user", text=f"{statement(task)}\n\n{form}"))
    for each in earlier:
        text = cut(each.text.strip() or "(nothing)", MAX_ATTEMPT_CHARS)
        said += exchange(text, AGAIN.format(form=form))
    return tuple(said)


def _read(task: Task, text: str, turn: int) -> Attempt:
    """Return the attempt that a reply is; one without an answer has no vote, and no further call."""
    answer: Any = stated(text) or text.strip()
    has_answer = bool(answer)
    if task.output_schema is not None:
        try:
            answer, has_answer = read_as(text, task.output_schema), True
        except ValueError:
            answer, has_answer = None, False
    return Attempt(turn=turn, text=text, answer=answer, has_answer=has_answer)


async def _elected(every: list[Attempt]) -> Data:
    """Return the answer given most often among those with the highest reward."""
    answered = [each for each in every if each.has_answer]
    if not answered:
        problem = f"none of {len(every)} attempts states an answer of the wanted form"
        raise ExpansionError(step="rise", problem=problem)
    highest = max(each.reward or 0.0 for each in answered)
    election = await vote(
        tuple(each.answer for each in answered if (each.reward or 0.0) == highest)
    )
    return election.winner
