"""From what a user writes to a model that answers.

Owns the forms of a specification and the table of providers. A provider's module is imported when
one of its models is opened, never before: the hosted clients take seconds to import.
"""

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from pydantic import ValidationError

from agentflow.errors import UnknownModelError
from agentflow.models import catalogue
from agentflow.models.protocol import Model, ModelSpec
from agentflow.recurrent.packaged_models import find_packaged, packaged

PROVIDERS = {
    "anthropic": "agentflow.models.anthropic:open_anthropic",
    "gguf": "agentflow.models.gguf:open_gguf",
    "openai": "agentflow.models.openai:open_openai",
    "recorded": "agentflow.models.recorded:open_recorded",
    "recurrent": "agentflow.recurrent.provider:open_recurrent",
}
FORMS = (
    "write PROVIDER:NAME (openai:gpt-5-mini, anthropic:claude-haiku-4-5, gguf:FILE, recurrent:FOLDER), a "
    "server's address (http://127.0.0.1:8000/v1#NAME), a small local model's name (see `agentflow models list`), or auto"
)


def parse_spec(given: str | Mapping[str, Any] | ModelSpec) -> ModelSpec:
    """Return the specification for `PROVIDER:NAME`, an address, the name of a small model, or a mapping.

    A mapping has the fields of `ModelSpec`; without `provider`, its `name` is read as text is.

    Raises:
        UnknownModelError: It is none of these; the message lists what there is.
    """
    if isinstance(given, ModelSpec):
        return given
    if isinstance(given, str):
        return _from_text(given.strip())
    fields = dict(given)
    try:
        if "provider" not in fields:
            named = _from_text(str(fields.pop("name", "")))
            return ModelSpec(**{**named.model_dump(exclude_defaults=True), **fields})
        spec = ModelSpec(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UnknownModelError(model=_named(fields), problem=f"{place}: {first['msg']}") from error
    _known(spec.provider, str(spec))
    return spec


def _named(fields: Mapping[str, Any]) -> str:
    """Return which model a mapping means, without what may be secret in it."""
    return f"{fields.get('provider', '?')}:{fields.get('name', '?')}"


def open_model(spec: ModelSpec) -> Model:
    """Return the model of a specification, ready to be asked.

    Raises:
        UnknownModelError: No such provider is installed, or it has no such model.
        CredentialsError: Its key is missing.
        WeightsError: Its weights or its runner are missing.
    """
    _known(spec.provider, str(spec))
    target = PROVIDERS.get(spec.provider)
    if target is None:
        opened: Callable[[ModelSpec], Model] = _installed()[spec.provider].load()
    else:
        module, _, function = target.partition(":")
        opened = cast("Callable[[ModelSpec], Model]", getattr(import_module(module), function))
    return opened(spec)


def _from_text(text: str) -> ModelSpec:
    if text.startswith(("http://", "https://")):
        address, _, name = text.partition("#")
        if not name:
            problem = f"say which model of the server: {address}#NAME (only a run's own model is looked up)"
            raise UnknownModelError(model=text, problem=problem)
        try:
            return ModelSpec(provider="openai", name=name, base_url=address)
        except ValidationError as error:
            problem = str(error.errors(include_url=False, include_input=False)[0]["msg"])
            raise UnknownModelError(model=f"server model {name}", problem=problem) from error
    if text in {entry.name for entry in catalogue.entries()}:
        return ModelSpec(provider="gguf", name=text)
    if find_packaged(text) is not None:
        return ModelSpec(provider="recurrent", name=text)
    provider, colon, name = text.partition(":")
    if not colon or not name:
        came_along = [model.name for model in packaged()]
        names = [entry.name for entry in catalogue.entries()]
        near = difflib.get_close_matches(text, [*came_along, *names], n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        others = f"; models that come along: {', '.join(came_along)}" if came_along else ""
        raise UnknownModelError(model=text or "(empty)", problem=f"{hint}{FORMS}{others}")
    _known(provider, text)
    return ModelSpec(provider=provider, name=name)


def _known(provider: str, text: str) -> None:
    names = sorted({*PROVIDERS, *_installed()})
    if provider not in names:
        near = difflib.get_close_matches(provider, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        problem = f"unknown provider {provider!r}; {hint}providers: {', '.join(names)}"
        raise UnknownModelError(model=text, problem=problem)


def _installed() -> dict[str, Any]:
    return {entry.name: entry for entry in entry_points(group="agentflow.models")}
