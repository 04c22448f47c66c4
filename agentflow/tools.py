"""Functions that a flow, a model or a program may call.

Owns `Tool` and `@tool`. A tool's call is a step: recorded, counted, and never repeated on replay.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

import anyio.to_thread

from agentflow.cancelling import uncancelled
from agentflow.code import code_hash, target_of
from agentflow.engine.run import Step
from agentflow.engine.steps import Body, StepCall, current_frame, perform
from agentflow.errors import AgentflowError, ToolError
from agentflow.models.protocol import ToolSpec
from agentflow.placement import Placement, RemoteCall
from agentflow.signature import Signature

P = ParamSpec("P")
T = TypeVar("T")


class Tool(Generic[P, T]):
    """A named function with a typed signature; await a call of it inside a run.

    `effect` says that a call changes something outside: its intent is durable before it starts, it
    gets an `idempotency_key()`, and programs with such a tool in reach run strictly in order. `cache`
    lets other runs take over its results for the same code and input. `remote` sends it to another machine
    where the run is given one (`Runner(on=...)`): for functions that compute, and that can be imported there.
    """

    def __init__(
        self,
        function: Callable[P, T] | Callable[P, Awaitable[T]],
        *,
        name: str | None = None,
        description: str | None = None,
        effect: bool = False,
        cache: bool = False,
        remote: bool = False,
    ) -> None:
        if effect and remote:
            raise ValueError("a tool with effects stays with the journal: drop `remote`")
        if effect and cache:
            raise ValueError("a tool with effects is never answered from another run: drop `cache`")
        self.function = function
        self.signature = Signature(function)
        self.name = self.signature.name = name or function.__name__
        self.description = description or inspect.getdoc(function) or ""
        self.effect, self.cache, self.remote = effect, cache, remote
        self.target = target_of(function)
        self._code = code_hash(function)
        self._is_async = inspect.iscoroutinefunction(function)
        functools.update_wrapper(self, function)

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        schema = self.signature.json_schema()
        return ToolSpec(name=self.name, description=self.description, parameters=schema)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the tool as a step.

        Raises:
            NoRunError: No run is active here.
            InputError: The arguments do not fit.
            ToolError: The function raised; its type and message are kept.
            OutputError: The result does not fit the declared type.
        """
        return await self.call(args, dict(kwargs))

    async def call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], details: dict[str, Any] | None = None
    ) -> T:
        """Call the tool with arguments that came from data: a model's, or a program's."""
        step, body = self._as_step(self.signature.bind(args, kwargs), details or {})
        return await perform(step, body)

    def _as_step(
        self, arguments: dict[str, Any], details: dict[str, Any]
    ) -> tuple[StepCall[T], Body[T]]:
        run = current_frame(self.name).run
        written = self.signature.write_input(arguments)

        async def body(_step: Step) -> T:
            place = run.services.placement() if self.remote else None
            if place is not None:
                return cast("T", await self._invoke_on(place, written))
            return cast("T", self.signature.check_output(await self._invoke(arguments)))

        code = run.code_details(self.name, self.target, self.code)
        step: StepCall[T] = StepCall(
            name=self.name,
            kind="tool",
            input=written,
            write=self.signature.write_output,
            read=self.signature.read_output,
            effect=self.effect,
            cache=f"{self.target} {self.code()}" if self.cache else None,
            details={**details, **code, "effect": True} if self.effect else details | code,
        )
        if run.source is not None:  # only then may there be edits
            step.edit = lambda edits: self._as_step(
                self.signature.bind((), {**arguments, **edits.input}), details
            )
        return step, body

    def code(self) -> str:
        """Return the hash of the function's code."""
        return self._code

    async def _invoke_on(self, place: Placement, written: bytes) -> Any:
        call = RemoteCall(tool=self.name, target=self.target, code=self.code(), input=written)
        return self.signature.read_output(await place.call(call))

    async def carry_out(self, written: bytes) -> bytes:
        """Call the function with arguments as JSON, and return its result as JSON; this is no step.

        Raises:
            InputError, ToolError, OutputError, PayloadError: See `__call__`.
        """
        value = await self._invoke(self.signature.read_input(written))
        return self.signature.write_output(self.signature.check_output(value))

    async def _invoke(self, arguments: dict[str, Any]) -> Any:
        args, kwargs = self.signature.split(arguments)
        try:
            if self._is_async:
                return await cast("Any", self.function)(*args, **kwargs)
            work = functools.partial(self._call, args, kwargs)
            return await uncancelled(anyio.to_thread.run_sync(work))
        except AgentflowError:
            raise
        except (Exception, SystemExit) as error:
            raise self._failed(error) from error

    def _call(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        try:
            return self.function(*args, **kwargs)
        except SystemExit as error:  # on its way to us it would end the event loop
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> ToolError:
        return ToolError(tool=self.name, name=type(error).__name__, message=str(error))


class _Maker(Protocol):
    """What `tool(...)` with options gives: a decorator that keeps the types."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[T]], /) -> Tool[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Tool[P, T]: ...


@overload
def tool(function: Callable[P, Awaitable[T]], /) -> Tool[P, T]: ...
@overload
def tool(function: Callable[P, T], /) -> Tool[P, T]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    effect: bool = False,
    cache: bool = False,
    remote: bool = False,
) -> "_Maker": ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    effect: bool = False,
    cache: bool = False,
    remote: bool = False,
) -> Any:
    """Make a tool of a function, sync or async; a sync one runs in a worker thread.

    Raises:
        TypeError: Its signature cannot be recorded.
    """

    def wrap(function: Callable[..., Any]) -> Tool[..., Any]:
        return Tool(
            function,
            name=name,
            description=description,
            effect=effect,
            cache=cache,
            remote=remote,
        )

    return wrap if function is None else wrap(function)
