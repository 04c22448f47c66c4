"""The insides of a DSPy module as steps.

Owns the copy of a module in which every predictor is a step named by its place, such as `hop.predict`,
and every tool of a ReAct agent a tool step. A finished predictor is answered from the record, with its
types. The module that was handed in is not touched.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Optional

import dspy
from pydantic import BaseModel, TypeAdapter, create_model

from agentflow.data import NotPlainError, to_json
from agentflow.engine.run import Step
from agentflow.engine.steps import StepCall, perform
from agentflow.errors import AgentflowError, PayloadError
from agentflow.interop.frameworks.bridge import Bridge
from agentflow.interop.frameworks.dspy_model import RunLM, refuse
from agentflow.interop.frameworks.tool_steps import call_as_step

_NAME = "_agentflow_step"  # where a predictor keeps what its steps are called
OWN_KEYWORDS = ("signature", "demos", "lm", "config")  # of `Predict`, beside the inputs


def watched(module: Any, effects: frozenset[str]) -> Any:
    """Return a copy of `module` whose predictors and tools are steps.

    Raises:
        FrameworkError: A predictor brings a model of its own.
    """
    copied = module.deepcopy()
    for path, predictor in copied.named_sub_modules(dspy.Predict):
        name = path.removeprefix("self").removeprefix(".")
        if predictor.lm is not None:
            problem = "it has a language model of its own: `module.set_lm(None)`, and from_dspy(model=...)"
            refuse(f"predictor {name or type(predictor).__name__}", problem)
        if name:  # without one it is the flow itself
            predictor.__dict__[_NAME] = name
            kind: Any = type(predictor)
            predictor.__class__ = _stepped(kind)
    tools = {path: agent.tools for path, agent in module.named_sub_modules(dspy.ReAct)}
    for path, agent in copied.named_sub_modules(dspy.ReAct):
        agent.tools = {
            name: tool if name == "finish" else _as_step(tool, name in effects)
            for name, tool in tools[path].items()
        }
    return copied


def the_bridge(what: str) -> Bridge:
    """Return the bridge of the call of the flow that is under way.

    Raises:
        FrameworkError: The module has put another language model in its place.
    """
    model = dspy.settings.lm
    if not isinstance(model, RunLM):
        refuse(
            what, "the module uses a language model of its own: leave `dspy.context(lm=...)` out"
        )
    return model.bridge


@functools.cache
def _stepped(kind: Any) -> Any:
    """Return the class of a predictor whose calls are steps; a copy of one stays one."""

    def forward(self: Any, **inputs: Any) -> Any:
        name = self.__dict__[_NAME]
        bridge = _checked(name, inputs)

        async def work() -> Any:
            return await bridge.run(functools.partial(kind.forward, self, **inputs))

        content = f"{name}\0{inputs!r}".encode("utf-8", "replace")
        return bridge.step(lambda: _predict(self, name, inputs, work), content)

    async def aforward(self: Any, **inputs: Any) -> Any:
        name = self.__dict__[_NAME]
        _checked(name, inputs)
        work = functools.partial(kind.aforward, self, **inputs)
        return await _predict(self, name, inputs, work)

    own = {"forward": forward, "aforward": aforward, "__module__": kind.__module__}
    return type(kind)(kind.__name__, (kind,), own)


def _checked(name: str, inputs: dict[str, Any]) -> Bridge:
    bridge = the_bridge(f"predictor {name}")
    if inputs.get("lm") is not None:
        refuse(f"predictor {name}", "it is called with a language model of its own: leave `lm` out")
    return bridge


async def _predict(
    predictor: Any, name: str, inputs: dict[str, Any], work: Callable[[], Coroutine[Any, Any, Any]]
) -> Any:
    signature = dspy.ensure_signature(inputs.get("signature", predictor.signature))
    adapter = _adapter(name, signature)

    async def body(_step: Step) -> Any:
        return await work()

    def write(prediction: Any) -> bytes:
        return adapter.dump_json(_completions(prediction), warnings=False)

    def read(text: bytes) -> Any:
        found = adapter.validate_json(text)
        every = found if isinstance(found, list) else [found]
        values = [
            {field: getattr(each, field) for field in type(each).model_fields} for each in every
        ]
        return dspy.Prediction.from_completions(values, signature=signature)

    shown = {key: value for key, value in inputs.items() if key not in OWN_KEYWORDS[:3]}
    call: StepCall[Any] = StepCall(
        name=name, kind="flow", input=_json(name, shown), write=write, read=read
    )
    return await perform(call, body)


def _adapter(name: str, signature: Any) -> TypeAdapter[Any]:
    """Return what reads and writes a predictor's outputs, or a list of several such."""
    fields: dict[str, Any] = {
        field: (Optional[info.annotation], None)  # noqa: UP045 - any form of type
        for field, info in signature.output_fields.items()
    }
    model: type[BaseModel] = create_model(name, __config__={"protected_namespaces": ()}, **fields)
    return TypeAdapter(model | list[model])


def _completions(prediction: Any) -> Any:
    rows: dict[str, list[Any]] = dict(prediction.completions.items())
    count = max(map(len, rows.values()), default=0)
    every = [{field: values[index] for field, values in rows.items()} for index in range(count)]
    return every[0] if count == 1 else every


def _as_step(tool: Any, effect: bool) -> Any:
    """Return a tool whose calls are steps; what it raises becomes what the model reads, in few words."""
    function = tool.func

    async def work(arguments: dict[str, Any], bridge: Bridge) -> Any:
        try:
            call = functools.partial(function, **arguments)
            found = call() if inspect.iscoroutinefunction(function) else await bridge.run(call)
            return await found if isinstance(found, Coroutine) else found
        except AgentflowError:
            raise
        except Exception as error:  # noqa: BLE001 - an agent reads what went wrong and goes on
            return f"Execution error in {tool.name}: {type(error).__name__}: {error}"

    def func(**arguments: Any) -> Any:
        bridge = the_bridge(f"tool {tool.name}")

        async def step() -> Any:
            return await call_as_step(
                tool.name, arguments, lambda: work(arguments, bridge), effect=effect
            )

        if bridge.is_here():
            return step()
        return bridge.step(step, f"{tool.name}\0{arguments!r}".encode("utf-8", "replace"))

    facts = {key: getattr(tool, key) for key in ("name", "desc", "args", "arg_types")}
    made = dspy.Tool(func, **facts)
    made.has_kwargs = tool.has_kwargs
    return made


def _json(name: str, value: Any) -> bytes:
    try:
        return to_json(value)
    except NotPlainError as error:
        raise PayloadError(step=name, problem=str(error)) from error
