"""Which models can be asked: keys, servers, embedded weights, and the one that `auto` means.

Owns the questions that cost nothing: a list of models, with the key where there is one. No key is ever
part of a finding, and none is sent anywhere but to the address that model calls go to.
"""

import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from importlib.util import find_spec
from typing import Any

from agentflow.doctor.findings import Finding, Status, origin, short
from agentflow.errors import ModelError
from agentflow.models import catalogue, weights
from agentflow.models.auto import SERVERS, find_model
from agentflow.models.registry import open_model

TIMEOUT_S = 3.0
LOCAL_TIMEOUT_S = 0.5
REFUSED = (401, 403)
HOSTED = (
    ("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1", "/models"),
    (
        "anthropic",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        "/v1/models",
    ),
)
Hosted = tuple[str, str, str, str, str]


class _Stay(urllib.request.HTTPRedirectHandler):
    """Go nowhere else: a redirect would take the key along."""

    def redirect_request(self, *_details: Any) -> None:
        """Return that there is no request to make."""


def key_findings(environment: Mapping[str, str] | None = None) -> list[Finding]:
    """Return which keys are set, by name."""
    found = os.environ if environment is None else environment
    return [_key(provider, variable, found) for provider, variable, *_rest in HOSTED]


def hosted_finding(hosted: Hosted, environment: Mapping[str, str] | None = None) -> Finding:
    """Return whether a hosted provider answers, and takes the key if one is set."""
    provider, variable, url_variable, usual, path = hosted
    found = os.environ if environment is None else environment
    base = (found.get(url_variable, "").strip() or usual).rstrip("/")
    key = found.get(variable, "").strip()
    key = key if _is_key(key) else ""  # what cannot be sent is told of already
    headers = {"User-Agent": "agentflow-doctor"}
    if key and provider == "openai":
        headers["Authorization"] = f"Bearer {key}"
    elif key:
        headers |= {"x-api-key": key, "anthropic-version": "2023-06-01"}
    name, shown = f"{provider} server", origin(base)
    status, problem = _status(base + path, headers, TIMEOUT_S)
    if status is None:
        told = f"{shown} does not answer: {problem}"
        fix = f"check the network, HTTPS_PROXY or {url_variable}"
        kind: Status = "wrong" if key else "missing"
        return Finding(area="models", name=name, status=kind, told=told, fix=fix)
    if key and status in REFUSED:
        told = f"{shown} answers, and refuses the key (status {status})"
        fix = f"set {variable} to a key that is valid there"
        return Finding(area="models", name=name, status="wrong", told=told, fix=fix)
    taken = " and takes the key" if key and status == 200 else ""
    return Finding(area="models", name=name, status="ok", told=f"{shown} answers{taken}")


def local_findings(
    environment: Mapping[str, str] | None = None,
    servers: Sequence[tuple[str, str]] = SERVERS,
) -> list[Finding]:
    """Return which servers on this machine answer."""
    found = os.environ if environment is None else environment
    host = found.get("OLLAMA_HOST", "").strip()
    own = [("Ollama (OLLAMA_HOST)", f"{host if '://' in host else f'http://{host}'}/v1")]
    return [_local(name, url) for name, url in (*(own if host else ()), *servers)]


def embedded_finding() -> Finding:
    """Return whether the embedded model's weights and its runner are here."""
    entry = catalogue.find(catalogue.DEFAULT)
    name, told = "embedded model", f"{entry.name}, {entry.size_bytes / 1e6:.0f} MB"
    pull = f"agentflow models pull {entry.name}"
    path = weights.path_of(entry)
    if path.is_file() and not weights.installed(entry):
        told = f"{entry.name}: the file of its weights has another size than it should"
        fix = f"agentflow models rm {entry.name} && {pull}"
        return Finding(area="models", name=name, status="wrong", told=told, fix=fix)
    if not path.is_file():
        told = f"{entry.name}: its weights are not here"
        return Finding(area="models", name=name, status="missing", told=told, fix=pull)
    if find_spec("xllamacpp") is None:
        told, fix = f"{told}; its runner is not installed", "pip install 'agentflow[local]'"
        return Finding(area="models", name=name, status="missing", told=told, fix=fix)
    return Finding(area="models", name=name, status="ok", told=told)


async def choice_finding() -> Finding:
    """Return the model that a run gets when nobody names one, why, and whether it can be opened."""
    try:
        choice = await find_model("auto")
        told = f"{choice.spec}: {choice.reason}"
        await open_model(choice.spec).aclose()
    except ModelError as error:
        fix = "set OPENAI_API_KEY or ANTHROPIC_API_KEY, start Ollama, or fetch the embedded model"
        return Finding(
            area="models",
            name="auto",
            status="missing",
            told=short(error),
            fix=fix,
            is_needed=True,
        )
    return Finding(area="models", name="auto", status="ok", told=told, is_needed=True)


def _key(provider: str, variable: str, environment: Mapping[str, str]) -> Finding:
    value = environment.get(variable, "")
    if not value.strip():
        told = "not set"
        fix = f"export {variable}=..., for {provider}'s models"
        return Finding(area="models", name=variable, status="missing", told=told, fix=fix)
    if not _is_key(value):
        told = "set, but with spaces, line ends or characters that no key has"
        fix = f"set {variable} again, without them"
        return Finding(area="models", name=variable, status="wrong", told=told, fix=fix)
    return Finding(area="models", name=variable, status="ok", told="set")


def _is_key(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value


def _local(name: str, url: str) -> Finding:
    status, problem = _status(f"{url}/models", {}, LOCAL_TIMEOUT_S)
    if status is None:
        return Finding(area="models", name=name, status="missing", told=f"{origin(url)}: {problem}")
    told = "answers" if status == 200 else f"answers, but lists no models (status {status})"
    kind: Status = "ok" if status == 200 else "missing"
    return Finding(area="models", name=name, status=kind, told=f"{origin(url)} {told}")


def _status(url: str, headers: Mapping[str, str], timeout_s: float) -> tuple[int | None, str]:
    """Return the status of an answer, or None and why there is none."""
    opener = urllib.request.build_opener(_Stay)
    try:
        request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - an address of models
        if request.type not in ("http", "https"):
            return None, "no http address"
        with opener.open(request, timeout=timeout_s) as answer:
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except (OSError, HTTPException, ValueError) as error:
        return None, _why(error)


def _why(error: Exception) -> str:
    """Return a reason without the address, which may hold a password."""
    reason = getattr(error, "reason", error)
    words = getattr(reason, "strerror", None)
    return short(words) if words else type(reason).__name__
