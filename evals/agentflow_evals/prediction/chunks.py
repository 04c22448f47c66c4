"""Choose how many items a call should get.

Owns the sweep over chunk sizes: small chunks repeat the instructions often and can run side by side, large
ones are few and long. What is best depends on the parallelism, so it is computed, not guessed.

Source: Chen et al., arXiv:2407.14788, on the granularity of parallel decomposition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agentflow.errors import EvaluationError
from agentflow_evals.prediction.figures import CallFigures
from agentflow_evals.prediction.forms import map_reduce
from agentflow_evals.prediction.prediction import Prediction, predict
from agentflow_evals.prediction.shape import Call

SWEEP_DRAWS = 20  # sizes are compared, not milliseconds

Aim = Literal["seconds", "cost_usd", "tokens"]


@dataclass(frozen=True, slots=True)
class ChunkChoice:
    """A chunk size and what is expected of it."""

    chunk: int
    prediction: Prediction


def sweep_chunks(
    items: int,
    figures: CallFigures,
    parallelism: int,
    *,
    each: Call,
    item: Call,
    merge: Call | None = None,
    chunks: Sequence[int] | None = None,
    draws: int = SWEEP_DRAWS,
    seed: int = 0,
) -> list[ChunkChoice]:
    """Return a prediction for each chunk size; see `map_reduce` for the calls.

    Without `chunks`, every size that makes another number of calls is tried, the smallest of each.

    Raises:
        EvaluationError: A number is below one.
    """
    sizes = _sizes(items) if chunks is None else chunks
    found = []
    for chunk in sizes:
        shape = map_reduce(items, chunk, each=each, item=item, merge=merge)
        made = predict(shape, figures, parallelism, draws=draws, seed=seed)
        found.append(ChunkChoice(chunk, made))
    return found


def best_chunk(choices: Sequence[ChunkChoice], aim: Aim = "seconds") -> ChunkChoice:
    """Return the choice with the least of `aim`, of equals the one with fewer calls.

    Raises:
        EvaluationError: There are no choices, or the aim is the cost and no price is known.
    """
    if not choices:
        raise EvaluationError(problem="no chunk sizes to choose from")

    def amount(choice: ChunkChoice) -> tuple[float, int]:
        value = getattr(choice.prediction, aim)
        if value is None:
            raise EvaluationError(problem="the price of the model is unknown; give one (--price)")
        return float(value), choice.prediction.calls

    return min(choices, key=amount)


def _sizes(items: int) -> list[int]:
    if items < 1:
        raise EvaluationError(problem=f"items is at least 1, not {items}")
    return sorted({-(-items // calls) for calls in range(1, items + 1)})
