"""Typed async units that call each other.

Owns `Flow` and `@flow`. A flow is an async function with a name, validated input and output, and a
place in the tree of every run that calls it. It may return a `Plan` or a `Program` instead of an
answer; the engine carries that out.
"""

import copy
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from agentflow.code import code_hash, target_of
from agentflow.engine.programs import run_plan, run_program
from agentflow.engine.run import Step
from agentflow.engine.steps import Body, StepCall, current_frame, perform
from agentflow.errors import ExitError
from agentflow.expansion import Plan, Program, SubTask, Unwritten
from agentflow.journal.reuse import Edits
from agentflow.signature import Signature
from agentflow.task import Result, Task

P = ParamSpec("P")
T = TypeVar("T")


class Flow(Generic[P, T]):
    """An async function whose calls are steps.

    `version` belongs to the fingerprint of its steps: change it when the meaning of the code
    changes, and a resume will say so instead of reusing old results. `cache` lets other runs take over
    the results of its calls, for the same code, version and input; never when a call below it has
    effects.
    """

    def __init__(
        self,
        function: Callable[P, Awaitable[Any]],
        *,
        name: str | None = None,
        version: str = "",
        cache: bool = False,
    ) -> None:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"a flow is an async function; write `async def {function.__name__}`")
        self.function = function
        self.signature = Signature(function)
        self.name = self.signature.name = name or function.__name__
        self.version, self.cache = version, cache
        self.target = target_of(function)  # where it can be imported from, as `module:name`
        self._code = code_hash(function)
        functools.update_wrapper(self, function)

    def named(self, name: str) -> "Flow[P, T]":
        """Return the same flow under another name in the tree."""
        other = copy.copy(self)
        other.name = name
        return other

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the flow as a step of the current run.

        Raises:
            NoRunError: No run is active here.
            InputError, OutputError: A value does not fit the declared types.
            BudgetExceededError: The tree's budget does not cover the step.
        """
        call, body = self._as_step(self.signature.bind(args, kwargs))
        return await perform(call, body)

    def _as_step(self, arguments: dict[str, Any]) -> tuple[StepCall[T], Body[T]]:
        async def body(_step: Step) -> T:
            positional, named = self.signature.split(arguments)
            try:
                value: Any = await cast("Any", self.function)(*positional, **named)
            except SystemExit as stop:
                raise ExitError(step=self.name, code=repr(stop.code)) from stop
            if isinstance(value, Plan | Program):
                value = await self._carry_out(value)
            return cast("T", self.signature.check_output(value))

        run = current_frame(self.name).run
        details = run.code_details(self.name, self.target, self.code)
        call: StepCall[T] = StepCall(
            name=self.name,
            kind="flow",
            input=self.signature.write_input(arguments),
            write=self.signature.write_output,
            read=self.signature.read_output,
            version=self.version,
            cache=f"{self.target} {self.code()}" if self.cache else None,
            details=details | {"version": self.version} if self.version else details,
        )
        if run.source is not None:  # only then may there be edits
            call.edit = lambda edits: self._as_step(self._changed(arguments, edits))
        return call, body

    def _changed(self, arguments: dict[str, Any], edits: Edits) -> dict[str, Any]:
        return self.signature.bind((), {**arguments, **edits.input})

    def code(self) -> str:
        """Return the hash of the function's code, by which a resume notices that it has changed."""
        return self._code

    async def _carry_out(self, expansion: Plan | Program) -> Any:
        """Execute what the flow returned instead of an answer, with itself as the solver."""
        if isinstance(expansion, Plan):
            return await run_plan(expansion, self._solve_subtask)
        return Result(output=await run_program(expansion, self._solve_call))

    async def _solve_subtask(self, subtask: SubTask, needed: dict[str, Any]) -> Any:
        inputs = {name: getattr(value, "output", value) for name, value in needed.items()}
        solve = cast("Flow[..., Any]", self)
        return await solve.named(subtask.id)(Task(goal=subtask.goal, inputs=inputs))

    async def _solve_call(self, call: Unwritten) -> Any:
        goal = f"Return the value of `{call.line}`, that is, of the call {call.name}."
        solve = cast("Flow[..., Any]", self)
        result = await solve.named(call.name)(Task(goal=goal, inputs=call.arguments()))
        return getattr(result, "output", result)


@overload
def flow(function: Callable[P, Awaitable[T]], /) -> Flow[P, T]: ...
@overload
def flow(
    *, name: str | None = None, version: str = "", cache: bool = False
) -> Callable[[Callable[P, Awaitable[T]]], Flow[P, T]]: ...
def flow(
    function: Callable[..., Awaitable[Any]] | None = None,
    /,
    *,
    name: str | None = None,
    version: str = "",
    cache: bool = False,
) -> Any:
    """Make a flow of an async function.

    Raises:
        TypeError: It is not async, or its signature cannot be recorded.
    """

    def wrap(function: Callable[..., Awaitable[Any]]) -> Flow[..., Any]:
        return Flow(function, name=name, version=version, cache=cache)

    return wrap if function is None else wrap(function)
