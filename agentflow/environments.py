"""Stateful things that flows and models act on: a game, a browser, a shell, a simulation.

Owns `Environment`, `@action`, and an environment under a name, whose actions are tools. An action's call
is a step like a tool's. When a resumed or forked run comes to an action that has to happen, the
environment is first brought to where its recorded actions led: by default it is made anew and told them
again, and what it answers is compared with the record. See `sessions.py`.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

import anyio.from_thread

from agentflow.code import code_hash, target_of
from agentflow.data import Data, canonical, from_json
from agentflow.engine.run import Step
from agentflow.engine.steps import StepCall, current_frame, perform
from agentflow.errors import AgentflowError, EnvironmentRestoreError
from agentflow.sessions import ActionTaken, Session, session_here
from agentflow.signature import Signature
from agentflow.tools import Tool

__all__ = [
    "Action",
    "ActionTaken",
    "ActionTool",
    "Environment",
    "Move",
    "NamedEnvironment",
    "action",
]

Move = tuple[str, dict[str, Data]]  # an action by name, and its arguments

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


class Action(Generic[S, P, T]):
    """A method of an environment that is a step when it is called on an opened one."""

    def __init__(self, function: Callable[Concatenate[S, P], T]) -> None:
        self.function = function
        self.signature = _bound(function)
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
        session: Session | None = instance.__dict__.get("_session")
        if session is None:
            return functools.partial(cast("Any", self.function), instance)
        return functools.partial(self._call, session)

    def code(self) -> str:
        """Return the hash of the method's code."""
        return self._code

    async def _call(self, session: Session, *args: Any, **kwargs: Any) -> Any:
        return await session.act(self, self.signature, (args, kwargs))


def action(function: Callable[Concatenate[S, P], T]) -> Action[S, P, T]:
    """Make a method of an `Environment` an action; sync ones run in a worker thread.

    Raises:
        TypeError: Its signature cannot be recorded.
    """
    return Action(function)


class Environment:
    """Base of stateful things. Write a constructor and actions; open it inside a flow, or name it.

    The constructor's arguments are plain data, and with the same arguments and the same actions the
    same things must happen: give a seed where chance plays. `opening`, `score`, `best_score`, `is_over`
    and `walkthrough` change nothing and may be overridden where there is something to say.
    """

    def __init__(self) -> None:
        """Make it; it takes no options unless a subclass says so."""

    def opening(self) -> str:
        """Return what an agent sees before its first action."""
        return ""

    def score(self) -> float | None:
        """Return how well it went so far, in the environment's own points; None if it keeps none."""
        return None

    def best_score(self) -> float | None:
        """Return the best score that it had so far; override it where a score may also fall."""
        return self.score()

    def is_over(self) -> bool:
        """Return whether the episode has ended; every further action is an `EpisodeOverError`."""
        return False

    def walkthrough(self) -> list[Move] | None:
        """Return actions that solve it from its opening on; None if it knows none.

        It is for oracles in evaluations: neither a model nor a program ever gets to see it.
        """
        return None

    @classmethod
    async def open(cls, *args: Any, **kwargs: Any) -> Self:
        """Return an opened environment; the opening is a step, the thing is made when first needed.

        Raises:
            NoRunError: No run is active here.
            InputError: The arguments do not fit the constructor.
        """
        signature = _bound(cls.__init__, f"{cls.__name__}.open")
        arguments = signature.bind(args, kwargs)

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
        session = Session(cls, signature, arguments)
        session.begin(key.hex(), frame.run)
        opened = object.__new__(cls)
        opened.__dict__["_session"] = session
        return opened

    @classmethod
    def named(cls, name: str, /, **options: Any) -> "NamedEnvironment":
        """Return the environment under a name, for a runner: `Runner(tools=NAME.tools())`.

        Args:
            name: A Python identifier; its action `look` is the tool `NAME_look`.
            options: The constructor's arguments.

        Raises:
            InputError: The options do not fit the constructor.
            ValueError: The name is no identifier.
        """
        return NamedEnvironment(name, cls, options)

    def restore(self, actions: Sequence[ActionTaken]) -> None:
        """Bring a new environment to where `actions` led; override it where there is a quicker way.

        Raises:
            EnvironmentRestoreError: It answered otherwise than recorded.
        """
        for taken in actions:
            # What came after the end was refused then, too.
            output = None if self.is_over() else self._told_again(taken)
            if output != taken.output and not self.agrees(taken, output):
                problem = (
                    f"told {taken.name}({taken.arguments}) again, it answered otherwise than "
                    "recorded; give it a seed, or override `restore`"
                )
                raise EnvironmentRestoreError(environment=type(self).__name__, problem=problem)

    def agrees(self, taken: ActionTaken, output: bytes | None) -> bool:  # noqa: ARG002 - for overriding
        """Return whether `output`, told `taken` again, differs from the record by mere noise.

        Override it where an instrument is read with an error that no seed decides.
        """
        return False

    def close(self) -> None:
        """Release what the environment holds; called when the episode or the run ends."""

    def _told_again(self, taken: ActionTaken) -> bytes | None:
        made: Action[Any, ..., Any] = getattr(type(self), taken.name)
        arguments = made.signature.read_input(canonical(taken.arguments))
        args, kwargs = made.signature.split(arguments)
        try:
            value = made.function(self, *args, **kwargs)
            if inspect.iscoroutine(value):  # restoring happens in a worker thread
                value = anyio.from_thread.run(_awaited, value)
            return made.signature.write_output(made.signature.check_output(value))
        except AgentflowError:
            raise
        except Exception:  # noqa: BLE001 - it may have failed when it was recorded, too
            return None


