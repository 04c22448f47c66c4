"""Choose among versions of a function by what they were seen to do.

Owns the vote: which calls count, who agrees with whom, how sure that makes us. Pure functions over
a matrix of observations, a row a candidate and a column a call; a row shorter than the others is a
candidate that did not load, and never wins. The order of the candidates decides nothing but ties,
and those are broken by a seed.

Source: functional consensus, Chen et al., Divide-and-Conquer Meets Consensus, arXiv:2405.20092,
equations 1-2; ours leaves out calls that are misuse, weighs by examples passed, and may abstain.
"""

import json
import random
from collections.abc import Hashable, Sequence

from pydantic import BaseModel, ConfigDict

from agentflow.sandbox.workers.protocol import Observation
from agentflow_planners.functions.behaviour import is_whole, same_behaviour

Matrix = Sequence[Sequence[Observation]]

# Raised by code that was handed something it is not for. Raised on purpose they count as behaviour.
MISUSE = frozenset(
    {
        "TypeError",
        "AttributeError",
        "IndexError",
        "RecursionError",
    }
)
# Never the fault of what the code was handed.
BROKEN = frozenset({"NameError", "UnboundLocalError"})
_SAME_SCORE = 1e-9


class Choice(BaseModel):
    """Which candidate to take, and how far to trust that.

    `winner` is None where the choice abstains. `confidence` is the share of the others' behaviour
    that is the winner's, times the share of the examples it passes. `clusters` are the candidates
    that behave alike, largest first. `scores` are each candidate's agreement with the others; the
    best score among those that pass the most examples wins. `is_tied` says that candidates which
    behave differently, or were not seen at all, came out the same, and the seed decided.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    winner: int | None
    confidence: float
    clusters: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]
    is_tied: bool


def valid_calls(matrix: Matrix) -> tuple[int, ...]:
    """Return the calls that say something: all but those which most candidates could not take.

    A candidate could not take a call if it was cut off, or slipped into one of MISUSE. An exception
    raised on purpose is behaviour like any other: a function may be right to raise. Code that lacks a
    name says nothing of the call, and agrees with nothing.
    """
    loaded = [matrix[index] for index in _loaded(matrix)]
    return tuple(call for call in range(_width(matrix)) if _is_valid([row[call] for row in loaded]))


def clusters(matrix: Matrix, *, numbers: bool = False) -> tuple[tuple[int, ...], ...]:
    """Return the candidates in groups that behave alike on all valid calls, largest first."""
    return _grouped(_Classes(matrix, numbers))


def choose(
    matrix: Matrix,
    *,
    passed: Sequence[float] | None = None,
    seed: int,
    abstain_below: float = 0.0,
    numbers: bool = False,
) -> Choice:
    """Choose a candidate by agreement: how much of what it did the others did as well.

    Candidates that pass fewer examples than the best do not win, and vote with less weight. One
    candidate alone has no agreement: its confidence is what it passes, without examples 0.

    Args:
        matrix: A row a candidate, a column a call.
        passed: The share of the examples that each candidate passes, in 0..1.
        seed: Of the choice among candidates that come out the same.
        abstain_below: The confidence under which there is no winner.
        numbers: Whether 1 is 1.0, for a function that is said to return a float.

    Raises:
        ValueError: `passed` is not one number in 0..1 for each candidate.
    """
    shares = _checked(passed, len(matrix))
    classes = _Classes(matrix, numbers)
    scores = _scores(classes, shares, is_weighted=passed is not None)
    found = _grouped(classes)
    rivals = _rivals(classes, scores, shares)
    tied = [group for group in found if set(group) & set(rivals)]
    # One of each group that came out the same; unseen, all are one group and each stands for itself.
    places = [min(set(group) & set(rivals)) for group in tied] if classes.calls else rivals
    winner = random.Random(seed).choice(sorted(places)) if places else None  # noqa: S311 (no secret)
    confidence = 0.0 if winner is None else _confidence(winner, scores, shares, passed, classes)
    return Choice(
        winner=None if confidence < abstain_below else winner,
        confidence=confidence,
        clusters=found,
        scores=scores,
        is_tied=len(places) > 1,
    )


def disputed(matrix: Matrix, *, numbers: bool = False) -> tuple[int, ...]:
    """Return the valid calls on which the two largest clusters differ; none if all agree."""
    classes = _Classes(matrix, numbers)
    leading = [group[0] for group in _grouped(classes) if group[0] in classes.loaded][:2]
    if len(leading) < 2:
        return ()
    first, second = (classes.of[candidate] for candidate in leading)
    return tuple(
        call for call, a, b in zip(classes.calls, first, second, strict=True) if a is None or a != b
    )


def cannot_be_caught(sizes: Sequence[int], left: int) -> bool:
    """Return whether the largest cluster stays the largest if all `left` samples go to another."""
    if not sizes:
        return False
    first, second = sorted((*sizes, 0), reverse=True)[:2]
    return first > second + left


class _Classes:
    """For each candidate and valid call, which of the behaviours seen there it is; None: no other's.

    Sameness within a tolerance is not transitive. Those who are the same through others are one
    class, so that the order of the candidates does not matter.
    """

    def __init__(self, matrix: Matrix, numbers: bool) -> None:
        self.loaded = _loaded(matrix)
        self.calls = valid_calls(matrix)
        columns = [
            _classes_of([matrix[index][call] for index in self.loaded], numbers)
            for call in self.calls
        ]
        self.of: list[tuple[int | None, ...]] = [(None,) * len(self.calls) for _ in matrix]
        for place, index in enumerate(self.loaded):
            self.of[index] = tuple(column[place] for column in columns)

    def similarity(self, a: int, b: int) -> float:
        """Return the share of the calls on which two candidates did the same."""
        pairs = zip(self.of[a], self.of[b], strict=True)
        same = sum(x is not None and x == y for x, y in pairs)
        return same / len(self.calls) if self.calls else 0.0


def _classes_of(seen: Sequence[Observation], numbers: bool) -> list[int | None]:
    texts = [
        json.dumps(item.model_dump()) for item in seen
    ]  # most are alike to the letter: compare once
    first = {text: index for index, text in reversed(list(enumerate(texts)))}
    root = {
        index: index
        for index in first.values()
        if is_whole(seen[index]) and not is_broken(seen[index])
    }

    def top(index: int) -> int:
        while root[index] != index:
            index = root[index]
        return index

    for a in root:
        for b in root:
            if a < b and top(a) != top(b) and same_behaviour(seen[a], seen[b], numbers=numbers):
                root[top(b)] = top(a)
    return [top(first[text]) if first[text] in root else None for text in texts]


def _grouped(classes: _Classes) -> tuple[tuple[int, ...], ...]:
    groups: dict[Hashable, list[int]] = {}
    for index, of in enumerate(classes.of):
        is_alike = index in classes.loaded and None not in of
        groups.setdefault(of if is_alike else index, []).append(index)
    found = sorted(groups.values(), key=lambda group: (-len(group), group))
    return tuple(tuple(group) for group in found)


def _scores(classes: _Classes, shares: Sequence[float], *, is_weighted: bool) -> tuple[float, ...]:
    """Return each candidate's mean similarity to the others, by the weight of their votes."""
    is_weighted = is_weighted and any(shares[index] > 0 for index in classes.loaded)
    weights = [share if is_weighted else 1.0 for share in shares]
    scores = [0.0] * len(shares)
    for a in classes.loaded:
        others = [b for b in classes.loaded if b != a]
        total = sum(weights[b] for b in others)
        if total > 0:
            agreed = sum(weights[b] * classes.similarity(a, b) for b in others)
            scores[a] = min(agreed / total, 1.0)
    return tuple(scores)


