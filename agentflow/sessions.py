"""One opened environment in one run: what it was told, and the thing itself once it is needed.

Owns the two kinds of steps on it: actions, which make its history, and looks, which change nothing. How
it was made and what it was told is part of the input of both, so a result is taken over only where all
of that is the same. The thing is made when something first has to happen: on replay, never.
"""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread

from agentflow.cancelling import uncancelled
from agentflow.code import target_of
from agentflow.data import canonical, from_json
from agentflow.engine.lineage import child_key
from agentflow.engine.run import ActiveRun, Step
from agentflow.engine.steps import Body, StepCall, current_frame, perform
from agentflow.errors import AgentflowError, BudgetExceededError, EpisodeOverError, ToolError
from agentflow.signature import Signature

HISTORY = "$after"  # in the input of a step: what names the history before it

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ActionTaken:
    """An action as recorded: its name, its arguments, and its result as JSON (None: it failed)."""

    name: str
    arguments: dict[str, Any]
    output: bytes | None


class Thing(Protocol):
    """What a session needs of an environment that has been made."""

    def is_over(self) -> bool:
        """Return whether actions are refused from now on."""
        ...

    def restore(self, actions: Sequence[ActionTaken]) -> None:
        """Bring a new thing to where `actions` led."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class Act(Protocol):
    """What a session needs of a method that is an action."""

    name: str
    function: Callable[..., Any]
    signature: Signature

    def code(self) -> str:
        """Return the hash of the method's code."""
        ...


class Session:
    """An environment's history in one run, and how much of it the thing has been told."""

    def __init__(
        self,
        kind: type[Any],
        signature: Signature,
        arguments: dict[str, Any],
        *,
        prefix: str = "",
    ) -> None:
        self._kind, self._signature, self._arguments = kind, signature, arguments
        self._prefix = prefix  # of the steps' names, before the action's
        self._id = ""
        self._history: list[ActionTaken] = []
        self._digest = _digest(target_of(kind).encode() + signature.write_input(arguments))
        self._asked: dict[str, Any] = {}  # the arguments of the action under way
        self._lock = anyio.Lock()  # one history: steps happen one after the other
        self._run: Any = None
        self._thing: Thing | None = None
        self._told = 0

    def begin(self, id: str, run: ActiveRun) -> None:  # noqa: A002 - it is one
        """Belong to a run from now on; `id` is what the journal calls the environment."""
        self._id, self._run = id, run
        run.services.at_end(self._close)

    async def act(
        self,
        made: Act,
        signature: Signature,
        given: tuple[tuple[Any, ...], dict[str, Any]],
        details: dict[str, Any] | None = None,
    ) -> Any:
        """Take an action as a step called as `signature` is.

        Raises:
            InputError: The arguments do not fit.
            EpisodeOverError: The environment's episode is over; nothing happened.
            ToolError: The action raised; its type and message are kept.
            EnvironmentRestoreError: The thing could not be brought to where the record left it.
        """
        arguments = signature.bind(*given)
        async with self._lock:
            self._catch_up()
            doing = _Doing(self, made, signature, details or {})
            try:
                value = await perform(*doing.as_step(arguments))
            except BudgetExceededError:  # refused, so it never happened
                raise
            except BaseException:  # what failed or was cancelled may have changed something, too
                self._note(ActionTaken(made.name, self._asked, doing.output))
                raise
            self._note(ActionTaken(made.name, self._asked, signature.write_output(value)))
        return value

    async def look(self, what: str, signature: Signature) -> Any:
        """Return what the thing's method `what` says now, as a step; it is called as `signature` is.

        Raises:
            ToolError: The method raised.
            OutputError: It returned something else than it should.
        """
        async with self._lock:
            self._catch_up()

            async def body(_step: Step) -> Any:
                thing = await self.restored()
                say = getattr(thing, what)
                return signature.check_output(await _carried_out(say, signature.name))

            call: StepCall[Any] = StepCall(
                name=signature.name,
                kind="tool",
                input=canonical({HISTORY: self._digest}),
                write=signature.write_output,
                read=signature.read_output,
            )
            return await perform(call, body)

    def begun(self, arguments: dict[str, Any]) -> tuple[bytes, list[Any]]:
        """Return input and place of the action that begins now."""
        self._asked = arguments
        given = canonical(arguments | {HISTORY: self._digest})
        return given, [self._id, len(self._history)]

    async def restored(self) -> Thing:
        """Return the thing, made if need be, after telling it what it has missed."""
        thing = self._thing
        if thing is None:
            args, kwargs = self._signature.split(self._arguments)
            thing = self._thing = await _made(self._kind, args, kwargs)
        missed = self._history[self._told :]
        if missed:
            await _in_thread(lambda: thing.restore(missed))
            self._told = len(self._history)
        return thing

    async def apply(
        self, function: Callable[..., Any], signature: Signature, arguments: dict[str, Any]
    ) -> Any:
        """Carry out an action that has not happened yet."""
        thing = await self.restored()
        args, kwargs = signature.split(arguments)
        self._told = len(self._history) + 1
        if await _carried_out(thing.is_over, signature.name):
            raise EpisodeOverError(tool=signature.name)
        return await _carried_out(function, signature.name, thing, *args, **kwargs)

    async def close(self) -> None:
        """Close the thing if it was made."""
        await _in_thread(self._close)

    def _close(self) -> None:
        thing, self._thing, self._told = self._thing, None, 0
        if thing is not None:
            thing.close()

    def _catch_up(self) -> None:
        """Take in the actions that happened inside flows which were taken over as a whole."""
        source = self._run.source
        if source is None:
            return
        for name, given, output in source.actions_taken(self._id, len(self._history)):
            arguments = {key: value for key, value in from_json(given).items() if key != HISTORY}
            action = name.removeprefix(self._prefix).rpartition(".")[2]
            self._note(ActionTaken(action, arguments, output))

    def _note(self, taken: ActionTaken) -> None:
        self._history.append(taken)
        self._digest = _digest(self._digest.encode() + canonical([taken.name, taken.arguments]))


