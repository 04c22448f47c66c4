"""The log of a training: one line for some steps, and how many tokens and seconds it took in all.

Owns `log.jsonl`. A training that goes on from a checkpoint first takes back what was logged after it.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from agentflow.recurrent.mixers.training import StepReport

EVERY = 10  # steps


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """What came of the steps since the line before; `tokens` and `seconds` are of all steps so far.

    `loss` and `gradient` are means. Tokens include padding; seconds are those of steps and checkpoints alone.
    """

    step: int
    loss: float
    gradient: float
    rate: float
    tokens: int
    seconds: float


class Log:
    """The log of one folder, continued after `step`."""

    def __init__(self, path: Path, step: int) -> None:
        kept = [line for line in read_log(path) if line.step <= step]
        self._path = path
        self.tokens = kept[-1].tokens if kept else 0
        self._seconds = kept[-1].seconds if kept else 0.0
        self._begun = time.monotonic()
        self._reports: list[StepReport] = []
        text = "".join(_written(line) for line in kept)
        path.write_text(text, encoding="utf-8")

    def take(self, report: StepReport) -> None:
        """Count a step, and write a line now and then."""
        self.tokens += report.tokens
        self._reports.append(report)
        if report.step % EVERY == 0:
            self.flush()

    def flush(self) -> None:
        """Write a line about the steps that none was written about."""
        if not self._reports:
            return
        count, last = len(self._reports), self._reports[-1]
        line = LogLine(
            step=last.step,
            loss=sum(one.loss for one in self._reports) / count,
            gradient=sum(one.gradient for one in self._reports) / count,
            rate=last.rate,
            tokens=self.tokens,
            seconds=round(self.seconds, 3),
        )
        self._reports.clear()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_written(line))

    @property
    def seconds(self) -> float:
        """How long all steps took, those before an interruption too."""
        return self._seconds + time.monotonic() - self._begun


def read_log(path: Path) -> list[LogLine]:
    """Return the lines of a log; the last may have been cut off by a kill and is left out then."""
    if not path.exists():
        return []
    lines = path.read_text("utf-8").splitlines(keepends=True)
    return [LogLine(**json.loads(line)) for line in lines if line.endswith("\n")]


def _written(line: LogLine) -> str:
    return json.dumps(asdict(line)) + "\n"
