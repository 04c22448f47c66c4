"""The stages of a training on a terminal, the evaluation among them.

Owns what is said and when, and that Ctrl-C ends a training with a checkpoint. What a stage does is its own.
"""

import signal
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import anyio
from rich.console import Console

from agentflow.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED
from agentflow.cli.stopping import until_stopped
from agentflow.cli.words import clean
from agentflow.training.student.card import write_card
from agentflow.training.student.fitting import Progress
from agentflow.training.student.folder import TRAINING, StudentFolder
from agentflow.training.student.recipe import Recipe
from agentflow.training.student.student import make_student
from agentflow_evals.analysis.tables import summarise
from agentflow_evals.cli.progress import EvaluationProgress
from agentflow_evals.cli.training_progress import TrainingProgress
from agentflow_evals.cli.trial import Trial
from agentflow_evals.reports.terminal import print_report


class Workshop:
    """A recipe on its way to a model in a folder."""

    def __init__(self, recipe: Recipe, base: Path, output: Path, console: Console) -> None:
        self._recipe, self._base, self._output = recipe, base, output
        self._console = console

    def carry_out(self, *, device: str, is_evaluated: bool, force: bool) -> int:
        """Do what is missing and return the exit code.

        Raises:
            AgentflowError: A stage failed; what is done is kept.
        """
        asked = self._recipe.evaluation if is_evaluated else None
        with StudentFolder.opened(self._output, self._recipe, force=force) as folder:
            # Before hours of training: an evaluation that cannot be is said now.
            trial = None if asked is None else Trial(asked, self._recipe.seed, self._base, folder)
            if folder.read(TRAINING) is not None:
                self._say(f"{self._output}: it is trained already")
            facts = self._trained(folder, device)
            code = 0 if trial is None else self._tried(trial, folder)
        size = f"{facts['parameters']:,} parameters, {facts['bytes'] / 1e6:,.1f} MB"
        self._say(f"{self._output}: {size}; use it as --model recurrent:{self._output}")
        return code

    def _trained(self, folder: StudentFolder, device: str) -> dict[str, Any]:
        with TrainingProgress(self._console) as progress, StopSignals() as stop:

            def hear(report: Progress) -> None:
                stop.is_waited_for = True
                progress.hear(report)

            return make_student(
                self._recipe,
                folder,
                base=self._base,
                device=device,
                tell=self._say,
                hear=hear,
                is_stopped=lambda: stop.is_asked,
            )

    def _tried(self, trial: Trial, folder: StudentFolder) -> int:
        if trial.is_done:
            self._say(f"{self._output}: it is evaluated already")
            return 0
        self._say(trial.announcement)
        try:
            with EvaluationProgress(self._console, trial.plan, trial.known) as progress:
                found = anyio.run(until_stopped, partial(trial.carry_out, progress.hear))
        except KeyboardInterrupt:
            self._say("stopped in the evaluation; the same command goes on with it")
            return EXIT_INTERRUPTED
        write_card(self._recipe, folder)
        print_report(Console(), summarise(found), found)
        if found.missing:
            count = len(found.missing)
            self._say(f"{count:,} runs could not be judged; the same command tries these again")
        return EXIT_FAILED if found.missing else 0

    def _say(self, text: str) -> None:
        self._console.print(clean(text), style="dim", markup=False, highlight=False, soft_wrap=True)


class StopSignals:
    """Ctrl-C and SIGTERM while a model is trained: the first ends it after its step, the second at once.

    Before somebody waits for the end of a step (`is_waited_for`), each ends the process at once.
    """

    def __init__(self) -> None:
        self.is_waited_for = self.is_asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        if not self.is_waited_for or self.is_asked:
            raise KeyboardInterrupt
        self.is_asked = True
