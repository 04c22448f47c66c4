"""Hand work on to children without end to it: which, how many, how deep, and what became of them.

Owns the guards of recursion and the crew of children at work beside the one who started them. Knows no
planner and no prompt. What a child may hand on is dealt out on its way down and never counted across
branches: whatever branch is faster, a resumed run refuses what the run refused.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from difflib import SequenceMatcher
from typing import Any

import anyio
from anyio.abc import TaskGroup

from agentflow import Tool, tool
from agentflow.errors import (
    BudgetExceededError,
    ContextLengthError,
    ExpansionError,
    MalformedReplyError,
)
from agentflow_planners.shared.values import Count as Count
from agentflow_planners.shared.values import Frozen

FAILURES = (ExpansionError, MalformedReplyError, ContextLengthError, BudgetExceededError)
SIMILAR = 0.8
MAX_COMPARED_CHARS = 400  # longer texts are compared by words: by characters it takes seconds
MAX_COMPARED_WORDS = 1_000
WAYS = 4

Trivial = Callable[[str, str], str]


class Bounds(Frozen):
    """How far one tree may grow: levels below its root, children of one unit, units below the root."""

    depth: Count
    width: Count
    total: Count

    def root(self) -> "Place":
        """Return the place of the tree's root."""
        return Place(level=0, allowance=self.total)


class Place(Frozen):
    """Where a unit stands: its level, counted from 0, and how many units there may be below it."""

    level: int
    allowance: int


def similarity(one: str, other: str) -> float:
    """Return how alike two texts are, from 0 to 1, whatever their case and spaces."""
    first, second = one.casefold().split(), other.casefold().split()
    pair: tuple[Sequence[str], Sequence[str]] = (" ".join(first), " ".join(second))
    if max(map(len, pair)) > MAX_COMPARED_CHARS:
        pair = (first[:MAX_COMPARED_WORDS], second[:MAX_COMPARED_WORDS])
    # `autojunk` takes the letters of a longer text for noise, and equal texts for different ones.
    return SequenceMatcher(None, *pair, autojunk=False).ratio()


def nearly_same(part: str, whole: str) -> str:
    """Return what is wrong with handing on `part` of `whole` when it is nearly all of it, else nothing."""
    if similarity(part, whole) <= SIMILAR:
        return ""
    return "that is nearly the whole task: do it yourself, or hand on a part of it"


def not_smaller(part: str, whole: str) -> str:
    """Return what is wrong when `part` is no smaller than `whole`: longer, or the same; else nothing."""
    own, other = " ".join(part.split()), " ".join(whole.split())
    if len(own) < len(other) or (len(own) == len(other) and own != other):
        return ""
    return "that is no smaller than the task itself"


class Delegating:
    """What one unit hands on to children of its own.

    The children that are still allowed to come are kept free, and of what is left beyond them each new
    one gets its share.
    """

    def __init__(
        self, own: str, place: Place, bounds: Bounds, trivial: Trivial = nearly_same
    ) -> None:
        self._own, self._place, self._bounds = own, place, bounds
        self._trivial = trivial
        self._left, self._used = place.allowance, 0

    @property
    def room(self) -> int:
        """How many more children there may be."""
        if self._place.level >= self._bounds.depth:
            return 0
        return max(0, min(self._bounds.width - self._used, self._left))

    @property
    def unused(self) -> int:
        """How many units there may still be below."""
        return self._left

    def admit(self, text: str, *, ways: int = WAYS) -> Place:
        """Return the place of a child that gets `text` to do, and count it.

        Args:
            text: Its task.
            ways: It may hand on one `ways`-th of what is left.

        Raises:
            ExpansionError: It would be trivial, or too deep, or one too many.
        """
        problem = self._problem(text)
        if problem:
            raise ExpansionError(step="delegate", problem=problem)
        kept = min(self._bounds.width - self._used, self._left)
        share = (self._left - kept) // ways
        return self._counted(share)

    def admit_leaf(self) -> Place:
        """Return the place of a child that may hand on nothing, whatever it gets to do, and count it."""
        return self._counted(0).model_copy(update={"level": self._bounds.depth})

    def give_back(self, units: int) -> None:
        """Take back what a child was allowed and has not used."""
        self._left += units

    def _counted(self, share: int) -> Place:
        self._used, self._left = self._used + 1, self._left - 1 - share
        return Place(level=self._place.level + 1, allowance=share)

    def _problem(self, text: str) -> str:
        if not text.strip():
            return "there is nothing to do in it"
        if self._place.level >= self._bounds.depth:
            return f"{self._bounds.depth} levels are all there may be: do it yourself"
        if self._used >= self._bounds.width:
            return f"{self._bounds.width} are all that one may hand on: do the rest yourself"
        if self._left < 1:
            return f"all of the {self._bounds.total} of the tree are given out: do it yourself"
        return self._trivial(text, self._own)


class Unrecorded(Tool[..., Any]):
    """A tool whose call is no step of its own: what it starts is. It is only called with data."""

    async def call(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        details: dict[str, Any] | None = None,  # noqa: ARG002 - the tool's own interface
    ) -> Any:
        """Call the function with checked arguments, without a step."""
        positional, named = self.signature.split(self.signature.bind(args, kwargs))
        return await self.function(*positional, **named)


class Crew:
    """Children at work, by name, beside the one who started them."""

    def __init__(self, group: TaskGroup) -> None:
        self._group, self._news = group, anyio.Event()
        self._found: dict[str, Any] = {}  # in the order in which they ended

    def start(self, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        """Let `name` begin with its work; if it has worked before, its earlier outcome is forgotten."""
        self._found.pop(name, None)
        self._group.start_soon(self._carry_out, name, work)

    async def next_of(self, names: Sequence[str]) -> str:
        """Return which of these ended first.

        The wait is no step, the finding is one: a resumed or replayed run hears of its children in
        the order in which the run did.
        """
        await self._until(lambda: any(name in self._found for name in names))
        name = await tool(name="first_ended")(self._first_ended)(list(names))
        await self._until(lambda: name in self._found)
        return name

    async def outcome(self, name: str) -> Any:
        """Return what a child found, or the error of `FAILURES` that it ended with.

        Raises:
            Exception: It ended with another one.
        """
        await self._until(lambda: name in self._found)
        found = self._found[name]
        if isinstance(found, Exception) and not isinstance(found, FAILURES):
            raise found
        return found

    async def _carry_out(self, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        try:
            self._found[name] = await work()
        except Exception as error:  # noqa: BLE001 - kept for whoever asks; its step tells of it, too
            self._found[name] = error
        self._news.set()
        self._news = anyio.Event()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await self._news.wait()

    async def _first_ended(self, among: list[str]) -> str:
        """Return which of these ended first; one has."""
        return next(name for name in self._found if name in among)


@asynccontextmanager
async def crew() -> AsyncIterator[Crew]:
    """Give a crew that ends with the block; what is still at work then is cancelled.

    Raises:
        Exception: What the block raised, as it was.
    """
    failed: Exception | None = None
    async with anyio.create_task_group() as group:
        try:
            yield Crew(group)
        except Exception as error:  # noqa: BLE001 - raised below: a task group would wrap it
            failed = error
        group.cancel_scope.cancel()
    if failed is not None:
        raise failed


def reason_of(error: Exception) -> str:
    """Return why a child failed, in words for its parent."""
    return str(getattr(error, "problem", "") or error)