@dataclass(eq=False)
class NamedEnvironment:
    """An environment under a name: one fresh instance an episode, opened when it is first needed.

    `use` is where a resume finds it: its entry point, or else `module:Class`.
    """

    name: str
    kind: type[Environment]
    options: dict[str, Any]
    use: str = ""
    _signature: Signature = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(
                f"the name of an environment is a Python identifier, not {self.name!r}"
            )
        self.use = self.use or target_of(self.kind)
        self._signature = _bound(self.kind.__init__, self.name)
        self.options = self._signature.bind((), self.options)

    @property
    def actions(self) -> dict[str, Action[Any, ..., Any]]:
        """Its actions by name, in the order in which they are written, inherited ones first."""
        return {made.name: made for made in _actions(self.kind)}

    def tools(self, *actions: str) -> tuple["ActionTool", ...]:
        """Return those actions as tools; all of them if none is named.

        Raises:
            ValueError: It has no such action.
        """
        known = self.actions
        unknown = [name for name in actions if name not in known]
        if unknown:
            have = ", ".join(known) or "none"
            raise ValueError(f"{self.name} has no action {unknown[0]!r} (it has {have})")
        return tuple(ActionTool(self, known[name]) for name in actions or known)

    def session(self) -> Session:
        """Return what happens to it in the current episode; nothing is opened by that.

        Raises:
            NoRunError: No run is active here.
        """
        prefix = f"{self.name}_"
        return session_here(
            self.name, lambda: Session(self.kind, self._signature, self.options, prefix=prefix)
        )

    async def shown_first(self) -> str:
        """Return what an agent sees before its first action, as a step; empty if nothing."""
        if self.kind.opening is Environment.opening:
            return ""
        return cast("str", await self._look("opening", _OPENING))

    async def score(self) -> float | None:
        """Return its score so far, as a step.

        Raises:
            ToolError: Its `score` raised.
        """
        return cast("float | None", await self._look("score", _SCORE))

    async def best_score(self) -> float | None:
        """Return the best score that it had so far, as a step.

        Raises:
            ToolError: Its `best_score` raised.
        """
        return cast("float | None", await self._look("best_score", _BEST_SCORE))

    async def walkthrough(self) -> list[Move] | None:
        """Return actions that solve it from its opening on, as a step; None if it knows none.

        Raises:
            ToolError: Its `walkthrough` raised.
        """
        if self.kind.walkthrough is Environment.walkthrough:
            return None
        return cast("list[Move] | None", await self._look("walkthrough", _WALKTHROUGH))

    def recorded(self) -> dict[str, Any]:
        """Return what a run writes down, to find and make it again."""
        return {
            "use": self.use,
            "options": from_json(self._signature.write_input(self.options)),
        }

    async def _look(self, what: str, signature: Signature) -> Any:
        return await self.session().look(what, signature.renamed(f"{self.name}_{what}"))


class ActionTool(Tool[..., Any]):
    """An action of a named environment as a tool, for models and programs.

    It has an effect, since what comes after it depends on it: nobody calls two side by side.
    """

    def __init__(self, environment: NamedEnvironment, made: Action[Any, ..., Any]) -> None:
        method = cast("Any", made.function).__get__(object())
        super().__init__(method, name=f"{environment.name}_{made.name}", effect=True)
        self.environment, self.action = environment, made

    async def call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], details: dict[str, Any] | None = None
    ) -> Any:
        """Take the action on the current episode's environment; see `Session.act`."""
        session = self.environment.session()
        return await session.act(self.action, self.signature, (args, kwargs), details)


def _actions(kind: type[Environment]) -> Iterator[Action[Any, ..., Any]]:
    names = dict.fromkeys(name for base in reversed(kind.__mro__) for name in vars(base))
    found = (getattr(kind, name) for name in names)
    return (made for made in found if isinstance(made, Action))


async def _awaited(work: Coroutine[Any, Any, T]) -> T:
    return await work


def _bound(function: Callable[..., Any], name: str | None = None) -> Signature:
    """Return the signature of a method without `self`."""
    signature = Signature(cast("Any", function).__get__(object()))
    return signature if name is None else signature.renamed(name)


_OPENING, _SCORE = _bound(Environment.opening), _bound(Environment.score)
_BEST_SCORE, _WALKTHROUGH = _bound(Environment.best_score), _bound(Environment.walkthrough)
