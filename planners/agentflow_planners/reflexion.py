"""Try, evaluate, say in words what went wrong, and try again with these words in mind.

Source: Shinn et al., Reflexion: Language Agents with Verbal Reinforcement Learning, arXiv:2303.11366.
Cost: tens of calls: trials x (attempt + judgement + lesson), and 1 for tests of code.
Needs: a sandbox for code.
Published: HumanEval 91.0, MBPP 77.1 (GPT-4, as a baseline of FunCoder); HumanEval 69.5, MBPP 72.5
  (GPT-3.5, the same).

What differs, and why:
- the evaluator never sees the truth. Code runs on its doc examples and on tests that the model made
  for it, as in the paper; every other answer is judged by the model itself, since the paper's
  evaluators (exact match, the environment's success) would tell what is to be found out;
- code runs in a sandbox, one fresh process a version, and what is expected is evaluated apart from it;
- of several tries the one that passes most is the answer, the later one among equals; the paper takes
  the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentflow import Message, Result, Task, flow, generate, note
from agentflow.errors import ExpansionError, MalformedReplyError
from agentflow_planners.functions.asking import tests_asked
from agentflow_planners.functions.assignment import Assignment, is_code_task
from agentflow_planners.functions.calls.examples import examples_of
from agentflow_planners.functions.candidates import (
    Candidate,
    Sampling,
    Unfinished,
    greedy,
    repaired,
    sampled,
)
from agentflow_planners.functions.verifying import Suite, suite_of, verified
from agentflow_planners.shared.acting import SYSTEM, act, tools_of
from agentflow_planners.shared.answers import final_answer, whole_answer
from agentflow_planners.shared.judging import MAX_ANSWER_CHARS, judged
from agentflow_planners.shared.thinking import thinking
from agentflow_planners.shared.values import Count, Number
from agentflow_planners.shared.wording import happened, question, shown, statement

MAX_TOLD = 5

REFLECT = """\
In two or three sentences: what went wrong, and what is to be done differently next time? Do not solve \
the task now."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: its answer, the share of the evaluation it passed, and what there was to find fault with."""

    answer: Any
    share: float
    feedback: str
    has_answer: bool = True


class Actor(Protocol):
    """Who tries, and how it is evaluated."""

    async def attempt(self, lessons: Sequence[str]) -> Attempt:
        """Make the next attempt, with lessons of earlier ones."""
        ...


@flow
async def reflexion(
    task: Task,
    *,
    trials: Count = 4,
    memory: Count = 3,
    tests: Number = 6,
    turns: Count = 12,
) -> Result:
    """Try up to `trials` times, each time with what was learnt from the failures before.

    Args:
        task: With an input `code`, the last unwritten function of that Python is to be written, and the
            answer is the whole module's source.
        trials: How many attempts at most.
        memory: How many of the latest lessons an attempt is given.
        tests: How many tests the model makes for code; doc examples come on top.
        turns: How many turns an attempt with tools has.

    Raises:
        ExpansionError: No attempt gave an answer.
        InputError: `code` is no Python, holds no unwritten function, or comes with tools.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    actor: Actor = _InWords(task, turns)
    if is_code_task(task):
        actor = await _InCode.of(task, tests)
    lessons: list[str] = []
    best: Attempt | None = None
    for number in range(trials):
        attempt = await actor.attempt(lessons[-memory:])
        if attempt.has_answer and (best is None or attempt.share >= best.share):
            best = attempt
        if attempt.share == 1.0:
            break
        note(f"attempt {number + 1} failed: {attempt.feedback}", share=attempt.share)
        if number + 1 < trials:
            lessons.append(await _lesson(task, attempt))
    if best is None:
        problem = f"none of {trials} attempts gave an answer; the last: {attempt.feedback}"
        raise ExpansionError(step="reflexion", problem=problem)
    return Result(output=best.answer)


async def _lesson(task: Task, attempt: Attempt) -> str:
    parts = [statement(task)]
    if attempt.has_answer:
        parts.append(f"Your answer was:\n{shown(attempt.answer, MAX_ANSWER_CHARS)}")
    parts += [f"It failed:\n{attempt.feedback}", REFLECT]
    return (await generate("\n\n".join(parts))).text.strip()


class _InWords:
    """Answers by chain of thought, or by acting where there are tools; the model judges."""

    def __init__(self, task: Task, turns: int) -> None:
        self._task, self._turns = task, turns
        self._effects: list[str] = []

    async def attempt(self, lessons: Sequence[str]) -> Attempt:
        task = _with_lessons(self._task, [*lessons, happened(self._effects)])
        try:
            answer = await self._answer(task)
        except (ExpansionError, MalformedReplyError) as error:
            return Attempt(None, 0.0, error.problem, has_answer=False)
        verdict = await judged(self._task, answer)
        return Attempt(answer, float(verdict.correct), verdict.reason)

    async def _answer(self, task: Task) -> Any:
        tools = tools_of(task)
        if not tools:
            conversation = thinking(task)
            reply = await generate(conversation)
            return await final_answer(task, conversation, reply.text)
        start = [Message(role="system", text=SYSTEM), Message(role="user", text=question(task))]
        said, text = await act(
            start, tools, turns=self._turns, step="reflexion", effects=self._effects
        )
        return await whole_answer(task, said, text)


def _with_lessons(task: Task, lessons: Sequence[str]) -> Task:
    told = "\n".join(f"- {lesson}" for lesson in lessons if lesson)
    if not told:
        return task
    context = f"{task.context}\nKeep in mind from earlier attempts:\n{told}".strip()
    return task.model_copy(update={"context": context})


class _InCode:
    """Writes the last unwritten function of a module; tests judge, or the model where there are none."""

    def __init__(self, task: Task, unfinished: Unfinished, suite: Suite) -> None:
        self._task, self._unfinished, self._suite = task, unfinished, suite
        self._last: Candidate | None = None
        self._feedback = ""
        self._unread = 0  # replies so far that were no version of the function

    @classmethod
    async def of(cls, task: Task, tests: int) -> "_InCode":
        unfinished = Assignment(task).unfinished
        told = examples_of(unfinished.node)
        known = {example.call for example in told}
        made = [item for item in await tests_asked(unfinished, tests) if item.call not in known]
        return cls(task, unfinished, await suite_of(unfinished.node, [*told, *made]))

    async def attempt(self, lessons: Sequence[str]) -> Attempt:
        found = await self._written(lessons)
        if not found:
            self._unread += 1
            feedback = "the reply does not write the function as it is declared"
            return Attempt(None, 0.0, feedback, has_answer=False)
        self._last = found[0]
        share, self._feedback = await self._evaluated(found[0])
        return Attempt(found[0].source, share, self._feedback)

    async def _written(self, lessons: Sequence[str]) -> list[Candidate]:
        if self._last is None:
            if self._unread == 0:
                return await greedy(self._unfinished)
            return await sampled(self._unfinished, Sampling(), count=1, first=self._unread)
        learnt = "\n".join(f"- {lesson}" for lesson in lessons if lesson)
        problem = f"{self._feedback}\nKeep in mind from earlier attempts:\n{learnt}"
        return await repaired(self._unfinished, self._last, problem)

    async def _evaluated(self, candidate: Candidate) -> tuple[float, str]:
        if not self._suite.examples:
            verdict = await judged(self._task, candidate.source)
            return float(verdict.correct), verdict.reason
        (problems,) = await verified([candidate], self._suite)
        told = [problem for problem in problems if problem]
        return 1 - len(told) / len(problems), "\n".join(list(dict.fromkeys(told))[:MAX_TOLD])
