"""How a run stands, in one row.

Owns what the list of runs shows without reading their events: the writer folds it along and writes
it with the lease.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from agentflow.journal.events import (
    RunFinished,
    RunStarted,
    RunStatus,
    StepFinished,
    StepStarted,
    Stored,
)
from agentflow.journal.lease import is_written
from agentflow.journal.records import RunRecord


def status_of(row: Row[Any], now: float) -> str:
    """Return how a run stands by its row: as it ended, or `running`, or `stopped` without an end."""
    written = is_written(row.owner, row.lease_until, now=now)
    return str(row.status or ("running" if written else "stopped"))


@dataclass(kw_only=True)
class Summary:
    """Figures of one run; `cost_usd` None when a part of it has no known price."""

    flow: str | None = None
    parent: str | None = None
    status: RunStatus | None = None
    ended_at: float | None = None
    steps: int = 0
    tokens: int = 0
    cost_usd: float | None = 0.0

    @classmethod
    def of(cls, record: RunRecord) -> "Summary":
        """Return the summary of what is recorded so far."""
        return cls(
            flow=record.flow,
            parent=record.parent,
            status=record.status,
            ended_at=record.ended_at,
            steps=len(record.steps),
            tokens=record.usage.total_tokens,
            cost_usd=record.cost_usd,
        )

    def apply(self, event: Stored) -> None:
        """Take in one more event."""
        kind = type(event)
        if kind is StepStarted:
            self.steps += 1
        elif kind is StepFinished:
            if event.details:  # type: ignore[union-attr]
                self._spend(event.details)  # type: ignore[union-attr]
        elif isinstance(event, RunStarted):
            self.flow, self.status, self.ended_at = event.flow, None, None
            self.parent = (event.settings.get("fork") or {}).get("run")
        elif isinstance(event, RunFinished):
            self.status, self.ended_at = event.status, event.at

    def row(self) -> dict[str, Any]:
        """Return the columns of table `runs`."""
        return dict(vars(self))

    def _spend(self, details: dict[str, Any]) -> None:
        usage = details.get("usage")
        if usage is None or "origin" in details:
            return
        self.tokens += usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
        cost = details.get("cost_usd")
        self.cost_usd = None if cost is None or self.cost_usd is None else self.cost_usd + cost
