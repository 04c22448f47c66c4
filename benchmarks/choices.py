"""Options of the benchmarks' command lines that take several names."""

import argparse
from collections.abc import Callable, Sequence


def listed(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"no {unknown[0]!r}; there are {', '.join(known)}")
        return names

    return parse
