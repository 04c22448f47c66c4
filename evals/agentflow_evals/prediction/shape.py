"""What a run does, without when: calls of models and other work, and what needs what.

Owns the value that is predicted for. Knows no latency and no price. Parts keep the order they were given
in, which is the order in which the engine starts what is ready at the same moment.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import networkx as nx

from agentflow.errors import EvaluationError
from agentflow.expansion import find_circle


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a model.

    `cached_tokens` is the part of `input_tokens` that needs no prefill. `model` chooses the figures where
    there are several. `delay_s` passes between the last part it needs and the call; None is the figures'
    own gap.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    model: str = ""
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """Anything else that takes time and no permit: a tool, a program, a flow's own code."""

    seconds: float = 0.0


Part = Call | Work


class Shape:
    """A DAG of parts.

    Args:
        parts: The parts by name, in the order of their start.
        needs: For a part, the parts it has to wait for.

    Raises:
        EvaluationError: It is not a DAG of these parts, or a number is negative.
    """

    def __init__(
        self, parts: Mapping[str, Part], needs: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        wanted = {name: tuple(others) for name, others in (needs or {}).items()}
        _check(parts, wanted)
        self.graph: nx.DiGraph[str] = nx.DiGraph()
        for name, part in parts.items():
            self.graph.add_node(name, part=part)
        for name, others in wanted.items():
            self.graph.add_edges_from((other, name) for other in others)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts by name."""
        return {name: cast("Part", part) for name, part in self.graph.nodes(data="part")}

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """For each part, what it waits for."""
        return {name: tuple(self.graph.predecessors(name)) for name in self.graph}

    @property
    def calls(self) -> list[Call]:
        """The calls, in order."""
        return [part for part in self.parts.values() if isinstance(part, Call)]

    def topological(self) -> Iterator[str]:
        """Yield the names so that what a part needs comes first."""
        yield from nx.topological_sort(self.graph)


def _check(parts: Mapping[str, Part], needs: Mapping[str, tuple[str, ...]]) -> None:
    for name in {*needs, *(other for others in needs.values() for other in others)}:
        if name not in parts:
            raise EvaluationError(problem=f"the shape has no part {name!r}")
    circle = find_circle({name: needs.get(name, ()) for name in parts})
    if circle:
        raise EvaluationError(problem=f"parts of the shape need each other in a circle: {circle}")
    for name, part in parts.items():
        if min(_numbers(part)) < 0:
            raise EvaluationError(
                problem=f"part {name!r} of the shape has a negative number: {part}"
            )


def _numbers(part: Part) -> tuple[float, ...]:
    if isinstance(part, Work):
        return (part.seconds,)
    fresh = part.input_tokens - part.cached_tokens
    return (fresh, part.cached_tokens, part.output_tokens, part.delay_s or 0.0)
