"""How an evaluation goes, on a terminal.

Owns what the bars say and the time that is left.
"""

import time

from rich.console import Console
from rich.progress import TaskID

from agentflow.cli.words import clean, dollars, seconds, tokens
from agentflow_evals.cli.bars import Bars
from agentflow_evals.outcome import Outcome
from agentflow_evals.plan import EvaluationPlan


class EvaluationProgress(Bars):
    """Bars for one evaluation, one a planner and model; a context manager around it.

    Outcomes that were known before (`known`) do not count for the pace.
    """

    def __init__(self, console: Console, plan: EvaluationPlan, known: int = 0) -> None:
        super().__init__(console)
        self._each = len(plan.samples) * plan.repeat
        self._total = self._each * len(plan.planners) * len(plan.models)
        self._left_known, self._known = known, known
        self._done = self._errors = 0
        self._spent: float | None = 0.0
        self._tokens = 0
        self._started = time.monotonic()
        self._passed: dict[tuple[str, str], int] = {}
        self._bars: dict[tuple[str, str], TaskID] = {}
        self._whole = self._progress.add_task("[bold]all", total=self._total, note="")
        width = max(len(planner.label) for planner in plan.planners)
        for model in plan.models:
            for planner in plan.planners:
                name = clean(planner.label, 40).ljust(min(width, 40))
                title = name if len(plan.models) == 1 else f"{name}  {clean(model.label, 30)}"
                self._bars[planner.label, model.label] = self._progress.add_task(
                    title.replace("[", r"\["), total=self._each, note=""
                )

    def hear(self, outcome: Outcome) -> None:
        """Take in one outcome."""
        self._done += 1
        self._errors += not outcome.is_counted
        if self._left_known:
            self._left_known -= 1
        else:
            self._count(outcome)
        place = (outcome.planner, outcome.model)
        self._passed[place] = self._passed.get(place, 0) + outcome.passed
        self._progress.update(self._bars[place], advance=1, note=f"{self._passed[place]} solved")
        self._progress.update(self._whole, advance=1, note=self.line())
        if not outcome.is_counted:
            text = f"{outcome.sample}, {outcome.planner}: {outcome.reason}"
            self._progress.console.print(clean(text, 200), style="yellow", markup=False)
        self._print_if_due(f"{self._done}/{self._total}  {self.line()}")

    def line(self) -> str:
        """Return pace and spending in words."""
        parts = [tokens(self._tokens)]
        if self._spent != 0:
            parts.append(dollars(self._spent))
        live = self._done - self._known
        if live > 0 and self._done < self._total:
            pace = (time.monotonic() - self._started) / live
            parts.append(f"{seconds(pace * (self._total - self._done))} left")
        if self._errors:
            parts.append(f"{self._errors} not judged")
        return ", ".join(parts)

    def _count(self, outcome: Outcome) -> None:
        spent = outcome.measures.spent_usd
        self._spent = None if spent is None or self._spent is None else self._spent + spent
        self._tokens += outcome.measures.spent_tokens
