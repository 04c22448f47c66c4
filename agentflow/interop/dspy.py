"""DSPy modules as flows.

Owns `from_dspy`. Inputs and outputs are typed by the module's signature. Every request to a language
model is a model step of ours (DSPy's cache and retries are off), every predictor inside a step, every
tool of a ReAct agent a tool step. A module with `aforward` throughout runs in the event loop, another
one in a thread.
"""

import inspect
from collections.abc import Collection
from typing import Any

from agentflow.engine.notes import default_model
from agentflow.errors import MissingExtraError
from agentflow.flows import Flow
from agentflow.interop.frameworks.bridge import Bridge
from agentflow.interop.frameworks.failures import our_errors
from agentflow.models.protocol import ModelSpec
from agentflow.models.registry import parse_spec

try:
    import dspy
except ModuleNotFoundError as error:
    raise MissingExtraError(feature="DSPy", extra="dspy") from error

from pydantic import BaseModel, create_model
from pydantic_core import PydanticUndefined

from agentflow.interop.frameworks.dspy_model import FRAMEWORK, RunLM
from agentflow.interop.frameworks.dspy_steps import watched


def from_dspy(
    module: Any,
    *,
    name: str | None = None,
    version: str = "",
    signature: Any = None,
    model: str | ModelSpec | None = None,
    effects: Collection[str] = (),
) -> Flow[..., Any]:
    """Make a flow of a DSPy module.

    With a signature, the flow takes its inputs and returns a pydantic model of its outputs. Without one,
    it takes what `forward` takes and returns plain data: a prediction as a dictionary.

    Args:
        module: Copied as it is now; predictors in it must not bring language models of their own.
        name: What its steps are called; the module's class without one.
        version: See `Flow`: change it when you optimise the module again.
        signature: For a module of your own class; those of DSPy have theirs.
        model: Another model than the run's.
        effects: Names of the ReAct tools that change something outside.

    Raises:
        TypeError: It is no module, or a type in its signature cannot be recorded.
        FrameworkError: A predictor has a language model of its own.
    """
    if not isinstance(module, dspy.Module):
        raise TypeError(f"{module!r} is no dspy.Module")
    called = name or type(module).__name__
    typed = _signature_of(module, signature)
    inside = watched(module, frozenset(effects))
    shape = None if typed is None else _outputs(called, typed)
    parameters = _forwarded(module) if typed is None else _inputs(typed)
    is_async = _is_async(inside)

    async def run(*args: Any, **kwargs: Any) -> Any:
        inputs = dict(zip(parameters, args, strict=False)) | kwargs
        spec = await default_model() if model is None else parse_spec(model)
        bridge = Bridge(FRAMEWORK, called)
        try:
            with our_errors(), dspy.settings.context(lm=RunLM(bridge, spec)):
                if is_async:
                    found = await inside.acall(**inputs)
                else:
                    found = await bridge.run(lambda: inside(**inputs))
        finally:
            await bridge.aclose()
        return _plain(found) if shape is None else _shaped(shape, found)

    _show(run, called, parameters, shape)
    return Flow(run, name=called, version=version)


def _show(
    run: Any,
    name: str,
    parameters: dict[str, inspect.Parameter],
    shape: type[BaseModel] | None,
) -> None:
    """Give the flow's function its name, its parameters and its types."""
    run.__name__, run.__qualname__ = name, f"from_dspy.<locals>.{name}"
    run.__signature__ = inspect.Signature(list(parameters.values()))
    run.__annotations__ = {
        item.name: item.annotation
        for item in parameters.values()
        if item.annotation is not item.empty
    }
    if shape is not None:
        run.__annotations__["return"] = shape


def _signature_of(module: Any, given: Any) -> Any:
    if given is not None:
        return dspy.ensure_signature(given)
    if isinstance(module, dspy.ChainOfThought):
        return module.predict.signature
    found = getattr(module, "signature", None)
    is_one = isinstance(found, type) and issubclass(found, dspy.Signature)
    return found if is_one else None


def _inputs(signature: Any) -> dict[str, inspect.Parameter]:
    made = {
        field: inspect.Parameter(
            field,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if info.default is PydanticUndefined else info.default,
            annotation=info.annotation,
        )
        for field, info in signature.input_fields.items()
    }
    # Python wants those with a default last.
    return dict(
        sorted(made.items(), key=lambda item: item[1].default is not inspect.Parameter.empty)
    )


def _forwarded(module: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a module's own `forward`."""
    kind = type(module)
    own = getattr(kind, "forward", None) or getattr(kind, "aforward", None)
    if own is None:
        raise TypeError(f"{kind.__name__} has neither `forward` nor `aforward`")
    hints = inspect.get_annotations(own, eval_str=True)
    found = list(inspect.signature(own).parameters.values())[1:]
    return {
        item.name: item.replace(annotation=hints.get(item.name, inspect.Parameter.empty))
        for item in found
    }


def _outputs(name: str, signature: Any) -> type[BaseModel]:
    fields: dict[str, Any] = {
        field: (info.annotation, ...) for field, info in signature.output_fields.items()
    }
    return create_model(f"{name}Output", __config__={"protected_namespaces": ()}, **fields)


def _is_async(module: Any) -> bool:
    """Return whether the module can run without a thread."""
    parts = [part for _name, part in module.named_sub_modules(dspy.Module)]
    if not hasattr(type(module), "forward"):
        return True
    return all(hasattr(type(part), "aforward") for part in parts)


def _shaped(shape: type[BaseModel], found: Any) -> Any:
    """Return the fields that the signature names; the flow checks them."""
    if not isinstance(found, dspy.Prediction):
        return found
    return {field: found[field] for field in shape.model_fields if field in found}


def _plain(found: Any) -> Any:
    return dict(found.items()) if isinstance(found, dspy.Prediction) else found
