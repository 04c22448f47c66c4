"""Predict how long a shape takes and what it costs, from figures of its calls.

Owns the prediction. Where latencies vary, a run of parallel calls waits for the slowest of them, so the
time with every call at its mean is too low: the expectation is taken over seeded simulations.
"""

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentflow.errors import EvaluationError
from agentflow_evals.prediction.figures import CallFigures
from agentflow_evals.prediction.schedule import Job, Schedule, critical_path_s, schedule
from agentflow_evals.prediction.shape import Call, Part, Shape, Work

DRAWS = 100
BEYOND = 0.05  # on either side of the interval

Figures = CallFigures | Mapping[str, CallFigures]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is expected of a run with `parallelism` permits a model.

    `seconds` is the expectation, `low_s` to `high_s` where 90 % of runs end, `at_mean_s` the time with every
    call at its mean. `work_s` is the sum of all attempts, `busiest_s` that of the model with most of them:
    with every call at its mean no run is shorter than this over the permits, which each model has for itself,
    nor than `critical_path_s` (permits for all). `utilisation` is the share of the permits' time that was used.
    """

    parallelism: int
    seconds: float
    low_s: float
    high_s: float
    at_mean_s: float
    critical_path_s: float
    work_s: float
    busiest_s: float
    utilisation: float
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def bound_s(self) -> float:
        """The lower bound on `at_mean_s`."""
        return max(self.critical_path_s, self.busiest_s / self.parallelism)


def predict(
    shape: Shape, figures: Figures, parallelism: int, *, draws: int = DRAWS, seed: int = 0
) -> Prediction:
    """Return what a run of `shape` takes when `parallelism` calls of a model may be under way.

    Args:
        shape: The calls and what needs what.
        figures: Of every call, or by model, as the calls name it.
        parallelism: Permits a model.
        draws: How many simulations make the expectation; 0 keeps every call at its mean.
        seed: Of the draws.

    Raises:
        EvaluationError: `parallelism` is below 1, the shape is empty, or a model has no figures.
    """
    if parallelism < 1:
        raise EvaluationError(problem=f"parallelism is at least 1, not {parallelism}")
    if not shape.parts:
        raise EvaluationError(problem="the shape has no parts, so there is nothing to predict")
    by_model = _by_model(shape, figures)
    jobs = _jobs(shape, by_model)
    opening_s = sum(found.opening_s for found in by_model.values())
    mean = schedule(jobs, parallelism, thread_from_s=opening_s)
    runs = _simulated(shape, by_model, jobs, parallelism, draws, seed, opening_s) or [mean]
    return _prediction(shape, by_model, jobs, parallelism, mean, runs)


def _prediction(
    shape: Shape,
    figures: Mapping[str, CallFigures],
    jobs: Sequence[Job],
    parallelism: int,
    mean: Schedule,
    runs: Sequence[Schedule],
) -> Prediction:
    places = {name: place for place, name in enumerate(shape.parts)}
    ends = sorted(run.seconds for run in runs)
    seconds, outside = statistics.fmean(ends), round(BEYOND * len(ends))
    work = _work(jobs)
    room_s = parallelism * (len(work) or 1) * seconds
    costs = [figures[call.model].cost_usd(call) for call in shape.calls]
    return Prediction(
        parallelism=parallelism,
        seconds=seconds,
        low_s=ends[outside],
        high_s=ends[-1 - outside],
        at_mean_s=mean.seconds,
        critical_path_s=critical_path_s(jobs, [places[name] for name in shape.topological()]),
        work_s=sum(work.values()),
        busiest_s=max(work.values(), default=0.0),
        utilisation=statistics.fmean(run.held_s for run in runs) / room_s if room_s else 0.0,
        calls=len(shape.calls),
        input_tokens=sum(call.input_tokens for call in shape.calls),
        output_tokens=sum(call.output_tokens for call in shape.calls),
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
    )


def _work(jobs: Sequence[Job]) -> dict[str, float]:
    """Return for each model the sum of its attempts, in seconds."""
    found: dict[str, float] = {}
    for job in jobs:
        if job.pool is not None:
            found[job.pool] = found.get(job.pool, 0.0) + job.attempt_s
    return found


def _by_model(shape: Shape, figures: Figures) -> dict[str, CallFigures]:
    models = dict.fromkeys(call.model for call in shape.calls)
    if isinstance(figures, CallFigures):
        return dict.fromkeys(models, figures)
    unknown = [model for model in models if model not in figures]
    if unknown:
        problem = f"no figures of {unknown[0] or 'calls without a model'}; there are some of {', '.join(figures)}"
        raise EvaluationError(problem=problem)
    return {model: figures[model] for model in models}


def _jobs(shape: Shape, figures: Mapping[str, CallFigures]) -> list[Job]:
    """Return the jobs in the shape's order."""
    places = {name: place for place, name in enumerate(shape.parts)}
    needs = shape.needs
    return [
        _job(part, tuple(places[other] for other in needs[name]), figures)
        for name, part in shape.parts.items()
    ]


def _job(
    part: Part, needs: tuple[int, ...], figures: Mapping[str, CallFigures], ratio: float = 1.0
) -> Job:
    if isinstance(part, Work):
        return Job(needs=needs, wait_s=part.seconds)
    of = figures[part.model]
    latency_s = of.latency.seconds(part)
    thread_s = min(latency_s, of.thread.seconds(part))
    gap_s = of.gap_s if needs else 0.0
    return Job(
        needs=needs,
        pool=part.model,
        delay_s=gap_s if part.delay_s is None else part.delay_s,
        send_s=thread_s / 2,
        wait_s=max(0.0, latency_s * ratio - thread_s),
        read_s=thread_s / 2,
        tail_s=of.overhead_s,
    )


def _simulated(
    shape: Shape,
    figures: Mapping[str, CallFigures],
    jobs: Sequence[Job],
    parallelism: int,
    draws: int,
    seed: int,
    opening_s: float,
) -> list[Schedule]:
    """Schedule again and again, each call's latency times a ratio that was measured."""
    if all(found.spread == 0 for found in figures.values()):
        return []
    chance = random.Random(seed)  # noqa: S311 - a simulation, no secret
    parts = list(shape.parts.values())
    return [
        schedule(_varied(parts, jobs, figures, chance), parallelism, thread_from_s=opening_s)
        for _draw in range(draws)
    ]


def _varied(
    parts: Sequence[Part],
    jobs: Sequence[Job],
    figures: Mapping[str, CallFigures],
    chance: random.Random,
) -> list[Job]:
    return [
        _job(part, job.needs, figures, chance.choice(figures[part.model].ratios))
        if isinstance(part, Call)
        else job
        for part, job in zip(parts, jobs, strict=True)
    ]
