"""What an evaluation is: which samples of which suite, under which planners and models, how often.

Owns the plan, the input of the evaluation's run: from it and the journal alone the evaluation goes on.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Sequence

from pydantic import Field

from agentflow.budget import Budget
from agentflow.data import Data, canonical
from agentflow.models.protocol import ModelSpec
from agentflow.solving import Named
from agentflow_evals.opening import OpenSuite
from agentflow_evals.outcome import Cell
from agentflow_evals.suite import Origin, Sample, Value


class SuiteUsed(Value):
    """A suite as it was opened: `name` finds it again, `digest` is of all its chosen samples."""

    name: str
    options: dict[str, Data] = Field(default_factory=dict)
    origin: Origin = Origin()
    digest: str = ""

    @property
    def shown(self) -> str:
        """The name without the folders of this machine."""
        return re.split(r"[/\\]", self.name.rstrip("/\\"))[-1]


class Contender(Value):
    """A planner with its options, under the label that tables show."""

    label: str
    planner: Named


class Entrant(Value):
    """A model under the label that tables show."""

    label: str
    spec: ModelSpec


class EvaluationPlan(Value):
    """One evaluation; `samples` are ids in order.

    `budget` is of one sample under one planner, `spending` what all of it may spend: tokens and dollars.
    """

    suite: SuiteUsed
    samples: tuple[str, ...] = Field(min_length=1)
    planners: tuple[Contender, ...] = Field(min_length=1)
    models: tuple[Entrant, ...] = Field(min_length=1)
    repeat: int = Field(default=1, ge=1, le=10_000)
    seed: int = 0
    budget: Budget = Budget()
    spending: Budget = Budget()
    cache: bool = False

    def cells(self) -> Iterator[Cell]:
        """Yield every cell, model by model and planner by planner, in the order of the samples."""
        for model in self.models:
            for planner in self.planners:
                for repeat in range(self.repeat):
                    for sample in self.samples:
                        yield Cell(sample, planner.label, model.label, repeat)


def digest_of(samples: Sequence[Sample]) -> str:
    """Return a hash of all that the samples are."""
    found = hashlib.blake2b(digest_size=16)
    for sample in samples:
        found.update(canonical(sample.model_dump(mode="json")))
    return found.hexdigest()


def picked(
    samples: Sequence[Sample], *, limit: int | None, skip: int = 0, shuffled_by: int | None = None
) -> list[Sample]:
    """Return `limit` samples after the first `skip`, in an order drawn with a seed if one is given."""
    found = list(samples)
    if shuffled_by is not None:
        random.Random(shuffled_by).shuffle(found)  # noqa: S311 - a choice of samples, no secret
    return found[skip:] if limit is None else found[skip : skip + limit]


def plan_for(
    suite: OpenSuite,
    *,
    planners: Sequence[Contender],
    models: Sequence[Entrant],
    samples: Sequence[Sample] | None = None,
    repeat: int = 1,
    seed: int = 0,
    budget: Budget | None = None,
    spending: Budget | None = None,
    cache: bool = False,
) -> EvaluationPlan:
    """Return the plan of an evaluation of those samples of a suite; of all if none are given."""
    chosen = suite.samples if samples is None else samples
    return EvaluationPlan(
        suite=SuiteUsed(
            name=suite.name,
            options=suite.options,
            origin=suite.origin,
            digest=digest_of(chosen),
        ),
        samples=tuple(sample.id for sample in chosen),
        planners=tuple(planners),
        models=tuple(models),
        repeat=repeat,
        seed=seed,
        budget=budget or Budget(),
        spending=spending or Budget(),
        cache=cache,
    )
