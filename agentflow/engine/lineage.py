"""Who a step is, whatever order the branches run in.

Owns the identity of steps (invariant 1): a hash of the parent, the name and the ordinal of the call
within the calling task's own lineage, or of an explicit key. A task forks its creator's lineage at
the moment it is created, so plain gather and task groups give every branch its own numbering and
no clock, random number or order of completion can change an identity.

Source of the idea: lineage ids of Resonate's SDK (resonatehq/resonate-sdk-py PR 438).
"""

import asyncio
import contextvars
import hashlib
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from agentflow.engine.run import ActiveRun, Step

KEY_BYTES = 16


def child_key(parent: bytes, tag: str, name: str, ordinal: str) -> bytes:
    """Return the 16-byte identity of a child; the parts are separated, so they cannot run together."""
    text = f"{tag}\0{name}\0{ordinal}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(parent + text, digest_size=KEY_BYTES).digest()


class Frame:
    """Where a task stands: the step whose body it runs, and its own lineage of calls.

    `links` are the numbers of the steps that feed the next step begun here; `first_step` is the
    number of the first step that was.
    """

    __slots__ = ("_forks", "_lineage", "_ordinals", "first_step", "links", "run", "step")

    def __init__(
        self, run: "ActiveRun", step: "Step", lineage: bytes, links: tuple[int, ...] = ()
    ) -> None:
        self.run, self.step, self.links = run, step, links
        self.first_step = 0
        self._lineage = lineage
        self._ordinals: dict[str, int] | None = None  # most frames belong to leaves
        self._forks = 0

    def next_key(self, name: str, key: str | None) -> bytes:
        """Return the identity of the next step called `name` from here.

        Raises:
            ValueError: `key` was already used for a step of that name under the same parent.
        """
        if key is not None:
            self.step.claim(name, key)
            return child_key(self.step.key, "key", name, key)
        if self._ordinals is None:
            self._ordinals = {}
        ordinal = self._ordinals.get(name, 0)
        self._ordinals[name] = ordinal + 1
        return child_key(self._lineage, "call", name, str(ordinal))

    def peek_key(self, name: str) -> bytes:
        """Return the identity that the next step called `name` will get without an explicit key."""
        ordinal = 0 if self._ordinals is None else self._ordinals.get(name, 0)
        return child_key(self._lineage, "call", name, str(ordinal))

    def fork(self) -> "Frame":
        """Return the frame of a task created here."""
        self._forks += 1
        lineage = child_key(self._lineage, "task", "", str(self._forks))
        return Frame(self.run, self.step, lineage)


FRAME: ContextVar[Frame] = ContextVar("agentflow_frame")


class Branches:
    """Named branches of one step, which know each other's steps as data dependencies."""

    def __init__(self) -> None:
        self._owner = FRAME.get()
        self._frames: dict[str, Frame] = {}

    @contextmanager
    def enter(
        self, name: str, fed_by: Mapping[str, object] | tuple[str, ...] = ()
    ) -> Iterator[None]:
        """Run the body in the lineage of branch `name`, linked to the branches that feed it."""
        links = tuple(self._frames[other].first_step for other in fed_by if other in self._frames)
        owner = self._owner
        lineage = child_key(owner.step.key, "branch", name, "")
        frame = self._frames[name] = Frame(owner.run, owner.step, lineage, links)
        token = FRAME.set(frame)
        try:
            yield
        finally:
            FRAME.reset(token)


class LineageTaskFactory:
    """A task factory for one event loop: every new task forks the lineage of its creator."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> "asyncio.Future[Any]":
        """Create a task the way the loop would, in a context with a lineage of its own."""
        frame = FRAME.get(None)
        if frame is not None:
            context = options.get("context") or contextvars.copy_context()
            context.run(FRAME.set, frame.fork())
            options["context"] = context
        if self._inner is not None:
            made: asyncio.Future[Any] = self._inner(loop, coroutine, **options)
            return made
        return asyncio.Task(coroutine, loop=loop, **options)


def follow_lineage(loop: asyncio.AbstractEventLoop) -> None:
    """Make `loop` fork lineages; doing it twice changes nothing, and outside runs it is inert."""
    factory = loop.get_task_factory()
    if not isinstance(factory, LineageTaskFactory):
        # The stubs of 3.11 know no options; asyncio itself passes `context` by name.
        loop.set_task_factory(cast("Any", LineageTaskFactory(factory)))
