"""Stateful things that flows act on: a game, a browser, a shell, a simulation.

Owns `Environment` and `@action`. An action's call is a step like a tool's; what an environment was told
before is part of its input, so a result is taken over only where the whole history is the same. When a
resumed or forked run comes to an action that has to happen, the environment is first brought to where
its recorded actions led: by default it is made anew and told them again, and what it answers is
compared with the record.
"""

import functools
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

import anyio
import anyio.to_thread

from agentflow.cancelling import uncancelled
from agentflow.code import code_hash, target_of
from agentflow.data import canonical, from_json
from agentflow.engine.run import Step
from agentflow.engine.steps import Body, StepCall, current_frame, perform
from agentflow.errors import AgentflowError, EnvironmentRestoreError, ToolError
from agentflow.signature import Signature

HISTORY = "$after"  # in the input of an action: what names the history before it

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class ActionTaken:
    """An action as recorded: its name, its arguments, and its result as JSON (None: it failed)."""

    name: str
    arguments: dict[str, Any]
    output: bytes | None


class Action(Generic[S, P, T]):
    """A method of an environment that is a step when it is called on an opened one."""

    def __init__(self, function: Callable[Concatenate[S, P], T]) -> None:
        self.function = function
        self.signature = Signature(cast("Any", function).__get__(object()))
        self._code = code_hash(function)
        functools.update_wrapper(cast("Any", self), function)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.signature.name = f"{owner.__name__}.{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: S, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        """Return the step on an opened environment, the plain method on the thing itself."""
        if instance is None:
            return self
        session: _Session | None = instance.__dict__.get("_session")
        if session is None:
            return functools.partial(cast("Any", self.function), instance)
        return functools.partial(self._call, session)

    async def _call(self, session: "_Session", *args: Any, **kwargs: Any) -> Any:
        arguments = self.signature.bind(args, kwargs)
        async with session.lock:  # one history: actions happen one after the other
            session.catch_up()
            return await self._step(session, arguments)

    async def _step(self, session: "_Session", arguments: dict[str, Any]) -> Any:
        output: bytes | None = None
        try:
            value = await perform(*self._as_step(session, arguments))
            output = self.signature.write_output(value)
        finally:  # what failed may have changed something, too
            session.note(ActionTaken(self.name, session.asked, output))
        return value

    def _as_step(
        self, session: "_Session", arguments: dict[str, Any]
    ) -> tuple[StepCall[Any], Body[Any]]:
        async def body(_step: Step) -> Any:
            await session.restore()
            return self.signature.check_output(await session.apply(self.name, arguments))

        session.asked = from_json(self.signature.write_input(arguments))
        run = current_frame(self.signature.name).run
        code = run.code_details(self.signature.name, target_of(self.function), lambda: self._code)
        call: StepCall[Any] = StepCall(
            name=self.signature.name,
            kind="tool",
            input=canonical(session.asked | {HISTORY: session.digest}),
            write=self.signature.write_output,
            read=self.signature.read_output,
            details=code | {"environment": [session.id, len(session.history)]},
            edit=lambda edits: self._as_step(
                session, self.signature.bind((), {**arguments, **edits.input})
            ),
        )
        return call, body


def action(function: Callable[Concatenate[S, P], T]) -> Action[S, P, T]:
    """Make a method of an `Environment` an action; sync ones run in a worker thread.

    Raises:
        TypeError: Its signature cannot be recorded.
    """
    return Action(function)


class Environment:
    """Base of stateful things. Write a constructor and actions; open it inside a flow.

    The constructor's arguments are plain data, and with the same arguments and the same actions the
    same things must happen: give a seed where chance plays.
    """

    @classmethod
    async def open(cls, *args: Any, **kwargs: Any) -> Self:
        """Return an opened environment; the opening is a step, the thing is made when first needed.

        Raises:
            NoRunError: No run is active here.
            InputError: The arguments do not fit the constructor.
        """
        signature = Signature(cast("Any", cls.__init__).__get__(object()))
        signature.name = f"{cls.__name__}.open"
        arguments = signature.bind(args, kwargs)
        session = _Session(cls, signature, arguments)

        async def body(step: Step) -> None:
            step.details["opened"] = True

        frame = current_frame(signature.name)
        key = frame.peek_key(signature.name)
        call: StepCall[None] = StepCall(
            name=signature.name,
            kind="tool",
            input=signature.write_input(arguments),
            write=lambda _value: b"null",
            read=lambda _text: None,
        )
        await perform(call, body)
        session.begin(key.hex(), frame.run)
        opened = object.__new__(cls)
        opened.__dict__["_session"] = session
        return opened

    def restore(self, actions: Sequence[ActionTaken]) -> None:
        """Bring a new environment to where `actions` led; override it where there is a quicker way.

        Raises:
            EnvironmentRestoreError: It answered otherwise than recorded.
        """
        for taken in actions:
            made: Action[Any, ..., Any] = getattr(type(self), taken.name)
            arguments = made.signature.read_input(canonical(taken.arguments))
            args, kwargs = made.signature.split(arguments)
            try:
                value = made.function(self, *args, **kwargs)
                output = made.signature.write_output(made.signature.check_output(value))
            except AgentflowError:
                raise
            except Exception:  # noqa: BLE001 - it may have failed when it was recorded, too
                output = None
            if output != taken.output:
                problem = (
                    f"told {taken.name}({taken.arguments}) again, it answered otherwise than "
                    "recorded; give it a seed, or override `restore`"
                )
                raise EnvironmentRestoreError(environment=type(self).__name__, problem=problem)

    def close(self) -> None:
        """Release what the environment holds; called when the run ends."""


@dataclass(eq=False)
class _Session:
    """One opened environment in one run: its history, and how much of it the thing has been told."""

    kind: type[Environment]
    signature: Signature
    arguments: dict[str, Any]
    id: str = ""
    history: list[ActionTaken] = field(default_factory=list)
    digest: str = ""  # names the history
    asked: dict[str, Any] = field(default_factory=dict)  # the arguments of the action under way
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    _run: Any = None
    _thing: Environment | None = None
    _told: int = 0

    def begin(self, id: str, run: Any) -> None:  # noqa: A002 - it is one
        self.id, self._run = id, run
        run.services.at_end(self._close)

    def catch_up(self) -> None:
        """Take in the actions that happened inside flows which were taken over as a whole."""
        source = self._run.source
        if source is None:
            return
        for name, given, output in source.actions_taken(self.id, len(self.history)):
            arguments = {key: value for key, value in from_json(given).items() if key != HISTORY}
            self.note(ActionTaken(name.rpartition(".")[2], arguments, output))

    def note(self, taken: ActionTaken) -> None:
        """Add an action to the history."""
        self.history.append(taken)
        told = self.digest.encode() + canonical([taken.name, taken.arguments])
        self.digest = hashlib.blake2b(told, digest_size=8).hexdigest()

    async def restore(self) -> None:
        """Make the thing if need be, and tell it what it has missed."""
        if self._thing is None:
            args, kwargs = self.signature.split(self.arguments)
            self._thing = await _in_thread(lambda: self.kind(*args, **kwargs))
        missed = self.history[self._told :]
        if missed:
            thing = self._thing
            await _in_thread(lambda: thing.restore(missed))
            self._told = len(self.history)

    async def apply(self, name: str, arguments: dict[str, Any]) -> Any:
        """Carry out an action that has not happened yet."""
        made: Action[Any, ..., Any] = getattr(self.kind, name)
        args, kwargs = made.signature.split(arguments)
        self._told = len(self.history) + 1
        try:
            if inspect.iscoroutinefunction(made.function):
                value = await made.function(self._thing, *args, **kwargs)
            else:
                value = await _in_thread(lambda: made.function(self._thing, *args, **kwargs))
        except AgentflowError:
            raise
        except Exception as error:
            raise ToolError(
                tool=made.signature.name, name=type(error).__name__, message=str(error)
            ) from error
        return value

    def _close(self) -> None:
        if self._thing is not None:
            self._thing.close()


async def _in_thread(work: Callable[[], T]) -> T:
    return await uncancelled(anyio.to_thread.run_sync(work))