def _rivals(classes: _Classes, scores: Sequence[float], shares: Sequence[float]) -> list[int]:
    """Return the candidates with the best score of those that pass the most examples.

    One that did nothing but fail is no rival where another did something.
    """
    most = max((shares[index] for index in classes.loaded), default=0.0)
    eligible = [index for index in classes.loaded if shares[index] >= most - _SAME_SCORE]
    working = [index for index in eligible if any(of is not None for of in classes.of[index])]
    eligible = working or eligible
    best = max((scores[index] for index in eligible), default=0.0)
    return [index for index in eligible if scores[index] >= best - _SAME_SCORE]


def _confidence(
    winner: int,
    scores: Sequence[float],
    shares: Sequence[float],
    passed: Sequence[float] | None,
    classes: _Classes,
) -> float:
    if len(classes.loaded) == 1:
        return shares[winner] if passed is not None else 0.0
    return scores[winner] * shares[winner]


def is_broken(seen: Observation) -> bool:
    """Return whether the code itself is broken, whatever it was called with."""
    return seen.failure is not None and seen.failure.type in BROKEN


def _is_valid(seen: Sequence[Observation]) -> bool:
    able = [item for item in seen if not is_broken(item)]
    return bool(able) and 2 * sum(map(_could_not_take, able)) <= len(able)


def _could_not_take(seen: Observation) -> bool:
    if not is_whole(seen):
        return True
    failure = seen.failure
    if failure is None or failure.type not in MISUSE:
        return False
    lines = failure.report.splitlines()
    return not any(line.strip().startswith("raise ") for line in lines)


def _loaded(matrix: Matrix) -> list[int]:
    width = _width(matrix)
    return [index for index, row in enumerate(matrix) if len(row) == width]


def _width(matrix: Matrix) -> int:
    return max(map(len, matrix), default=0)


def _checked(passed: Sequence[float] | None, count: int) -> Sequence[float]:
    if passed is None:
        return [1.0] * count
    if len(passed) != count or not all(0 <= share <= 1 for share in passed):
        raise ValueError(f"{count} candidates need {count} shares in 0..1; got {list(passed)}")
    return passed
