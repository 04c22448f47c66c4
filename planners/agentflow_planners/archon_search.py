"""Search for the options that make a planner best, by default the layers of an Archon architecture.

Source: Saad-Falcon et al., Archon: An Architecture Search Framework for Inference-Time Techniques,
  arXiv:2409.15254 (Inference-Time Architecture Search, ITAS).
Cost: thousands of calls: (1 + trials) x cases to select by x calls of the planner, twice the held-out cases.
Needs: cases with checks.
Published: +15.1 points on average over GPT-4o and Claude 3.5 Sonnet for architectures found by the search
  (MT-Bench, Arena-Hard, AlpacaEval 2, MixEval, MixEval-Hard, MATH, CodeContests).

An architecture is read off a few knobs: samples of each generator, a verifier of these, the widths of up
to three layers of fusers, and whether a critic and a ranker stand before each. The search walks them:
`greedy` knob by knob from the first value of each, `random`, or by `halving`: many on a few cases to learn from, the better half on
twice as many. Whoever is best on the cases to select by is measured, with the base, on cases held out.

What differs, and why:
- the knobs of any planner can be searched: a `space` of its options takes the place of Archon's;
- scores are of the cases' own checks, with intervals; in its code a judge model ranks, on two benchmarks;
- choice and report use different cases, and the report has the paired difference to the base;
- no Bayesian search: for so few trials on so few cases it has nothing to fit, and halving saves more;
- models are not put in an order of power first: which models to ask is a knob like any other.
"""

import random
from collections.abc import Iterator, Mapping
from math import prod
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from agentflow import Result, Task, flow
from agentflow.data import Data
from agentflow.errors import InputError
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import cases_of
from agentflow_planners.optimising.knobs import Knobs
from agentflow_planners.optimising.scoring import Score
from agentflow_planners.optimising.trying import Search
from agentflow_planners.shared.values import Count

ARCHON = "archon"
Space = Mapping[str, Annotated[tuple[Data, ...], Field(min_length=1)]]
Point = dict[str, Data]


ITAS: Space = {
    "samples": (1, 3, 5, 10),
    "fusers": ((), (1,), (3, 1), (5, 3, 1)),
    "top_k": (0, 1, 3, 5),
    "critic": (False, True),
    "verifier": (False, True),
}


@flow
async def archon_search(
    task: Task,
    *,
    base: Candidate | None = None,
    space: Space | None = None,
    strategy: Literal["greedy", "random", "halving"] = "greedy",
    trials: Count = 16,
    seed: int = 0,
) -> Result:
    """Find options that do better than `base` on the cases among the task's inputs.

    Args:
        task: `cases` among its inputs: a list of {id, task, checks}.
        base: A planner and its options; Archon as published if left out.
        space: Values to try by the name of the option; for `archon` also by the name of a knob.
        strategy: The way through the space.
        trials: How many candidates beside the base may be scored on all cases to select by; twice as many
            begin under `halving`.
        seed: Of the draw of the cases and of candidates.

    Raises:
        InputError: The cases or the space are of no use.
        BudgetExceededError: The budget does not even cover the base.
        PluginError, ModelError: As the planner's own.
    """
    start = base or Candidate(planner=ARCHON, options={"layers": Knobs().layers()})
    values = space or (ITAS if start.planner == ARCHON else {})
    if not values:
        problem = f"say which options of {start.planner} to try: `space`"
        raise InputError(step="archon_search", problem=problem)
    search = Search(start, cases_of(task, seed=seed))
    await search.tries(start, "the base")
    walk = {"greedy": _greedy, "random": _random, "halving": _halving}[strategy]
    await walk(search, values, trials, random.Random(seed))  # noqa: S311 - a search, no secret
    return await search.settled()


async def _greedy(search: Search, space: Space, trials: int, _draws: random.Random) -> None:
    """Turn one knob after the other and leave each where the score was best, until none moves."""
    best: Point = {name: values[0] for name, values in space.items()}
    score, before = await _tried(search, best, trials), None
    while score is not None and best != before:
        before = best
        for name, values in space.items():
            for other in [best | {name: value} for value in values]:
                turned = await _tried(search, other, trials)
                if turned is not None and turned.mean > score.mean:
                    score, best = turned, other


async def _random(search: Search, space: Space, trials: int, draws: random.Random) -> None:
    for point in _drawn(space, trials, draws):
        await _tried(search, point, trials)


async def _halving(search: Search, space: Space, trials: int, draws: random.Random) -> None:
    """Score many on few cases to learn from, the better half on twice as many, the last ones on `select`."""
    left, train = list(_drawn(space, 2 * trials, draws)), search.cases.train
    count = 1
    while len(left) > 1 and count <= len(train):
        scored = []
        for point in left:
            score = await search.tries(_candidate(search.base, point), on=train[:count])
            scored.append(-1.0 if score is None else score.mean)
        order = sorted(range(len(left)), key=lambda place: -scored[place])
        left, count = [left[place] for place in order[: (len(left) + 1) // 2]], 2 * count
    for point in left:
        await _tried(search, point, trials)


async def _tried(search: Search, point: Point, trials: int) -> Score | None:
    """Score a point on `select`, if that is known or there are trials left."""
    thought = ", ".join(f"{name}: {value}" for name, value in point.items())
    candidate = _candidate(search.base, point)
    if search.selectable > trials and search.known(candidate) is None:
        return None
    return await search.tries(candidate, thought)


def _candidate(base: Candidate, point: Point) -> Candidate:
    """Return the base with the options of a point, knobs turned into layers."""
    names = Knobs.model_fields if base.planner == ARCHON else {}
    options = {name: value for name, value in point.items() if name not in names}
    knobs = {name: value for name, value in point.items() if name in names}
    if knobs:
        try:
            options["layers"] = Knobs.model_validate(knobs).layers()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            problem = f"space: {first['loc'][0]}: {first['msg']}"
            raise InputError(step="archon_search", problem=problem) from error
    return base.having(**options)


def _drawn(space: Space, count: int, draws: random.Random) -> Iterator[Point]:
    """Yield different points of the space, drawn."""
    size = prod(len(values) for values in space.values())
    for number in draws.sample(range(size), min(count, size)):
        point: Point = {}
        for name, values in space.items():
            number, place = divmod(number, len(values))
            point[name] = values[place]
        yield point
