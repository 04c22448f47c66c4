"""Count what the server does, in the text that Prometheus reads.

Owns the names of the numbers. Every label has a value of ours: nothing that a client sends is written here.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

from agentflow.recurrent.requests import Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "agentflow_recurrent"
FIRST_TOKEN_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
TOKEN_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
NOW = frozenset({"waiting", "running", "snapshots", "snapshot_bytes", "pinned"})  # may go down


class Histogram:
    """How often a number lay below each of some bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one number."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> Iterator[str]:
        """Yield it as text."""
        yield f"# TYPE {name} histogram"
        below = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            below += count
            yield f'{name}_bucket{{le="{bound}"}} {below}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {below}"


@dataclass
class Metrics:
    """What the server itself counts; only its event loop writes here."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    gone: int = 0
    first_token: Histogram = field(default_factory=lambda: Histogram(FIRST_TOKEN_S))
    per_token: Histogram = field(default_factory=lambda: Histogram(TOKEN_S))

    def text(self, totals: Totals | None, gauges: dict[str, int]) -> str:
        """Return everything as text; `gauges` are numbers of this moment by name."""
        name = f"{PREFIX}_http_requests_total"
        lines = [f"# TYPE {name} counter"]
        for (endpoint, status), count in sorted(self.answers.items()):
            lines.append(f'{name}{{endpoint="{endpoint}",status="{status}"}} {count}')
        lines += _single("http_disconnected_total", "counter", self.gone)
        for gauge, value in gauges.items():
            lines += _single(gauge, "gauge", value)
        lines += self.first_token.lines(f"{PREFIX}_time_to_first_token_seconds")
        lines += self.per_token.lines(f"{PREFIX}_time_per_token_seconds")
        lines += _engine(totals) if totals else ()
        return "\n".join(lines) + "\n"


def _engine(totals: Totals) -> Iterator[str]:
    for one in fields(totals):
        value = getattr(totals, one.name)
        if not isinstance(value, int | float):
            continue
        name = one.name.removesuffix("_s") + "_seconds" if one.name.endswith("_s") else one.name
        if one.name in NOW:
            yield from _single(name, "gauge", value)
        else:
            yield from _single(f"{name}_total", "counter", value)


def _single(name: str, kind: str, value: float) -> tuple[str, str]:
    return f"# TYPE {PREFIX}_{name} {kind}", f"{PREFIX}_{name} {value}"
