"""The tree of states: which token sequences have been read, and where a state of them is kept.

Owns a radix tree over token ids, handles that name its nodes, and the choice of what is given up when memory is
short. A node's state can always be computed again from an ancestor's, so losing one costs time and never an answer.

What goes first (Greedy-Dual-Size-Frequency, Cherkasova 1998; Marconi, arXiv 2411.19379, weighs the same for
recurrent states): the lowest `clock + uses * cost / bytes`, where cost is how many tokens would have to be read
again from the nearest ancestor that has a state, and the clock is the value of what went last, so that age counts.
A pinned state goes only when no other is left.
"""

import heapq
import itertools
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from agentflow.recurrent.sequences import shared
from agentflow.recurrent.states.packing import Packed
from agentflow.recurrent.states.tiers import Tiers

Tokens = tuple[int, ...]


@dataclass
class Snapshot:
    """A kept state and the logits after it: an exact hit needs no step of the model."""

    packed: Packed
    logits: Tensor
    tier: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors."""
        return self.packed.nbytes + self.logits.nbytes


@dataclass(eq=False)
class Node:
    """One token sequence: the parent's, and `edge` after it."""

    edge: Tokens
    parent: "Node | None"
    length: int
    children: dict[int, "Node"] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    handle: str | None = None
    pins: int = 0
    uses: int = 0
    clock: float = 0.0
    queued: int | None = None

    def path(self) -> Iterator["Node"]:
        """Yield the node and those above it, up to the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def tokens(self) -> Tokens:
        """Return the whole sequence."""
        edges = [node.edge for node in self.path()]
        return tuple(itertools.chain.from_iterable(reversed(edges)))


class StateTree:
    """Kept states by token sequence. Not thread-safe."""

    def __init__(self, tiers: Tiers, *, most_handles: int) -> None:
        self.root = Node((), None, 0)
        self._tiers = tiers
        self._most_handles = most_handles
        self._handles: OrderedDict[str, Node] = OrderedDict()
        self._clock = 0.0
        self._heaps: list[list[tuple[bool, float, int, Node]]] = [[] for _tier in tiers.limits]
        self._order = itertools.count()
        self.evicted = self.spilled = self.snapshots = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all kept states, wherever they lie."""
        return sum(self._tiers.used)

    @property
    def pinned(self) -> int:
        """How many handles are pinned."""
        return sum(node.pins > 0 for node in self._handles.values())

    # Reading ------------------------------------------------------------------------------

    def find(self, tokens: Sequence[int]) -> Node | None:
        """Return the deepest node with a state whose sequence the tokens begin with."""
        best = None
        for node in self._down(tuple(tokens)):
            if node.snapshot is not None:
                best = node
        if best is not None:
            self._touch(best)
        return best

    def common(self, tokens: Tokens) -> int:
        """Return how many of the first tokens some known sequence shares."""
        *_, last = self._down(tokens)
        rest = tokens[last.length :]
        child = last.children.get(rest[0]) if rest else None
        return last.length + (shared(child.edge, rest) if child else 0)

    def node_of(self, handle: str) -> Node | None:
        """Return the node that a handle names; None when it is not known or forgotten."""
        node = self._handles.get(handle)
        if node is not None:
            self._handles.move_to_end(handle)
        return node

    # Writing ------------------------------------------------------------------------------

    def put(self, tokens: Sequence[int], snapshot: Snapshot) -> None:
        """Keep a state, if there is room; what was kept of the same sequence stays instead."""
        node = self._place(tuple(tokens))
        is_new = node.snapshot is None
        if is_new:
            node.snapshot = snapshot
            self.snapshots += 1
            self._tiers.add(snapshot.tier, snapshot.nbytes)
        self._touch(node)
        if is_new:
            self._make_room()

    def has(self, tokens: Sequence[int]) -> bool:
        """Whether a state of exactly these tokens is kept."""
        *_, node = self._down(tuple(tokens))
        return node.length == len(tokens) and node.snapshot is not None

    def name(self, tokens: Sequence[int], *, pins: bool = False) -> str:
        """Return a handle of a sequence, whether or not a state of it is kept."""
        node = self._place(tuple(tokens))
        if node.handle is None:
            node.handle = f"st_{secrets.token_hex(12)}"
        self._handles[node.handle] = node
        self._handles.move_to_end(node.handle)
        if pins:
            self.pin(node.handle)
        while len(self._handles) > self._most_handles:
            _handle, oldest = self._handles.popitem(last=False)
            oldest.handle, oldest.pins = None, 0
            self._prune(oldest)
        return node.handle

    def pin(self, handle: str) -> bool:
        """Keep a handle's state as long as there is any other to give up; False for an unknown handle."""
        return self._change_pins(handle, 1)

    def unpin(self, handle: str) -> bool:
        """Take one pin back; False for an unknown handle or one without a pin."""
        return self._change_pins(handle, -1)

    def close(self) -> None:
        """Remove what lies in files."""
        self._tiers.close()

    def forget(self, node: Node) -> None:
        """Drop a node's state, for one that turned out to be unreadable."""
        if node.snapshot is not None:
            self._drop(node)

    # The radix tree -----------------------------------------------------------------------

    def _down(self, tokens: Tokens) -> Iterator[Node]:
        """Yield the nodes whose whole sequence the tokens begin with, from the root down."""
        node = self.root
        while True:
            yield node
            at = node.length
            if at == len(tokens):
                return
            child = node.children.get(tokens[at])
            if child is None or tokens[at : child.length] != child.edge:
                return
            node = child

    def _place(self, tokens: Tokens) -> Node:
        """Return the node of exactly these tokens, made when there was none."""
        *_, node = self._down(tokens)
        while node.length < len(tokens):
            rest = tokens[node.length :]
            child = node.children.get(rest[0])
            if child is None:
                child = Node(rest, node, len(tokens))
                node.children[rest[0]] = child
                return child
            node = self._split(child, shared(child.edge, rest))
        return node

    def _split(self, node: Node, after: int) -> Node:
        """Put a node into an edge, `after` tokens from its beginning; return it."""
        if after == len(node.edge):
            return node
        assert node.parent is not None
        middle = Node(node.edge[:after], node.parent, node.parent.length + after)
        node.parent.children[node.edge[0]] = middle
        node.edge, node.parent = node.edge[after:], middle
        middle.children[node.edge[0]] = node
        return middle

    def _prune(self, node: Node) -> None:
        """Take out what holds nothing and leads nowhere, or only on to one other node."""
        while node.parent is not None and node.snapshot is None and node.handle is None:
            parent = node.parent
            if not node.children:
                del parent.children[node.edge[0]]
            elif len(node.children) == 1:
                (child,) = node.children.values()
                child.edge, child.parent = node.edge + child.edge, parent
                parent.children[child.edge[0]] = child
                return
            else:
                return
            node = parent

    # What goes first ----------------------------------------------------------------------

    def _touch(self, node: Node) -> None:
        node.uses += 1
        node.clock = self._clock
        self._queue(node)

    def _queue(self, node: Node) -> None:
        """Have the node in its tier's heap once; what it says there is looked at again when it comes up."""
        assert node.snapshot is not None
        if node.queued == node.snapshot.tier:
            return
        node.queued = node.snapshot.tier
        entry = (node.pins > 0, self._worth(node), next(self._order), node)
        heapq.heappush(self._heaps[node.snapshot.tier], entry)

    def _worth(self, node: Node) -> float:
        assert node.snapshot is not None
        above = next((up for up in node.path() if up is not node and up.snapshot), self.root)
        return node.clock + node.uses * (node.length - above.length) / max(1, node.snapshot.nbytes)

    def _make_room(self) -> None:
        for tier in range(len(self._heaps)):
            while self._tiers.is_over(tier) and (victim := self._least(tier)) is not None:
                self._lower(victim)

    def _least(self, tier: int) -> Node | None:
        """Take the node of a tier that is worth least off its heap."""
        heap = self._heaps[tier]
        while heap:
            was_pinned, worth, _order, node = heapq.heappop(heap)
            snapshot = node.snapshot
            if node.queued != tier or snapshot is None or snapshot.tier != tier:
                continue
            node.queued = None
            # What has been used, pinned or lost an ancestor since is worth more than it says here.
            now = (node.pins > 0, self._worth(node))
            if now > (was_pinned, worth):
                self._queue(node)
                continue
            if not now[0]:
                self._clock = max(self._clock, worth)
            return node
        return None

    def _lower(self, node: Node) -> None:
        """Move a node's state to the next tier that is there; drop it when there is none."""
        snapshot = node.snapshot
        assert snapshot is not None
        to = self._tiers.lower(snapshot.packed, snapshot.tier, snapshot.nbytes)
        if to is None:
            self._drop(node)
            self.evicted += 1
            return
        self.spilled += 1
        self._tiers.add(snapshot.tier, -snapshot.nbytes)
        snapshot.tier, snapshot.logits = to, snapshot.logits.cpu()
        self._tiers.add(to, snapshot.nbytes)
        self._queue(node)

    def _drop(self, node: Node) -> None:
        snapshot = node.snapshot
        assert snapshot is not None
        snapshot.packed.discard()
        self._tiers.add(snapshot.tier, -snapshot.nbytes)
        node.snapshot = None
        self.snapshots -= 1
        self._prune(node)

    def _change_pins(self, handle: str, by: int) -> bool:
        node = self._handles.get(handle)
        if node is None or node.pins + by < 0:
            return False
        node.pins += by
        if node.snapshot is not None:
            node.queued = None  # an unpinned one is worth less than its place in the heap says
            self._queue(node)
        return True
