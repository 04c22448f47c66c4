"""What one call of a model costs in time, money and attention, as measured.

Owns the fit. The time of an attempt is a fixed part, one for each prompt token that was not cached
(prefill) and one for each token written (decode). The engine's own thread is a resource of its own: what a
call keeps of it busy cannot overlap with other calls, however many permits there are.

Source: Chen et al., arXiv:2407.14788, for the cost of a call as a function of prefill and decode.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from agentflow.errors import EvaluationError
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.models.prices import price_of
from agentflow.models.protocol import ModelSpec, Price, Usage
from agentflow_evals.prediction.least_squares import fit
from agentflow_evals.prediction.recorded import call_of, is_call, recorded_shape
from agentflow_evals.prediction.shape import Call, Shape, Work

ALONE = 1.2  # calls under way at once, on average, that still count as one
ENOUGH = 4  # calls that were alone; with fewer, all are taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Seconds as a linear function of tokens."""

    fixed_s: float = 0.0
    input_token_s: float = 0.0
    output_token_s: float = 0.0

    def seconds(self, call: Call) -> float:
        """Return the seconds of `call`; cached input takes none."""
        read = call.input_tokens - call.cached_tokens
        return self.fixed_s + read * self.input_token_s + call.output_tokens * self.output_token_s


