"""Pick a model for a user who named none: the best of what is there, and say why.

Owns the order: a key in the environment, a server on this machine, the embedded small model. Probes
loopback addresses only, unless the user's own variable names another.
"""

import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio.to_thread

from agentflow.models import catalogue, weights
from agentflow.models.protocol import ModelSpec

PROBE_TIMEOUT_S = 0.3
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
    """The model that was picked, and one sentence that says why."""

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
        with urllib.request.urlopen(f"{url}/models", timeout=PROBE_TIMEOUT_S) as answer:  # noqa: S310 - http(s), ours or the user's
            listed = json.loads(answer.read(1_000_000))["data"]
            names = [str(item["id"]) for item in listed]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return next(
        (name for name in names if not any(sign in name.lower() for sign in NOT_FOR_CHAT)), None
    )
