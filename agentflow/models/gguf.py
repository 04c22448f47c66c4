"""Small models in this process, from GGUF files, through llama.cpp.

Owns the engine: one per file and process, loaded on first use in a worker thread. It listens on a
loopback port that only it can be asked through (a random key, thrown away); we call it directly.
A last message of role `assistant` is the beginning of the reply and comes back as part of it.
"""

import asyncio
import contextlib
import functools
import json
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.to_thread

from agentflow.errors import (
    ContextLengthError,
    MalformedReplyError,
    ModelError,
    ModelRequestError,
    WeightsError,
)
from agentflow.models import catalogue, weights
from agentflow.models.protocol import (
    Finish,
    Message,
    Model,
    ModelSpec,
    OnText,
    Price,
    Reply,
    Request,
    ToolCall,
    Usage,
)

SLOTS = 2  # requests at once; they share the cores, and a common prefix is computed once
CONTEXT_TOKENS = 4096  # of each slot
DEFAULT_MAX_TOKENS = 1024
INSTALL = 'install the runner: pip install "agentflow[local]"'

_engines: dict[Path, Any] = {}
_loading = threading.Lock()


def open_gguf(spec: ModelSpec) -> Model:
    """Return the model in a GGUF file: `spec.name` is a path, or a name of the catalogue.

    Raises:
        UnknownModelError: It is neither.
        WeightsError: The file is not there yet, or the runner is not installed.
    """
    try:
        import xllamacpp  # noqa: F401, PLC0415 - optional, and 0.1 s
    except ImportError as error:
        raise WeightsError(model=str(spec), problem=INSTALL) from error
    return GgufModel(spec, _file(spec))


def _file(spec: ModelSpec) -> Path:
    path = Path(spec.name).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise WeightsError(model=str(spec), problem=f"there is no file {path}")
        return path.resolve()
    entry = catalogue.find(spec.name)
    if not weights.installed(entry):
        size = entry.size_bytes / 1e6
        problem = f"its weights are not here yet; fetch them ({size:.0f} MB): agentflow models pull {entry.name}"
        raise WeightsError(model=str(spec), problem=problem)
    return weights.path_of(entry)