@dataclass
class _Doing:
    """One action on its way to being a step."""

    session: Session
    made: Act
    signature: Signature
    details: dict[str, Any]
    output: bytes | None = field(default=None, init=False)  # once it has happened

    def as_step(self, arguments: dict[str, Any]) -> tuple[StepCall[Any], Body[Any]]:
        session, signature = self.session, self.signature

        async def body(_step: Step) -> Any:
            done = await session.apply(self.made.function, signature, arguments)
            value = signature.check_output(done)
            self.output = signature.write_output(value)
            return value

        run = current_frame(signature.name).run
        target = target_of(self.made.function)
        code = run.code_details(self.made.signature.name, target, self.made.code)
        given, place = session.begun(from_json(signature.write_input(arguments)))
        call: StepCall[Any] = StepCall(
            name=signature.name,
            kind="tool",
            input=given,
            write=signature.write_output,
            read=signature.read_output,
            details=self.details | code | {"environment": place},
            edit=lambda edits: self.as_step(signature.bind((), {**arguments, **edits.input})),
        )
        return call, body


def session_here(name: str, make: Callable[[], Session]) -> Session:
    """Return the session of the environment `name` in the episode around the current step.

    An episode belongs to a step (see `episodes.py`); without one, it is the whole run.

    Raises:
        NoRunError: No run is active here.
    """
    frame = current_frame(name)
    opened = frame.run.services.environments
    step: Step | None = frame.step
    while step is not None and step.key not in opened:
        step = step.parent
    episode = b"" if step is None else step.key
    sessions = opened.setdefault(episode, {})
    if name not in sessions:
        sessions[name] = make()
        sessions[name].begin(child_key(episode, "environment", name, "").hex(), frame.run)
    found: Session = sessions[name]
    return found


async def _carried_out(function: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method of a thing, in a worker thread unless it is async."""
    try:
        if inspect.iscoroutinefunction(function):
            return await function(*args, **kwargs)
        return await _in_thread(lambda: function(*args, **kwargs))
    except AgentflowError:
        raise
    except Exception as error:
        raise ToolError(tool=name, name=type(error).__name__, message=str(error)) from error


async def _made(kind: type[Any], args: list[Any], kwargs: dict[str, Any]) -> Thing:
    made: Thing = await _in_thread(lambda: kind(*args, **kwargs))
    return made


async def _in_thread(work: Callable[[], T]) -> T:
    return await uncancelled(anyio.to_thread.run_sync(work))


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=8).hexdigest()
