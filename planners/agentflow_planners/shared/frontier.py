"""What a search has found but not yet looked at, and which of it comes next.

Owns the order and the bound. Knows no model, no program and no clock: what is taken next depends on
nothing but what was added and in which order, so a resumed search goes the same way. Equal nodes come in
the order in which they were added.
"""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Strategy = Literal["bfs", "dfs", "best"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Node(Generic[T]):
    """A place of the search: its value, how good it looks, and where it hangs.

    `path` are the positions among siblings from the root down; the first level has depth 1.
    """

    value: T
    score: float
    path: tuple[int, ...]

    @property
    def depth(self) -> int:
        """How many steps it is away from the root."""
        return len(self.path)

    @property
    def place(self) -> str:
        """Where it hangs, counted from 1: `2.1` is the first child of the second node."""
        return ".".join(str(position + 1) for position in self.path)


class Frontier(Generic[T]):
    """Nodes that wait to be expanded.

    "bfs" takes all nodes of a level before the next level, "dfs" all below a node before its next
    sibling, "best" the highest score first.
    """

    def __init__(self, strategy: Strategy, *, most: int) -> None:
        """Begin empty.

        Args:
            strategy: Which node is next.
            most: How many nodes may ever be added, those taken included.
        """
        if most < 1:
            raise ValueError(f"a frontier needs room for at least one node, not {most}")
        self._strategy, self._most = strategy, most
        self._waiting: list[tuple[tuple[float, ...], int, Node[T]]] = []
        self._children: dict[tuple[int, ...], int] = {}
        self.added, self.refused = 0, 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, value: T, *, score: float = 0.0, below: Node[T] | None = None) -> Node[T] | None:
        """Add a child of `below`, or of the root; return it, None where the bound refuses it.

        Raises:
            ValueError: The score is no number, which has no place in an order.
        """
        if math.isnan(score):
            raise ValueError("a score must be a number, not nan")
        if self.added >= self._most:
            self.refused += 1
            return None
        above = below.path if below else ()
        position = self._children.get(above, 0)
        self._children[above] = position + 1
        node = Node(value, score, (*above, position))
        heapq.heappush(self._waiting, (self._rank(node), self.added, node))
        self.added += 1
        return node

    def extend(
        self, values: Iterable[T], *, score: float = 0.0, below: Node[T] | None = None
    ) -> None:
        """Add several children, of one score, in this order."""
        for value in values:
            self.add(value, score=score, below=below)

    def take(self, count: int = 1) -> list[Node[T]]:
        """Remove and return the next nodes, at most `count`; none when nothing waits."""
        number = min(count, len(self._waiting))
        return [heapq.heappop(self._waiting)[2] for _ in range(number)]

    def _rank(self, node: Node[T]) -> tuple[float, ...]:
        if self._strategy == "dfs":
            return node.path
        return (node.depth, *node.path) if self._strategy == "bfs" else (-node.score,)