class GgufModel:
    """One GGUF file as a model."""

    concurrency: int | None = SLOTS

    def __init__(self, spec: ModelSpec, path: Path) -> None:
        self.spec, self._path = spec, path

    @property
    def price(self) -> Price:
        """Nothing: it runs here."""
        return Price(input=0, output=0)

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        """Answer one request; cancelling stops the computation at the next token.

        Raises:
            ContextLengthError: Prompt and reply do not fit.
            ModelRequestError: The grammar, schema or template does not allow the request.
            MalformedReplyError: The reply is empty.
            WeightsError: The file is no model.
        """
        stop = threading.Event()
        loop = asyncio.get_running_loop()

        def hear(text: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone when a run was cancelled
                loop.call_soon_threadsafe(on_text, text)

        work = functools.partial(self._ask, _body(request), stop, hear)
        try:
            chunks = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        finally:
            stop.set()
        return self._reply(request, chunks)

    async def aclose(self) -> None:
        """Keep the engine: the next run in this process uses it again."""

    def _ask(
        self, body: dict[str, Any], stop: threading.Event, heard: Callable[[str], None]
    ) -> list[dict[str, Any]]:
        engine = _engine(self._path, str(self.spec))
        chunks: list[dict[str, Any]] = []

        def take(chunk: Any) -> bool:
            found = json.loads(chunk) if isinstance(chunk, str | bytes) else chunk
            chunks.append(found)
            text = _text(found)
            if text and not stop.is_set():
                heard(text)
            return stop.is_set()

        engine.handle_chat_completions(body, take)
        return chunks

    def _reply(self, request: Request, chunks: list[dict[str, Any]]) -> Reply:
        for chunk in chunks:
            if "error" in chunk:
                raise self._error(chunk["error"])
        text = "".join(map(_text, chunks))
        opening = request.messages[-1].text if request.messages[-1].role == "assistant" else ""
        if opening and not text.startswith(opening):
            text = opening + text
        finish = next((reason for chunk in chunks if (reason := _finish(chunk))), None)
        calls = tuple(_tool_calls(chunks)) or _written_call(text, request)
        if finish is None or (not text and not calls):
            raise MalformedReplyError(model=str(self.spec), problem="the reply is empty or cut off")
        return Reply(
            text="" if calls else text,
            tool_calls=calls,
            finish="tool_calls" if calls else finish,
            usage=next(
                (_usage(chunk) for chunk in reversed(chunks) if chunk.get("usage")), Usage()
            ),
            cost_usd=0.0,
            model=self.spec.name,
        )

    def _error(self, error: dict[str, Any]) -> ModelError:
        message = str(error.get("message", error)).splitlines()[0]
        if error.get("type") == "exceed_context_size_error":
            return ContextLengthError(model=str(self.spec), problem=message)
        return ModelRequestError(model=str(self.spec), problem=message)


def _engine(path: Path, name: str) -> Any:
    import xllamacpp  # noqa: PLC0415 - optional

    with _loading:
        if path not in _engines:
            parameters = xllamacpp.CommonParams()
            parameters.model.path = str(path)
            parameters.n_parallel = SLOTS
            parameters.n_ctx = SLOTS * CONTEXT_TOKENS
            threads = _threads()
            parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
            parameters.api_keys = [secrets.token_hex(32)]
            parameters.verbosity = -1
            try:
                _engines[path] = xllamacpp.Server(parameters)
            except (RuntimeError, ValueError) as error:
                problem = f"{path.name} cannot be loaded: {error}; fetch it again with `agentflow models pull`"
                raise WeightsError(model=name, problem=problem) from error
        return _engines[path]


def _threads() -> int:
    """Return how many cores to use: all of few, all but one of many (a taken core stalls the rest).

    `AGENTFLOW_THREADS` says otherwise: on a machine that is busy with other work, fewer are faster.
    """
    given = os.environ.get("AGENTFLOW_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(8, cores if cores <= 2 else cores - 1))


def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": [_message(message) for message in request.messages],
        "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
        "temperature": request.temperature or 0.0,
        "seed": request.seed or 0,
        "stop": list(request.stop),
        "cache_prompt": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.grammar is not None:
        body["grammar"] = request.grammar
    if request.output_schema is not None:
        schema = {"name": "reply", "schema": request.output_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.tools:
        body["tools"] = [
            {"type": "function", "function": tool.model_dump(mode="json")} for tool in request.tools
        ]
    return body


def _message(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_call_id is not None:
        written["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        written["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return written


def _delta(chunk: dict[str, Any]) -> dict[str, Any]:
    choices = chunk.get("choices") or [{}]
    found: dict[str, Any] = choices[0].get("delta") or {}
    return found


def _text(chunk: dict[str, Any]) -> str:
    return _delta(chunk).get("content") or ""


def _finish(chunk: dict[str, Any]) -> Finish | None:
    choices = chunk.get("choices") or [{}]
    reason = choices[0].get("finish_reason")
    return None if reason is None else "length" if reason == "length" else "stop"


def _usage(chunk: dict[str, Any]) -> Usage:
    usage = chunk["usage"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return Usage(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        cached_tokens=cached,
    )


def _tool_calls(chunks: list[dict[str, Any]]) -> list[ToolCall]:
    """Put the calls together from their pieces."""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for chunk in chunks:
        for piece in _delta(chunk).get("tool_calls") or []:
            index, function = piece.get("index", 0), piece.get("function") or {}
            names[index] = names.get(index) or function.get("name") or ""
            arguments[index] = arguments.get(index, "") + (function.get("arguments") or "")
    return [_call(index, names[index], arguments[index]) for index in sorted(names)]


def _call(index: int, name: str, arguments: str) -> ToolCall:
    try:
        found = json.loads(arguments or "{}")
    except ValueError as error:
        problem = f"the arguments of tool {name} are not JSON: {arguments[:100]}"
        raise MalformedReplyError(model="gguf", problem=problem) from error
    if not isinstance(found, dict):
        raise MalformedReplyError(
            model="gguf", problem=f"the arguments of tool {name} are no object"
        )
    return ToolCall(id=f"call_{index}", name=name, arguments=found)


def _written_call(text: str, request: Request) -> tuple[ToolCall, ...]:
    """Read a call that a small model wrote as plain JSON instead of in its template's form."""
    names = {tool.name for tool in request.tools}
    if not names:
        return ()
    bare = text.strip().removeprefix("```json").removesuffix("```").strip()
    try:
        found = json.loads(bare)
    except ValueError:
        return ()
    if not isinstance(found, dict) or found.get("name") not in names:
        return ()
    arguments = found.get("arguments")
    return (
        (ToolCall(id="call_0", name=found["name"], arguments=arguments),)
        if isinstance(arguments, dict)
        else ()
    )
