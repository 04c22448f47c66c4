"""The processes that carry runs out: which node each is on, who may be given work, who has gone.

Owns the choice of a process for a piece of work, and the waiting for one. Work that was lost with a process is
given to one that does nothing else, so that what ends its process ends nobody else's work twice.
Belongs to one event loop.
"""

import sys
from dataclasses import dataclass, field
from typing import Any

import anyio

from agentflow.errors import AgentflowError


@dataclass(eq=False, kw_only=True)
class Hand:
    """A process on a node that has been opened; `actor` is asked for work."""

    actor: Any
    node: str
    name: str
    busy: int = 0
    is_alone: bool = False
    changed: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)


class Hands:
    """Hands out processes, the least busy first."""

    def __init__(self) -> None:
        self._room = sys.maxsize
        self._hands: list[Hand] = []
        self._changed = anyio.Event()
        self._problem: AgentflowError | None = None

    def __len__(self) -> int:
        return len(self._hands)

    def there(self) -> list[Hand]:
        """Return all of them."""
        return list(self._hands)

    def on(self, node: str) -> int:
        """Return how many processes a node has."""
        return sum(hand.node == node for hand in self._hands)

    def add(self, hand: Hand) -> None:
        """Use a process."""
        self._hands.append(hand)
        self._problem = None
        self._tell()

    def remove(self, hand: Hand) -> None:
        """Use a process no more; doing it twice changes nothing."""
        if hand in self._hands:
            self._hands.remove(hand)
        hand.gone.set()
        hand.changed.set()
        self._tell()

    def retire(self, hand: Hand) -> None:
        """Give a process no more work, and use it no more when what it has is over."""
        if hand in self._hands:
            self._hands.remove(hand)
        if not hand.busy:
            hand.gone.set()
        hand.changed.set()
        self._tell()

    def share(self, room: int) -> None:
        """Give no process more work at once than that: others that are still starting get theirs."""
        self._room = room
        self._tell()

    def give_up(self, problem: AgentflowError) -> None:
        """Say to all who wait, now and later, that there is nobody, until somebody is added."""
        self._problem = problem
        self._tell()

    async def take(self, *, alone: bool) -> Hand:
        """Return a process to be given work, `alone` one that has no other; give it back after that.

        Raises:
            AgentflowError: There is none, and none is coming.
        """
        while True:
            free = [hand for hand in self._hands if not hand.is_alone and hand.busy < self._room]
            if free:
                hand = min(free, key=lambda hand: (hand.busy, self._load(hand.node)))
                hand.busy += 1
                if not alone or await self._emptied(hand):
                    return hand
            elif self._problem is not None and not self._hands:
                raise self._problem
            else:
                await self._changed.wait()

    def give_back(self, hand: Hand) -> None:
        """Say that a piece of work of a process is over."""
        hand.busy -= 1
        if not hand.busy:
            hand.is_alone = False
            if hand not in self._hands:
                hand.gone.set()
        hand.changed.set()
        hand.changed = anyio.Event()
        self._tell()

    async def _emptied(self, hand: Hand) -> bool:
        """Wait until the caller's is the only work of a process; return whether it is still there."""
        hand.is_alone = True
        try:
            while hand.busy > 1 and hand in self._hands:
                await hand.changed.wait()
        except BaseException:
            self._unclaim(hand)
            raise
        if hand not in self._hands:
            self._unclaim(hand)
            return False
        return True

    def _unclaim(self, hand: Hand) -> None:
        hand.is_alone = False
        self.give_back(hand)

    def _load(self, node: str) -> int:
        return sum(hand.busy for hand in self._hands if hand.node == node)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
