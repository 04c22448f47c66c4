"""Find the model that a user left open: the best of what is there, or the only one of a server; and say why.

Owns the order: a key in the environment, a server on this machine, the embedded small model. Probes
loopback addresses only, unless the user names another. What is found here is recorded with the run, so that a
replay or resume looks up nothing.
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from agentflow.errors import ModelUnavailableError, UnknownModelError
from agentflow.models import catalogue, weights
from agentflow.models.protocol import ModelSpec
from agentflow.models.registry import parse_spec

PROBE_TIMEOUT_S = 0.3
LIST_TIMEOUT_S = 5.0
MOST_LISTED = 10
HOSTED = (
    ("OPENAI_API_KEY", ModelSpec(provider="openai", name="gpt-5-mini")),
    ("ANTHROPIC_API_KEY", ModelSpec(provider="anthropic", name="claude-haiku-4-5")),
)
SERVERS = (
    ("Ollama", "http://127.0.0.1:11434/v1"),
    ("LM Studio", "http://127.0.0.1:1234/v1"),
    ("a server", "http://127.0.0.1:8000/v1"),
    ("a llama.cpp server", "http://127.0.0.1:8080/v1"),
)
NOT_FOR_CHAT = ("embed", "rerank", "whisper", "tts")


@dataclass(frozen=True, slots=True)
class Choice:
    """The model, and one sentence that says why it was picked; empty where the user named it."""

    spec: ModelSpec
    reason: str


async def choose_model(
    environment: Mapping[str, str] | None = None,
    servers: Sequence[tuple[str, str]] = SERVERS,
) -> Choice:
    """Return the model to use when the user named none.

    Args:
        environment: Where keys and `OLLAMA_HOST` are looked up; the process's own if not given.
        servers: Names and base URLs to probe, in order of preference.
    """
    found = os.environ if environment is None else environment
    for variable, spec in HOSTED:
        if found.get(variable, "").strip():
            return Choice(spec, f"{variable} is set")
    for name, url in (*_own_server(found), *servers):
        model = await anyio.to_thread.run_sync(_first_model, url)
        if model is not None:
            spec = ModelSpec(provider="openai", name=model, base_url=url)
            return Choice(spec, f"{name} answers at {url}")
    return _embedded()


def is_open(given: str | Mapping[str, Any] | ModelSpec) -> bool:
    """Return whether a specification leaves the model open: `auto`, or an address without a name."""
    return given == "auto" or _bare_address(given) is not None


async def find_model(given: str | Mapping[str, Any] | ModelSpec) -> Choice:
    """Return the model that a specification means, asking the server at an address without a name.

    Raises:
        UnknownModelError: It cannot be read, or the server has not exactly one model; they are listed.
        ModelUnavailableError: The server does not answer.
    """
    if given == "auto":
        return await choose_model()
    address = _bare_address(given)
    if address is None:
        return Choice(parse_spec(given), "")
    parse_spec(f"{address}#any")  # an address with a login in it must not be asked
    names = await anyio.to_thread.run_sync(_only_names, address)
    if len(names) != 1:
        listed = ", ".join(repr(name) for name in names[:MOST_LISTED]) or "none"
        problem = f"it has {len(names)} models ({listed}): write {address}#NAME"
        raise UnknownModelError(model=address, problem=problem)
    named = f"{address}#{names[0]}"
    spec = parse_spec(named if isinstance(given, str) else {**dict(given), "name": named})
    return Choice(spec, f"the only model at {address}")


def _bare_address(given: object) -> str | None:
    text = given.get("name") if isinstance(given, Mapping) and "provider" not in given else given
    if not isinstance(text, str) or not text.strip().startswith(("http://", "https://")):
        return None
    address, _, name = text.strip().partition("#")
    return None if name else address.rstrip("/")


def _only_names(url: str) -> list[str]:
    try:
        names = _listed_names(url, LIST_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        problem = f"it does not list its models (status {error.code}): write {url}#NAME"
        raise UnknownModelError(model=url, problem=problem) from error
    except OSError as error:
        problem = f"nobody answers there: {getattr(error, 'reason', error)}"
        raise ModelUnavailableError(model=url, problem=problem) from error
    except (ValueError, LookupError, TypeError) as error:
        problem = f"it does not list its models as an OpenAI server does: write {url}#NAME"
        raise UnknownModelError(model=url, problem=problem) from error
    return [name for name in names if _can_chat(name)] or names


def _embedded() -> Choice:
    entry = catalogue.find(catalogue.DEFAULT)
    reason = "no key is set and no local server answers, so the embedded small model is used"
    if not weights.installed(entry):
        size = entry.size_bytes / 1e6
        reason += f"; fetch it first: agentflow models pull {entry.name} ({size:.0f} MB)"
    return Choice(ModelSpec(provider="gguf", name=entry.name), reason)


def _own_server(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    host = environment.get("OLLAMA_HOST", "").strip()
    if not host:
        return []
    address = host if "://" in host else f"http://{host}"
    return [("Ollama (OLLAMA_HOST)", f"{address.rstrip('/')}/v1")]


def _first_model(url: str) -> str | None:
    """Return the first chat model of an OpenAI-compatible server; None when nobody answers."""
    try:
        names = _listed_names(url, PROBE_TIMEOUT_S)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return next(filter(_can_chat, names), None)


def _listed_names(url: str, timeout_s: float) -> list[str]:
    with urllib.request.urlopen(f"{url}/models", timeout=timeout_s) as answer:  # noqa: S310 - http(s), ours or the user's
        listed = json.loads(answer.read(1_000_000))["data"]
        return [str(item["id"]) for item in listed]


def _can_chat(name: str) -> bool:
    return not any(sign in name.lower() for sign in NOT_FOR_CHAT)
