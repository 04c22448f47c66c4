"""Try a function directly, verify it, and divide it only when that fails.

Source: PaT: Planning-after-Trial, ACL 2026, arXiv:2605.07248.
Cost: tens of calls: up to `tries`, and as many as `funcoder` where these do not agree.
Needs: a sandbox.
Published: average of HumanEval, HumanEval+, MBPP and MBPP+ 85.58 at 5.00 times the cost of one call, FunCoder
  83.82 at 9.43 times (Qwen3-8B).

What differs: versions are drawn a few at a time and no more than needed. A version is accepted once it
passes every doc example and leads the other groups by `lead` votes, or cannot be caught any more; the
paper always draws five and lets generated assertions decide. What was drawn is kept for the consensus
when the function is divided after all.
"""

from agentflow import Result, Task, flow, note
from agentflow_planners.functions.assignment import Assignment
from agentflow_planners.functions.candidates import (
    Candidate,
    Unfinished,
    drafted,
    greedy,
    sampled,
    versions,
)
from agentflow_planners.functions.choosing import Court, Decision, Judging
from agentflow_planners.functions.consensus import cannot_be_caught
from agentflow_planners.functions.dividing import Policy, Written, divide, mended, verdict


@flow
async def try_first(
    task: Task,
    *,
    tries: int = 5,
    lead: int = 2,
    samples: int = 5,
    levels: int = 3,
    repairs: int = 1,
    temperature: float | None = None,
    seed: int = 0,
    calls: int = 24,
    abstain_below: float = 0.0,
) -> Result:
    """Write the function that a task is about, spending more only where the first tries disagree.

    Args:
        task: As for `funcoder`.
        tries: How many direct versions are drawn at most before the function is divided.
        lead: By how many votes the leading group must lead to be accepted earlier.
        samples: Versions of each function once it is divided.
        levels: How deep functions are divided.
        repairs: How often a winner that fails an example goes back to the model.
        temperature: Of the versions after the first; None: a hosted model's own, 0.8 for a local one.
        seed: Of the samples, the inputs and the ties.
        calls: How many calls the versions of a function are compared on.
        abstain_below: The share of agreement under which no answer is given.

    Raises:
        InputError: The task names no function to write.
        ExpansionError: No version works, or too few agree.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    assignment = Assignment(task)
    policy = Policy(
        samples=samples,
        levels=levels,
        repairs=repairs,
        temperature=temperature,
        abstain_below=abstain_below,
        judging=Judging(calls=calls, ask=False, seed=seed),
    )
    trial = _Trial(assignment.unfinished, policy, assignment.calls, tries=tries, lead=lead)
    return await assignment.answer((await trial.carry_out()).candidate)


class _Trial:
    """The direct tries of one function, and what follows when they fail."""

    def __init__(
        self,
        unfinished: Unfinished,
        policy: Policy,
        calls: tuple[str, ...],
        *,
        tries: int,
        lead: int,
    ) -> None:
        self._unfinished, self._policy = unfinished, policy
        self._tries, self._lead = tries, lead
        self._court = Court(unfinished, policy.judging, calls)

    async def carry_out(self) -> Written:
        await self._court.open()
        is_whole = all(helper.is_written for helper in self._unfinished.helpers)
        decision = await self._tried() if is_whole else Decision(winner=None, confidence=0.0)
        if self._is_accepted(decision, left=0):
            return verdict(self._unfinished, decision, self._policy)
        decision = await mended(self._unfinished, self._court, decision, self._policy)
        if not decision.problem and decision.winner is not None and decision.passed == 1.0:
            return verdict(self._unfinished, decision, self._policy)
        note(f"{self._unfinished.node.name} is divided: {decision.problem or 'no agreement'}")
        return verdict(self._unfinished, await self._divided(), self._policy)

    async def _tried(self) -> Decision:
        """Draw one version, then one more at a time, until one is accepted."""
        decision = await self._court.judge(await greedy(self._unfinished))
        for number in range(1, self._tries):
            if self._is_accepted(decision, left=self._tries - number):
                break
            more = await sampled(self._unfinished, self._policy.sampling, count=1, first=number)
            decision = await self._court.judge(more)
        return decision

    def _is_accepted(self, decision: Decision, *, left: int) -> bool:
        if decision.winner is None or decision.passed not in (None, 1.0) or decision.problem:
            return False
        votes = (*decision.votes, 0)
        ahead = votes[0] - max(votes[1:])
        return ahead >= self._lead or cannot_be_caught(decision.votes, left)

    async def _divided(self) -> Decision:
        """Divide the function; choose among its versions and the direct ones."""
        draft, with_helpers = await divide(self._unfinished, self._policy, level=0)
        first: list[Candidate] = []
        if draft is not None:
            first += drafted(draft, with_helpers)
        if with_helpers.helpers != self._unfinished.helpers:
            count = self._policy.samples - 1
            first += await versions(with_helpers, self._policy.sampling, count=count)
        decision = await self._court.judge(first)
        return await mended(with_helpers, self._court, decision, self._policy)
