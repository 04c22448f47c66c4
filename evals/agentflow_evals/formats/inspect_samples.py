"""Read one sample of an Inspect log as an outcome.

Owns the meaning of Inspect's scores, limits, errors and usage. What Inspect has no word for (the group,
the form of the run) is taken from our own `agentflow` entry in the sample's metadata, if it is there.
"""

import json
import math
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from agentflow.errors import EvaluationError
from agentflow_evals.outcome import Measures, Outcome, Status
from agentflow_evals.suite import ID, sample_id

OURS = "agentflow"  # our key in the metadata of logs and samples, and the name of our score
WORDS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
ATTACHMENT = "attachment://"
_ID = re.compile(ID)


class Loose(BaseModel):
    """Base of what is read of a log: fields that nobody needs are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelUsage(Loose):
    """Tokens; `input_tokens` are without those that came from or went to a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_cache_read: int | None = None
    input_tokens_cache_write: int | None = None
    total_cost: float | None = None


class Scored(Loose):
    """One score of a sample."""

    value: Any = None
    answer: Any = None
    explanation: str | None = None


class Message(Loose):
    """A message with a text."""

    message: str = ""


class Limit(Loose):
    """What ended a sample early."""

    type: str
    reason: str | None = None


class Output(Loose):
    """The model's last words."""

    completion: str = ""


class Sample(Loose):
    """One sample in one epoch."""

    id: int | str
    epoch: int = 1
    target: str | list[str] = ""
    output: Output = Output()
    scores: dict[str, Scored] | None = None
    metadata: dict[str, Any] = {}
    events: list[dict[str, Any]] = []
    model_usage: dict[str, ModelUsage] = {}
    total_time: float | None = None
    working_time: float | None = None
    uuid: str | None = None
    error: Message | None = None
    limit: Limit | None = None
    attachments: dict[str, str] = {}
    turn_count: int | None = None

    @property
    def name(self) -> str:
        """The id as ours are."""
        return name_of(self.id)


def name_of(sample: int | str) -> str:
    """Return an id of Inspect's as ours are: text without commas and line breaks."""
    text = str(sample)
    return text if _ID.fullmatch(text) else sample_id(text)


def outcome_of(sample: Sample, planner: str, model: str, scorer: str | None) -> Outcome:
    """Return the outcome of one sample; `scorer` names the score to go by, None is the first.

    Raises:
        EvaluationError: Its score is not one that can be read as a share from 0 to 1.
    """
    name = scorer or next(iter(sample.scores or {}), None)
    score = (sample.scores or {}).get(name) if name else None
    value = None if score is None else _value(score.value, sample, str(name))
    if (ours := _our_own(sample)) is not None and value in (None, ours.value):
        return ours
    status, reason = _status(sample, value, score)
    answer = sample.output.completion if score is None or score.answer is None else score.answer
    return Outcome(
        sample=sample.name,
        planner=planner,
        model=model,
        repeat=max(sample.epoch - 1, 0),
        run=sample.uuid or f"{sample.name}/{sample.epoch}",
        status=status,
        value=0.0 if value is None or status == "error" else value,
        answer=_attached(answer, sample),
        reason=reason,
        target=_attached(_target(sample), sample),
        measures=_measures(sample),
    )


def _our_own(sample: Sample) -> Outcome | None:
    found = sample.metadata.get(OURS)
    if not isinstance(found, dict) or "outcome" not in found:
        return None
    try:
        return Outcome.model_validate_json(json.dumps(found["outcome"]))
    except (ValidationError, ValueError, ArithmeticError, TypeError, LookupError) as error:
        problem = f"sample {sample.id!r}: metadata.{OURS}.outcome is damaged"
        raise EvaluationError(problem=problem) from error


def _value(value: Any, sample: Sample, scorer: str) -> float | None:
    """Return a score as a number; None is Inspect's mark for a sample without a score."""
    if isinstance(value, str):
        value = WORDS.get(value, WORDS.get(value.lower(), value))
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isnan(number):
        return None
    if not 0 <= number <= 1:
        names = ", ".join(sample.scores or {})
        problem = f"sample {sample.id!r}: the score {scorer!r} is {str(value)[:80]!r}, not a number from 0 to 1"
        raise EvaluationError(problem=f"{problem}; scores there are: {names}")
    return number


def _status(sample: Sample, value: float | None, score: Scored | None) -> tuple[Status, str]:
    if sample.error is not None:
        return "error", _line(sample.error.message)
    if value is None:
        return "error", "it has no score"
    if value == 1:
        return "passed", ""
    if sample.limit is not None:
        return "refused", _line(sample.limit.reason or f"{sample.limit.type} limit")
    said = score.explanation if score is not None and score.explanation else f"scored {value:g}"
    return "failed", _line(_attached(said, sample))


def _measures(sample: Sample) -> Measures:
    calls = [
        event for event in sample.events if event.get("event") == "model" and not event.get("error")
    ]
    tools = [event for event in sample.events if event.get("event") == "tool"]
    usage = list(sample.model_usage.values())
    costs = [each.total_cost for each in usage]
    count = len(calls) or sample.turn_count or 0
    unknown = None in costs or (count > 0 and not costs)
    cost = None if unknown else sum(each for each in costs if each is not None)
    cached = sum(each.input_tokens_cache_read or 0 for each in usage)
    written = sum(each.input_tokens_cache_write or 0 for each in usage)
    return Measures(
        calls=count,
        reused_calls=sum(event.get("cache") == "read" for event in calls),
        input_tokens=sum(each.input_tokens for each in usage) + cached + written,
        output_tokens=sum(each.output_tokens for each in usage),
        cached_tokens=cached,
        cost_usd=cost,
        spent_tokens=sum(each.total_tokens for each in usage),
        spent_usd=cost,
        seconds=max(sample.total_time or 0.0, 0.0),
        critical_path_s=max(sample.working_time or 0.0, 0.0),
        steps=count + len(tools),
    )


def _target(sample: Sample) -> Any:
    target = sample.target
    return target[0] if isinstance(target, list) and len(target) == 1 else target


def _attached(value: Any, sample: Sample) -> Any:
    """Return text that Inspect moved to the sample's attachments."""
    if isinstance(value, str) and value.startswith(ATTACHMENT):
        return sample.attachments.get(value.removeprefix(ATTACHMENT), value)
    return value


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
