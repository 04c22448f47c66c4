"""A model judges the answer by criteria in words.

Its calls are steps of the run like any others: recorded, counted in the run's budget, and replayed without
a call. What a judge may be told is in `judging/asking.py`, how several judges work together in
`judging/layers.py`.
"""

import statistics
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from agentflow.data import Data
from agentflow.models.protocol import ModelSpec
from agentflow.models.registry import parse_spec
from agentflow_evals.scorer import Options, Score, read_options
from agentflow_evals.scorers.judging.asking import Judge
from agentflow_evals.scorers.judging.layers import one_layer, propose, two_layers
from agentflow_evals.scorers.judging.opinions import Case, Criterion, Opinion

REASON_CHARACTERS, SHOWN_OPINIONS = 160, 8


class RubricOptions(Options):
    """What to judge by, and who judges.

    `criteria`, or a `rubric` in words; with two `layers` neither is needed, then the judge proposes as many
    criteria as `aspects` says. `task` is what the judge is told was asked, `reference` a good answer.
    `against`: another answer, which this one has to beat. `model` is the judge, None the run's own model;
    `samples` how often it is asked. `threshold`: what passes; None: half of the scale, or more than equal.
    `window`: how far the judges of the second layer hear.
    """

    criteria: tuple[Criterion, ...] = ()
    rubric: str = ""
    task: str = ""
    reference: Data = None
    against: Data = None
    model: str | dict[str, Any] | None = None
    samples: int = Field(default=1, ge=1, le=25)
    threshold: float | None = Field(default=None, ge=0, le=1)
    layers: Literal[1, 2] = 1
    aspects: int = Field(default=4, ge=2, le=12)
    window: int = Field(default=2, ge=1)
    answer_characters: int = Field(default=40_000, ge=100)

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        names = [item.name for item in self.criteria]
        if len(set(names)) < len(names):
            raise ValueError("two criteria have one name")
        if self.criteria and self.rubric:
            raise ValueError("give criteria or a rubric, not both")
        if self.layers == 1 and not (self.criteria or self.rubric.strip()):
            raise ValueError("say what to judge by: criteria, or a rubric in words")
        if not (self.criteria or self.rubric.strip() or self.task.strip()):
            raise ValueError("criteria can be proposed for a task only: give the task, or criteria")
        return self


async def rubric(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the judge's points, as a share from 0 to 1, reach the threshold.

    Raises:
        InputError: The options are wrong.
        EvaluationError: The judge gives no opinion that can be read.
        ModelError: The judge cannot be asked.
    """
    wanted = read_options(RubricOptions, "rubric", options)
    judge = Judge(model=_spec(wanted), votes=wanted.samples, characters=wanted.answer_characters)
    case = Case(
        answer=judge.text_of(output),
        task=wanted.task,
        reference="" if wanted.reference is None else judge.text_of(wanted.reference),
        against="" if wanted.against is None else judge.text_of(wanted.against),
    )
    criteria = await _criteria(wanted, judge)
    if wanted.layers == 1:
        found = await one_layer(judge, case, criteria)
    else:
        found = await two_layers(judge, case, criteria, wanted.window)
    return _score(wanted, criteria, found)


def _spec(wanted: RubricOptions) -> ModelSpec | None:
    return None if wanted.model is None else parse_spec(wanted.model)


async def _criteria(wanted: RubricOptions, judge: Judge) -> Sequence[Criterion]:
    if wanted.criteria:
        return wanted.criteria
    if wanted.layers == 1:
        return (Criterion(name="rubric", question=wanted.rubric, points=10),)
    return await propose(judge, wanted.task, wanted.rubric, wanted.aspects)


def _score(wanted: RubricOptions, criteria: Sequence[Criterion], found: Sequence[Opinion]) -> Score:
    shares = {
        item.name: statistics.fmean(each.share for each in found if each.criterion == item)
        for item in criteria
    }
    weights = [item.weight for item in criteria]
    value = min(max(statistics.fmean(shares.values(), weights), 0.0), 1.0)
    if wanted.threshold is not None:
        passed = value >= wanted.threshold
    else:
        passed = value > 0.5 if wanted.against is not None else value >= 0.5
    lines = [_line(item, shares[item.name], found) for item in criteria]
    return Score(passed=passed, value=value, explanation="; ".join(lines))


def _line(criterion: Criterion, share: float, found: Sequence[Opinion]) -> str:
    own = [each for each in found if each.criterion == criterion]
    shares = {
        order: [each.share for each in own if each.order == order] for order in ("first", "second")
    }
    disagree = all(shares.values()) and (
        (statistics.fmean(shares["first"]) - 0.5) * (statistics.fmean(shares["second"]) - 0.5) < 0
    )
    said = ", ".join(each.said for each in own[:SHOWN_OPINIONS])
    said += "" if len(own) <= SHOWN_OPINIONS else f", and {len(own) - SHOWN_OPINIONS} more"
    place = " (it prefers a place, not an answer)" if disagree else ""
    reason = own[0].reason
    if len(reason) > REASON_CHARACTERS:
        reason = f"{reason[: REASON_CHARACTERS - 3]}..."
    return f"{criterion.name} {share:.2f} ({said}){place}: {reason}"
