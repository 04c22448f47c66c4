"""What a search may still spend, so that it ends while its result can still be measured.

Owns the look at the run's budget between rounds. It is a tool, whose result is recorded, so that a resumed
run and a replay see what was seen then. Wall time is not looked at: nobody can say what of it a round will take.
"""

from pydantic import BaseModel, ConfigDict

from agentflow import amounts_left, tool
from agentflow.errors import BudgetExceededError
from agentflow_planners.optimising.cases import Cases

SPENT = ("tokens", "usd", "steps")  # depth is no matter of what was before


class Left(BaseModel):
    """What is left of the run's budget, by the names of its limits; none for no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amounts: dict[str, float] = {}


class Purse:
    """Whether another round would leave enough to run two candidates on the held-out cases."""

    def __init__(self, cases: Cases) -> None:
        # A round is at least one evaluation on `select`; two on `held_out` are still to come.
        self._kept = 2 * len(cases.held_out) / len(cases.select)
        self._before: Left | None = None
        self._dearest: dict[str, float] = {}

    async def covers(self) -> bool:
        """Return whether a round like the dearest so far would leave what settling takes.

        Ask before each round; there is nothing to go by before the first, which is always covered.
        """
        try:
            now = await left()
        except BudgetExceededError:  # not even for the look
            return False
        before, self._before = self._before, now
        if before is None:
            return True
        for name, amount in now.amounts.items():
            spent = before.amounts.get(name, amount) - amount
            self._dearest[name] = max(spent, self._dearest.get(name, 0.0))
        return all(
            amount >= self._dearest[name] * (1 + self._kept) for name, amount in now.amounts.items()
        )


@tool(name="budget_left")
async def left() -> Left:
    """Return what is left of the run's budget now."""
    return Left(amounts={name: left for name, left in amounts_left().items() if name in SPENT})
