"""An evaluation as it is known: its plan and the outcomes so far.

Owns the value that reports read, whether it comes from a journal or from a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentflow_evals.outcome import Cell, Outcome
from agentflow_evals.plan import EvaluationPlan


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is known of an evaluation. Times are Unix seconds; `ended_at` None: it has not ended.

    `id` is the run in the journal, or the name of the file it was read from. `outcomes` are in the
    plan's order of cells, at most one a cell.
    """

    id: str
    plan: EvaluationPlan
    outcomes: Sequence[Outcome]
    started_at: float = 0.0
    ended_at: float | None = None
    machine: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[Cell]:
        """The cells without an outcome that counts."""
        have = {outcome.cell for outcome in self.outcomes if outcome.is_counted}
        return [cell for cell in self.plan.cells() if cell not in have]
