"""Fit a sum of non-negative terms to measurements, some of which may be far off.

Owns the arithmetic; three unknowns need no numerical library. Knows no model. What the measurements cannot
tell apart, such as two columns that always grow together, goes to the fewest terms that explain it.
"""

import itertools
import math
import statistics
from collections.abc import Sequence

ROUNDS = 20
HUBER = 1.345  # keeps 95 % of the efficiency where the noise is normal
WORTH_A_TERM = 1e-6  # a further term has to remove more of the squared error than this share
MAD_TO_SIGMA = 1.4826
FLAT = 1e-10  # a pivot smaller than this means that columns depend on each other

Rows = Sequence[Sequence[float]]


def fit(rows: Rows, values: Sequence[float]) -> tuple[float, ...]:
    """Return non-negative weights w with `rows` w near `values`; outliers count less.

    Args:
        rows: One row a measurement; all are equally long, and at least one number is not 0.
        values: The measurements.

    Raises:
        ValueError: There are no measurements, or the two differ in length.

    Source: Huber, Robust Estimation of a Location Parameter (1964), by reweighted least squares.
    """
    if not values or len(rows) != len(values):
        raise ValueError(f"{len(rows)} rows and {len(values)} values make no fit")
    trust = [1.0] * len(values)
    found = _least(rows, values, trust)
    for _round in range(ROUNDS):
        errors = [abs(value - _dot(row, found)) for row, value in zip(rows, values, strict=True)]
        sigma = MAD_TO_SIGMA * statistics.median(errors)
        if sigma == 0:
            break
        trust = [min(1.0, HUBER * sigma / error) if error else 1.0 for error in errors]
        found = _least(rows, values, trust)
    return found


def _least(rows: Rows, values: Sequence[float], trust: Sequence[float]) -> tuple[float, ...]:
    """Return the best weights that are not negative, trying every set of terms."""
    width = len(rows[0])
    scales = [max(abs(row[column]) for row in rows) or 1.0 for column in range(width)]
    whole = math.fsum(weight * value * value for weight, value in zip(trust, values, strict=True))
    best, least = (0.0,) * width, whole
    for size in range(1, width + 1):
        for columns in itertools.combinations(range(width), size):
            weights = _on(columns, rows, values, trust, scales)
            if weights is None or min(weights) < 0:
                continue
            error = _error(weights, rows, values, trust)
            if error < least - WORTH_A_TERM * whole:
                best, least = weights, error
    return best


def _on(
    columns: Sequence[int],
    rows: Rows,
    values: Sequence[float],
    trust: Sequence[float],
    scales: Sequence[float],
) -> tuple[float, ...] | None:
    """Solve the normal equations on some columns; None where these depend on each other."""
    scaled = [[row[column] / scales[column] for column in columns] for row in rows]
    size, all_rows = len(columns), range(len(rows))
    matrix = [
        [math.fsum(trust[r] * scaled[r][i] * scaled[r][j] for r in all_rows) for j in range(size)]
        + [math.fsum(trust[r] * scaled[r][i] * values[r] for r in all_rows)]
        for i in range(size)
    ]
    solved = _solve(matrix, FLAT * len(rows))
    if solved is None:
        return None
    weights = [0.0] * len(scales)
    for column, weight in zip(columns, solved, strict=True):
        weights[column] = weight / scales[column]
    return tuple(weights)


def _solve(matrix: list[list[float]], flat: float) -> list[float] | None:
    """Eliminate with the largest pivot; the last column is the right-hand side."""
    size = len(matrix)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        if abs(matrix[column][column]) < flat:
            return None
        for row in range(size):
            if row != column:
                share = matrix[row][column] / matrix[column][column]
                for place in range(column, size + 1):
                    matrix[row][place] -= share * matrix[column][place]
    return [matrix[row][size] / matrix[row][row] for row in range(size)]


def _error(
    weights: Sequence[float], rows: Rows, values: Sequence[float], trust: Sequence[float]
) -> float:
    return math.fsum(
        weight * (value - _dot(row, weights)) ** 2
        for row, value, weight in zip(rows, values, trust, strict=True)
    )


def _dot(row: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(number * weight for number, weight in zip(row, weights, strict=True))