@dataclass(frozen=True, kw_only=True)
class CallFigures:
    """The figures of calls of one model.

    `latency` is an attempt that has the engine to itself, `thread` the part of it that keeps the engine's
    thread busy. `overhead_s` is the rest of its step, mostly the journal's commit; `gap_s` what passes
    until a call that needs it begins; `opening_s` what the first call takes to open the model. `ratios` are
    the measured latencies over the fitted ones. `price` None is unknown.
    """

    latency: Line
    thread: Line = Line()
    overhead_s: float = 0.0
    gap_s: float = 0.0
    opening_s: float = 0.0
    ratios: tuple[float, ...] = (1.0,)
    price: Price | None = None
    calls: int = 0

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the latency, as a share of it."""
        return statistics.pstdev(self.ratios)

    def cost_usd(self, call: Call) -> float | None:
        """Return the dollars of a call; None when the price is unknown."""
        if self.price is None:
            return None
        return self.price.cost_usd(
            Usage(
                input_tokens=call.input_tokens,
                output_tokens=call.output_tokens,
                cached_tokens=call.cached_tokens,
            )
        )


def fit_figures(
    records: Sequence[RunRecord], *, model: str | None = None, price: Price | None = None
) -> CallFigures:
    """Return the figures of the calls in some finished runs.

    Calls that had the engine to themselves are taken, where there are enough of them.

    Args:
        records: The runs; calls of different sizes tell prefill and decode apart.
        model: Take the calls of this model alone, as `details` name it.
        price: Instead of the one that explains the recorded costs.

    Raises:
        EvaluationError: A run has not ended, or there are no such calls whose own time was recorded.
    """
    runs = [[step for step in record.steps.values() if _fits(step, model)] for record in records]
    timed = [sample for run in runs for sample in _samples(run)]
    if not timed:
        of = f" of {model}" if model else ""
        problem = f"no call{of} whose own time is known; runs recorded now have it (`attempt_s`)"
        raise EvaluationError(problem=problem)
    alone = [sample for sample in timed if sample.crowd <= ALONE]
    taken = alone if len(alone) >= ENOUGH else timed
    latency = _line(taken, [sample.attempt_s for sample in taken])
    overhead_s, opening_s = _overheads(runs)
    return CallFigures(
        latency=latency,
        thread=_line(taken, [sample.thread_s / sample.crowd for sample in taken]),
        overhead_s=overhead_s,
        gap_s=_gap_s([recorded_shape(record) for record in records]),
        opening_s=opening_s,
        ratios=_ratios(taken, latency),
        price=price or _price(records, [step for run in runs for step in run]),
        calls=len(taken),
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """One measured attempt; `crowd` is how many were under way meanwhile, itself included."""

    call: Call
    attempt_s: float
    thread_s: float
    crowd: float


def _fits(step: StepRecord, model: str | None) -> bool:
    taken_over = "origin" in step.details
    return is_call(step) and not taken_over and model in (None, step.details.get("model"))


def _samples(steps: list[StepRecord]) -> list[_Sample]:
    """Return the attempts of one run; a step from before attempts were timed counts if it was alone."""
    spans = sorted((_attempt(step) for step in steps), key=lambda span: span[:2])
    found = []
    for place, (start, end, step) in enumerate(spans):
        crowd = _crowd(spans, place)
        is_timed = "attempt_s" in step.details
        if end > start and (is_timed or crowd <= ALONE):
            thread_s = step.details.get("thread_s", 0.0)
            found.append(_Sample(call_of(step), end - start, thread_s, crowd))
    return found


_Span = tuple[float, float, StepRecord]


def _attempt(step: StepRecord) -> _Span:
    """Return begin and end of the attempt; it is the last thing in its step but for the commit."""
    end = step.ended_at or step.started_at
    seconds = step.details.get("attempt_s", end - step.started_at)
    return end - seconds, end, step


def _crowd(spans: list[_Span], place: int) -> float:
    start, end, _ = spans[place]
    longest = max(other_end - other_start for other_start, other_end, _ in spans)
    shared = 0.0
    for step in (-1, 1):
        other = place + step
        while 0 <= other < len(spans) and start - longest < spans[other][0] < end:
            shared += max(0.0, min(end, spans[other][1]) - max(start, spans[other][0]))
            other += step
    return 1.0 + (shared / (end - start) if end > start else 0.0)


def _line(samples: list[_Sample], values: list[float]) -> Line:
    rows = [
        (1.0, float(s.call.input_tokens - s.call.cached_tokens), float(s.call.output_tokens))
        for s in samples
    ]
    fixed, read, written = fit(rows, values)
    return Line(fixed_s=fixed, input_token_s=read, output_token_s=written)


def _ratios(samples: list[_Sample], latency: Line) -> tuple[float, ...]:
    fitted = [latency.seconds(sample.call) for sample in samples]
    pairs = zip(samples, fitted, strict=True)
    return tuple(sample.attempt_s / known for sample, known in pairs if known > 0) or (1.0,)


def _overheads(runs: list[list[StepRecord]]) -> tuple[float, float]:
    """Return what a step takes besides its attempt, and what the first of a run takes on top."""
    rests, first = [], []
    for run in runs:
        timed = [step for step in run if "attempt_s" in step.details]
        unqueued = _unqueued(sorted(timed, key=lambda step: step.started_at))
        found = [_rest_s(step) for step in unqueued]
        first += found[:1]
        rests += found[1:]
    usual = statistics.median(rests) if rests else min(first, default=0.0)
    opening = statistics.median(first) - usual if first else 0.0
    return usual, max(0.0, opening)


def _unqueued(steps: list[StepRecord]) -> list[StepRecord]:
    """Return the steps that began when no other was under way: they cannot have waited for a permit."""
    ends = [0.0]
    for step in steps:
        ends.append(max(ends[-1], step.ended_at or 0.0))
    return [step for step, before in zip(steps, ends, strict=False) if step.started_at >= before]


def _rest_s(step: StepRecord) -> float:
    return max(0.0, (step.seconds or 0.0) - float(step.details["attempt_s"]))


def _gap_s(shapes: list[Shape]) -> float:
    """Return the median time from the end of a call to the start of one that needed it."""
    gaps = [gap for shape in shapes for gap in _gaps(shape)]
    return statistics.median(gaps) if gaps else 0.0


def _gaps(shape: Shape) -> list[float]:
    """Return the own time of flows before each call that comes after another."""
    parts, needs = shape.parts, shape.needs
    since: dict[str, float | None] = {}  # seconds from the last call to the end of a part
    gaps = []
    for name in shape.topological():
        known = [value for other in needs[name] if (value := since[other]) is not None]
        before = max(known, default=None)
        part = parts[name]
        if isinstance(part, Work):
            since[name] = None if before is None else before + part.seconds
            continue
        since[name] = 0.0
        if before is not None:
            gaps.append(before + (part.delay_s or 0.0))
    return gaps


def _price(records: Sequence[RunRecord], steps: Sequence[StepRecord]) -> Price | None:
    """Return the price that explains what was recorded as cost; None where that is unknown."""
    paid = [(Usage(**step.details["usage"]), step.details.get("cost_usd")) for step in steps]
    costs = [cost for _, cost in paid if cost is not None]
    if len(costs) < len(paid):
        return None
    usages = [usage for usage, _ in paid]
    for record in records:
        known = (
            price_of(ModelSpec(**record.settings["model"])) if "model" in record.settings else None
        )
        if known is not None and _explains(known, usages, costs):
            return known
    rows = [(u.input_tokens - u.cached_tokens, u.cached_tokens, u.output_tokens) for u in usages]
    fresh, cached, written = (1e6 * usd for usd in fit(rows, costs))
    return Price(input=fresh, output=written, cached_input=cached)


def _explains(price: Price, usages: Sequence[Usage], costs: Sequence[float]) -> bool:
    pairs = zip(usages, costs, strict=True)
    return all(math.isclose(price.cost_usd(usage), cost, rel_tol=1e-3) for usage, cost in pairs)
