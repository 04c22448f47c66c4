"""One search as it goes: what was tried, whether there is budget for more, and why it ended.

Owns the bookkeeping that every search does alike. Knows no way to find the next candidate.
"""

from agentflow import Result
from agentflow.errors import BudgetExceededError
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import Case, Cases
from agentflow_planners.optimising.purse import Purse
from agentflow_planners.optimising.scoring import Score, evaluate
from agentflow_planners.optimising.searching import DONE, Trial, is_on, result_of, settle

KEPT = "the rest of the budget was kept for the held-out cases"


class Search:
    """The trials of a search, the base first; `is_over` once the budget has ended it."""

    def __init__(self, base: Candidate, cases: Cases) -> None:
        self.base, self.cases = base, cases
        self.trials: list[Trial] = []
        self.stopped = DONE
        self._purse = Purse(cases)

    @property
    def is_over(self) -> bool:
        """Whether the budget has ended it."""
        return self.stopped != DONE

    @property
    def selectable(self) -> int:
        """How many trials, the base's among them, were made on all of `select`."""
        return sum(is_on(trial.score, self.cases.select) for trial in self.trials)

    def known(self, candidate: Candidate, cases: tuple[Case, ...] = ()) -> Score | None:
        """Return the score that a candidate had on these cases, `select` if left out; None without one."""
        scores = [trial.score for trial in self.trials if trial.candidate == candidate]
        wanted = cases or self.cases.select
        return next((score for score in scores if is_on(score, wanted)), None)

    async def tries(
        self, candidate: Candidate, thought: str = "", *, on: tuple[Case, ...] = ()
    ) -> Score | None:
        """Score a candidate and keep the trial; None once the search is over.

        What was tried before is answered from then.

        Args:
            candidate: What to score.
            thought: Why it was proposed.
            on: The cases; all of `select` if left out. Only a trial on these can be chosen in the end.

        Raises:
            BudgetExceededError: There is none for the first trial, the base's.
            PluginError, ModelError: As `evaluate`.
        """
        cases = on or self.cases.select
        if (known := self.known(candidate, cases)) is not None:
            return known
        if self.is_over or not await self._is_covered():
            return None
        try:
            score = await evaluate.named(f"trial {len(self.trials) + 1}")(candidate, cases)
        except BudgetExceededError as error:
            if not self.trials:
                raise
            self.stopped = str(error)
            return None
        self.trials.append(Trial(candidate=candidate, score=score, thought=thought))
        return score

    async def settled(self) -> Result:
        """Return the best of what was tried, measured on the held-out cases, as a planner's result."""
        found = await settle(self.base, self.trials, self.cases, self.stopped)
        return result_of(found)

    async def _is_covered(self) -> bool:
        if not await self._purse.covers():
            self.stopped = KEPT
        return not self.is_over
