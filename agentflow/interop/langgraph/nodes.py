"""A node of a LangGraph graph as a step of a run.

Owns what happens around a node: its step, what is recorded of it (everything it wrote, so also where
its edges led), and its interrupts. What a node writes reaches LangGraph only when the node is done,
from its own end or from the record alike.
"""

import dataclasses
import itertools
import json
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import patch_config
from langgraph._internal._constants import (
    CONF,
    CONFIG_KEY_READ,
    CONFIG_KEY_RUNTIME,
    CONFIG_KEY_SCRATCHPAD,
    CONFIG_KEY_SEND,
    RESUME,
)
from langgraph.errors import GraphInterrupt, ParentCommand
from langgraph.types import Command

from agentflow.data import NotPlainError, canonical
from agentflow.engine.notes import note
from agentflow.engine.run import Step
from agentflow.engine.steps import StepCall, perform
from agentflow.errors import OutputError, PayloadError, UnmappableError
from agentflow.interop.langgraph.codec import Codec
from agentflow.interop.langgraph.messages import MessageIds
from agentflow.interop.langgraph.places import branch, namespace_of, place_of
from agentflow.interop.langgraph.questions import Asked, answer_to, asked_by

Write = tuple[str, Any]
HERE = "__here__"  # stands for the node's own namespace, which is another one in every run


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass through a node did: its writes, what it asked, or the command it left its graph with."""

    writes: tuple[Write, ...] = ()
    asked: tuple[Asked, ...] = ()
    parent: Command[Any] | None = None


class JournaledNode(Runnable[Any, Any]):
    """Runs `inner`, a node with its writers, as a step: one for every pass that its interrupts need."""

    def __init__(self, name: str, inner: Runnable[Any, Any], codec: Codec, ids: MessageIds) -> None:
        self.name, self._inner, self._codec, self._ids = name, inner, codec, ids

    def invoke(self, input: Any, config: RunnableConfig | None = None, **_options: Any) -> Any:  # noqa: A002, ARG002 - the protocol's
        """Refuse: a run is async.

        Raises:
            UnmappableError: Always.
        """
        raise UnmappableError(graph=str(self.name), problem="a run invokes its graph with ainvoke")

    async def ainvoke(
        self,
        input: Any,  # noqa: A002 - the protocol's
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> Any:
        """Run the node, or take what it did from the record, and hand its writes to LangGraph."""
        assert config is not None
        place = place_of(config)
        answers: list[Any] = []
        with branch(place):
            outcome = await self._pass(input, config, options, place, answers)
            while outcome.asked:
                answers += [await answer_to(asked) for asked in outcome.asked]
                key = f"{place}?{len(answers)}"
                outcome = await self._pass(input, config, options, key, answers)
        if outcome.parent is not None:
            raise ParentCommand(outcome.parent)
        config[CONF][CONFIG_KEY_SEND](outcome.writes)

    async def _pass(
        self, given: Any, config: RunnableConfig, options: Any, key: str, answers: list[Any]
    ) -> Outcome:
        """Perform one pass from the node's start, with the answers it has got so far."""

        async def body(_step: Step) -> Outcome:
            return self._settled(await self._run(given, config, options, answers), key)

        read = {"input": given, "answers": answers} if answers else {"input": given}
        call: StepCall[Outcome] = StepCall(
            name=str(self.name),
            kind="code",  # its result is on disk before anybody uses it
            key=key,
            input=self._dump(read),
            write=lambda outcome: self._dump(_facts(outcome, config)),
            read=lambda recorded: self._load(recorded, config),
        )
        return await perform(call, body)

    async def _run(
        self, given: Any, config: RunnableConfig, options: Any, answers: list[Any]
    ) -> Outcome:
        once = _Pass(config, answers)
        try:
            await self._inner.ainvoke(given, once.config, **options)
        except GraphInterrupt as stop:
            return Outcome(asked=asked_by(stop, str(self.name), self._codec))
        except ParentCommand as leaving:
            return Outcome(parent=leaving.args[0])
        finally:
            once.tell()
        return Outcome(tuple(item for item in once.writes if item[0] != RESUME))

    def _settled(self, outcome: Outcome, place: str) -> Outcome:
        """Give messages without an id one that is the same on every run."""
        if outcome.parent is not None:
            update = self._ids.settle_all(outcome.parent.update, place)
            return Outcome(parent=dataclasses.replace(outcome.parent, update=update))
        writes = [
            (channel, self._ids.settle(channel, value, f"{place} {at}"))
            for at, (channel, value) in enumerate(outcome.writes)
        ]
        return Outcome(tuple(writes), outcome.asked)

    def _dump(self, value: Any) -> bytes:
        try:
            return canonical(self._codec.write(value))
        except NotPlainError as error:
            raise PayloadError(step=str(self.name), problem=str(error)) from error

    def _load(self, recorded: bytes, config: RunnableConfig) -> Outcome:
        try:
            facts = self._codec.read(json.loads(recorded))
        except ValueError as error:
            raise OutputError(step=str(self.name), problem=str(error)) from error
        leaving = facts.get("parent")
        if leaving is not None and leaving.graph == HERE:
            leaving = dataclasses.replace(leaving, graph=namespace_of(config))
        writes = tuple((channel, value) for channel, value in facts.get("writes", ()))
        asked = tuple(Asked(**item) for item in facts.get("asked", ()))
        return Outcome(writes, asked, leaving)


