"""A search in rounds: as many as wanted, while the budget covers another and the measure at the end.

Owns the trials of such a search and why it ended. Knows nothing of what a round does. Unlike `Search`, which
looks at the budget before each trial, it looks before each round, and a trial after the last one is made.
"""

from agentflow import Result
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import Cases
from agentflow_planners.optimising.purse import Purse
from agentflow_planners.optimising.scoring import evaluate
from agentflow_planners.optimising.searching import DONE, Trial, result_of, settle
from agentflow_planners.optimising.trying import KEPT


class Rounds:
    """The numbers of rounds, from 1, for `async for`; `stopped` says why they ended."""

    def __init__(self, cases: Cases, most: int) -> None:
        self.stopped = DONE
        self._cases, self._purse = cases, Purse(cases)
        self._trials: list[Trial] = []
        self._most, self._begun = most, 0

    def __aiter__(self) -> "Rounds":
        return self

    async def __anext__(self) -> int:
        if self._begun >= self._most:
            raise StopAsyncIteration
        if not await self._purse.covers():
            self.stopped = KEPT
            raise StopAsyncIteration
        self._begun += 1
        return self._begun

    async def tries(self, candidate: Candidate, thought: str) -> None:
        """Score a candidate on `select` and keep the trial; the first one is the base."""
        if not self._trials:
            await self._purse.covers()  # so that what the base costs is known
        score = await evaluate.named(f"select, {thought}")(candidate, self._cases.select)
        self._trials.append(Trial(candidate=candidate, score=score, thought=thought))

    async def settled(self) -> Result:
        """Return the best of what was tried, measured on the held-out cases, as a planner's result."""
        base = self._trials[0].candidate
        return result_of(await settle(base, self._trials, self._cases, self.stopped))
