"""Choose runs of a journal and make pairs of them.

Owns the filters, their order and the count of what each of them let through. Runs are read one at a time;
those that were chosen are read twice.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.training.outcomes import calls_of, taken_from_elsewhere
from agentflow.training.pairs import Pair, pair_of
from agentflow.training.rewards import best, distribution, planner_of, reward_of

Reward = Callable[[RunRecord], float | None]
Only = Literal["expansions", "all-model-calls"]


class Filters(BaseModel):
    """What to take. `keep` is the best fraction of the runs by reward, `min_reward` holds beside it.

    `failed` also takes versions that did not work, `strip_examples` takes the worked examples out of
    the prompts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: float = Field(default=0.4, gt=0, le=1)
    min_reward: float | None = None
    planner: str | None = None
    only: Only = "expansions"
    failed: bool = False
    strip_examples: bool = False


class DataSet(BaseModel):
    """Pairs and how they came about: `runs` and `calls` count what each filter left."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    filters: Filters
    pairs: tuple[Pair, ...]
    runs: dict[str, int]
    calls: dict[str, int]
    taken_from: dict[str, int]
    rewards: dict[str, dict[str, Any]]

    def report(self) -> dict[str, Any]:
        """Return the account of this data set as JSON data."""
        origins = [pair.origin for pair in self.pairs]
        prompt = [origin.tokens.prompt or 0 for origin in origins]
        completion = [origin.tokens.completion or 0 for origin in origins]
        return {
            "filters": self.filters.model_dump(),
            "runs": self.runs,
            "rewards": self.rewards,
            "calls": self.calls,
            "taken_from": self.taken_from,
            "pairs": len(self.pairs),
            "tokens": {
                "prompt": sum(prompt),
                "completion": sum(completion),
                "unknown_pairs": sum(origin.tokens.prompt is None for origin in origins),
            },
            "depths": {
                str(depth): n for depth, n in sorted(Counter(o.depth for o in origins).items())
            },
            "models": dict(sorted(Counter(origin.model for origin in origins).items())),
            "planners": dict(sorted(Counter(origin.planner for origin in origins).items())),
        }


def collect(
    journal: Journal,
    runs: Sequence[str] = (),
    filters: Filters | None = None,
    *,
    reward: Reward = reward_of,
) -> DataSet:
    """Return the pairs of the best runs, best run first.

    Args:
        journal: Opened for reading.
        runs: Ids, their beginnings, or `last`; none means every run, the oldest first.
        filters: What to take; by default the best 40 %, one pair an expansion that worked.
        reward: What a run is worth; None leaves it out as unfinished.

    Raises:
        UnknownRunError: A run is not there.
        TrainingDataError: A run's record cannot be read.
    """
    filters = filters or Filters()
    counts: Counter[str] = Counter()
    rewarded: list[tuple[str, float]] = []
    for record in _records(journal, runs):
        counts["selected"] += 1
        value = reward(record)
        if filters.planner is not None and planner_of(record) != filters.planner:
            counts["other_planner"] += 1
        elif value is None:
            counts["unfinished"] += 1
        else:
            rewarded.append((record.id, value))
    if not runs:
        rewarded.reverse()  # a journal lists the newest first
    kept = best(rewarded, keep=filters.keep, at_least=filters.min_reward)
    counts["not_kept"], counts["kept"] = len(rewarded) - len(kept), len(kept)
    maker = _Maker(filters)
    for run, value in kept:
        maker.take(journal.run(run), value)
    return DataSet(
        filters=filters,
        pairs=tuple(maker.pairs),
        runs={name: counts[name] for name in RUN_COUNTS},
        calls={name: maker.calls[name] for name in CALL_COUNTS},
        taken_from=dict(sorted(maker.elsewhere.items())),
        rewards={
            "selected": distribution([value for _run, value in rewarded]),
            "kept": distribution([value for _run, value in kept]),
        },
    )


RUN_COUNTS = ("selected", "other_planner", "unfinished", "not_kept", "kept")
CALL_COUNTS = ("seen", "no_expansion", "failed", "discarded", "duplicate", "taken")


def _records(journal: Journal, runs: Sequence[str]) -> Iterator[RunRecord]:
    """Yield runs, each once, in the order given."""
    if not runs:
        yield from journal.runs()
        return
    seen: set[str] = set()
    for run in runs:
        record = journal.run(run)
        if record.id not in seen:
            seen.add(record.id)
            yield record


class _Maker:
    """Makes pairs of runs, leaves out what was there before, and counts."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._known: set[bytes] = set()
        self.pairs: list[Pair] = []
        self.calls: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()

    def take(self, record: RunRecord, reward: float) -> None:
        """Make the pairs of one run."""
        self.elsewhere += taken_from_elsewhere(record)
        for call in calls_of(record):
            self.calls["seen"] += 1
            if self._filters.only == "expansions" and not call.is_expansion:
                self.calls["no_expansion"] += 1
                continue
            strip = self._filters.strip_examples
            self._add(pair_of(record, call, reward=reward, strip_examples=strip))

    def _add(self, pair: Pair) -> None:
        outcome = pair.origin.outcome
        if outcome != "worked" and not self._filters.failed:
            self.calls[outcome] += 1
        elif pair.identity in self._known:
            self.calls["duplicate"] += 1
        else:
            self._known.add(pair.identity)
            self.pairs.append(pair)
            self.calls["taken"] += 1