def _facts(outcome: Outcome, config: RunnableConfig) -> dict[str, Any]:
    """Return an outcome as it is recorded."""
    leaving = outcome.parent
    if outcome.asked:
        return {"asked": [dataclasses.asdict(item) for item in outcome.asked]}
    if leaving is None:
        return {"writes": [list(item) for item in outcome.writes]}
    if leaving.graph == namespace_of(config):
        leaving = dataclasses.replace(leaving, graph=HERE)
    return {"parent": leaving}


class _Pass:
    """One pass through a node, with writes and counters of its own and the answers given so far."""

    def __init__(self, config: RunnableConfig, answers: list[Any]) -> None:
        self.writes: deque[Write] = deque()
        self._told: deque[Any] = deque()
        self._answers = iter(list(answers))
        conf = config[CONF]
        scratchpad = dataclasses.replace(
            conf[CONFIG_KEY_SCRATCHPAD],
            resume=[],
            get_null_resume=self._next_answer,
            interrupt_counter=_counter(),
            subgraph_counter=_counter(),
            call_counter=_counter(),
        )
        changed = {
            CONFIG_KEY_SEND: self.writes.extend,
            CONFIG_KEY_SCRATCHPAD: scratchpad,
            CONFIG_KEY_READ: _reading(conf[CONFIG_KEY_READ], scratchpad, self.writes),
        }
        if CONFIG_KEY_RUNTIME in conf:
            changed[CONFIG_KEY_RUNTIME] = conf[CONFIG_KEY_RUNTIME].override(
                stream_writer=self._told.append
            )
        self.config = patch_config(config, configurable=changed)

    def tell(self) -> None:
        """Note what the node has written to LangGraph's stream."""
        for told in self._told:
            note(told if isinstance(told, str) else repr(told), source="stream_writer")

    def _next_answer(self, consume: bool = False) -> Any:
        """Return the next answer: a pass asks for them in the order in which they were given."""
        return next(self._answers, None) if consume else None


def _counter() -> Callable[[], int]:
    return itertools.count().__next__


def _reading(read: Any, scratchpad: Any, writes: deque[Write]) -> Any:
    """Return LangGraph's function that reads state, with this pass's writes as what is fresh."""
    _, channels, managed, task = read.args
    return partial(read.func, scratchpad, channels, managed, task._replace(writes=writes))
