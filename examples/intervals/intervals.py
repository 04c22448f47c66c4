"""Opening hours as intervals of minutes."""


def merge(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the intervals sorted, those that touch or overlap joined into one.

    >>> merge([(60, 120), (0, 60), (200, 210)])
    [(0, 120), (200, 210)]
    >>> merge([])
    []
    """
