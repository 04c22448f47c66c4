"""Plain Python functions as flows.

Owns `from_function`. A function that is not async runs in a worker thread, is typed by its annotations
like any flow, and keeps its place in the code: a resume notices that the function itself has changed.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, cast, overload

import anyio.to_thread

from agentflow.cancelling import uncancelled
from agentflow.code import code_hash
from agentflow.flows import Flow
from agentflow.tools import Tool

P = ParamSpec("P")
T = TypeVar("T")


class _FunctionFlow(Flow[P, T]):
    """A flow whose code is that of the function it calls."""

    def __init__(self, plain: Callable[..., Any], adapted: Callable[P, Awaitable[T]]) -> None:
        super().__init__(adapted)
        self._code = code_hash(_written(plain))


@overload
def from_function(
    function: Callable[P, Awaitable[T]],
    /,
    *,
    name: str | None = ...,
    version: str = ...,
    cache: bool = ...,
    effect: bool = ...,
) -> Flow[P, T]: ...
@overload
def from_function(
    function: Callable[P, T],
    /,
    *,
    name: str | None = ...,
    version: str = ...,
    cache: bool = ...,
    effect: bool = ...,
) -> Flow[P, T]: ...
def from_function(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    version: str = "",
    cache: bool = False,
    effect: bool = False,
) -> Flow[..., Any]:
    """Make a flow of a function, sync or async.

    Args:
        function: Its parameters and result are validated by their annotations; without one, they are
            plain data.
        name: What its steps are called; needed where the function has no name.
        version: See `Flow`.
        cache: See `Flow`.
        effect: It changes something outside, so it is called as a tool with effects: the intent is on
            disk before, and `idempotency_key()` gives the key for the service.

    Raises:
        TypeError: It is a generator, has no name, or its signature cannot be recorded.
        ValueError: It has effects and is to be cached.
    """
    if effect and cache:
        raise ValueError("what has effects is never answered from another run: drop `cache`")
    called = name or getattr(function, "__name__", None)
    if called is None:
        raise TypeError(f"{function!r} has no name of its own: give `name=`")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{called} is a generator, and a flow returns one value: return a list")
    adapted = _as_tool(function, called) if effect else _in_thread(function)
    _look_alike(adapted, function, called)
    made = _FunctionFlow(function, adapted)
    made.version, made.cache = version, cache
    return made


def _in_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def adapted(*args: Any, **kwargs: Any) -> Any:
        if _is_async(function):
            return await function(*args, **kwargs)
        work = functools.partial(function, *args, **kwargs)
        return await uncancelled(anyio.to_thread.run_sync(work))

    return adapted


def _as_tool(function: Callable[..., Any], name: str) -> Callable[..., Awaitable[Any]]:
    async def named(*args: Any, **kwargs: Any) -> Any:
        return await _in_thread(function)(*args, **kwargs)

    _look_alike(named, function, name)
    acting: Tool[..., Any] = Tool(named, effect=True)

    async def adapted(*args: Any, **kwargs: Any) -> Any:
        return await acting(*args, **kwargs)

    return adapted


def _look_alike(adapted: Callable[..., Any], function: Callable[..., Any], name: str) -> None:
    """Give `adapted` the signature, types and place of `function`, and `name`."""
    functools.update_wrapper(adapted, function)
    try:
        inspect.signature(adapted)
    except ValueError as error:
        raise TypeError(
            f"{name} does not tell its parameters: write a function around it"
        ) from error
    adapted.__name__ = name


def _written(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that holds the code of a callable."""
    while isinstance(function, functools.partial):
        function = function.func
    if hasattr(function, "__qualname__"):
        return function
    return type(function).__call__


def _is_async(function: Callable[..., Any]) -> bool:
    acts = cast("Any", type(function)).__call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(acts)
