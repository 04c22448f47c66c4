"""Token sequences, compared."""

from collections.abc import Sequence


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many first tokens two sequences of the same type have in common."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:  # halving compares slices at the speed of C
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
