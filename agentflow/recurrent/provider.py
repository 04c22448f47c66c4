"""Recurrent models in this process: `recurrent:FOLDER` or `recurrent:NAME`, no server needed.

Owns the way from a `Request` to a generation and back, and the engines: one per folder and process, loaded on first
use in a worker thread and shared by all runs, so that their common prefixes are read once. A last message of role
`assistant` is the beginning of the reply and comes back as part of it.
"""

import atexit
import hashlib
import json
import threading
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread

from agentflow.errors import (
    MalformedReplyError,
    MissingExtraError,
    ModelRequestError,
    ModelUnavailableError,
    WeightsError,
)
from agentflow.models.protocol import (
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
from agentflow.recurrent.packaged_models import find_packaged, packaged
from agentflow.recurrent.requests import GenerationRequest, Outcome, Prompt, Sampling
from agentflow.recurrent.server.messages import OwnReplies, Told, told_message
from agentflow.recurrent.text.tool_calls import Call, ToolCallStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agentflow.recurrent.engine import Engine
    from agentflow.recurrent.requests import Piece
    from agentflow.recurrent.text.grammar import Grammar

DEFAULT_MAX_TOKENS = 1024
NEEDED = ("torch", "transformers", "llguidance", "safetensors")

_engines: "dict[str, Engine]" = {}
_loading = threading.Lock()
_reading = threading.Lock()  # tokenizers and grammars are used by one thread at a time


def open_recurrent(spec: ModelSpec) -> Model:
    """Return the model of a folder.

    `spec.name` is the name of a model that came along, else a path, else a name that Hugging Face's cache knows.

    Raises:
        MissingExtraError: The extra `recurrent` is not installed.
        WeightsError: There is no such folder.
    """
    if any(find_spec(package) is None for package in NEEDED):
        raise MissingExtraError(feature="a recurrent model in this process", extra="recurrent")
    return RecurrentModel(spec, _place(spec))


def close_engines() -> None:
    """Close all engines of this process; a model that is asked again opens its own anew."""
    with _loading:
        engines = list(_engines.values())
        _engines.clear()
    for engine in engines:
        engine.close()


atexit.register(close_engines)


class RecurrentModel:
    """A model behind an engine of this process."""

    concurrency: int | None = None  # the engine takes in whatever comes and decodes it together

    def __init__(self, spec: ModelSpec, place: str) -> None:
        self.spec, self._place = spec, place
        self._own = OwnReplies()

    @property
    def price(self) -> Price:
        """Nothing: it runs here."""
        return Price(input=0, output=0)

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        """Answer one request; cancelling frees its place at the next token.

        Raises:
            ContextLengthError: The prompt leaves no room for a reply.
            EngineFullError: Too many requests are waiting.
            ModelRequestError: The grammar, schema or template does not allow the request.
            MalformedReplyError: The reply is empty.
            WeightsError: The folder holds no model that can be run.
        """
        engine = await anyio.to_thread.run_sync(_engine, self._place, abandon_on_cancel=True)
        wanted = await anyio.to_thread.run_sync(self._wanted, engine, request)
        tools = {tool.name: tool.parameters for tool in request.tools}
        stream = ToolCallStream(tools) if tools else None
        text, calls = _opening(request), list[Call]()

        def hear(told: tuple[str, list[Call]]) -> None:
            nonlocal text
            text += told[0]
            calls.extend(told[1])
            if told[0]:
                on_text(told[0])

        generation = engine.submit(wanted)
        try:
            pieces = cast("AsyncGenerator[Piece, None]", aiter(generation))
            async with aclosing(pieces):
                async for piece in pieces:
                    hear((piece.text, []) if stream is None else stream.push(piece.text))
            outcome = await generation.outcome()
        finally:
            generation.cancel()
        if stream is not None:
            hear(stream.finish())
        return self._reply(text, calls, outcome)

    async def aclose(self) -> None:
        """Keep the engine: the next run in this process uses it and its states again."""

    def _wanted(self, engine: "Engine", request: Request) -> GenerationRequest:
        with _reading:
            try:
                prompt = self._prompt(engine, request)
                grammar = _grammar(engine, request)
            except ValueError as error:
                raise ModelRequestError(model=str(self.spec), problem=str(error)) from error
        sampling = Sampling(temperature=request.temperature or 0.0, seed=request.seed or 0)
        wanted, most = request.max_tokens or DEFAULT_MAX_TOKENS, engine.model.context_tokens
        return GenerationRequest(
            prompt=prompt,
            max_tokens=wanted if most is None else min(wanted, most - len(prompt.tokens)),
            sampling=sampling,
            stop=(*filter(None, request.stop), *engine.prompts.stop),
            stop_tokens=engine.tokenizer.end_tokens,
            grammar=grammar,
        )

    def _prompt(self, engine: "Engine", request: Request) -> Prompt:
        opening = _opening(request)
        messages = request.messages[:-1] if opening else request.messages
        told = [self._own.as_written(_told(message)) for message in messages]
        tools = [
            {"type": "function", "function": tool.model_dump(mode="json")} for tool in request.tools
        ]
        prompt = engine.prompts.build(told, tools or None)
        if not opening:
            return prompt
        begun = tuple(engine.tokenizer.encode(opening))
        return Prompt(tokens=prompt.tokens + begun, cuts=(*prompt.cuts, len(prompt.tokens)))

    def _reply(self, text: str, calls: list[Call], outcome: Outcome) -> Reply:
        name = str(self.spec)
        if outcome.finish == "cancelled":
            raise ModelUnavailableError(model=name, problem="the engine was closed")
        if not text and not calls:
            raise MalformedReplyError(model=name, problem="the reply is empty")
        # The same reply has the same ids, in every run; different replies have different ones.
        digest = hashlib.sha256(outcome.text.encode("utf-8", "replace")).hexdigest()[:12]
        made = tuple(
            ToolCall(id=f"call_{digest}_{place}", name=tool, arguments=arguments)
            for place, (tool, arguments) in enumerate(calls)
        )
        reply = Reply(
            text=text,
            tool_calls=made,
            finish="tool_calls" if made else outcome.finish,
            usage=Usage(
                input_tokens=outcome.prompt_tokens,
                output_tokens=len(outcome.tokens),
                cached_tokens=outcome.cached_tokens,
            ),
            cost_usd=0.0,
            model=self.spec.name,
            state=outcome.handle,
        )
        if made:
            said = Message(role="assistant", text=reply.text, tool_calls=reply.tool_calls)
            self._own.remember(_told(said), outcome.text)
        return reply


def _place(spec: ModelSpec) -> str:
    came_along = find_packaged(spec.name)
    if came_along is not None:
        return str(came_along.folder)
    folder = Path(spec.name).expanduser()
    if folder.is_dir():
        return str(folder.resolve())
    if folder.is_absolute() or spec.name.startswith((".", "~")) or spec.name.count("/") != 1:
        names = ", ".join(model.name for model in packaged())
        others = f"; models that come along: {names}" if names else ""
        raise WeightsError(model=str(spec), problem=f"there is no folder {folder}{others}")
    return spec.name  # a name of Hugging Face's cache


def _engine(place: str) -> "Engine":
    from agentflow.recurrent.engine import Engine  # noqa: PLC0415 - loads torch, seconds

    with _loading:
        if place not in _engines:
            _engines[place] = Engine.open(place)
        return _engines[place]


def _opening(request: Request) -> str:
    last = request.messages[-1] if request.messages else None
    is_begun = last is not None and last.role == "assistant" and not last.tool_calls
    return last.text if last is not None and is_begun else ""


def _told(message: Message) -> Told:
    if message.role == "assistant":
        calls = ((call.id, call.name, json.dumps(call.arguments)) for call in message.tool_calls)
        return told_message(message.text, calls)
    told: dict[str, Any] = {"role": message.role, "content": message.text}
    return told if message.tool_call_id is None else told | {"tool_call_id": message.tool_call_id}


def _grammar(engine: "Engine", request: Request) -> "Grammar | None":
    """Return what the reply must follow. Beside tools a schema is not enforced, since a call has another form."""
    if request.grammar is not None:
        return engine.grammars.gbnf(request.grammar)
    if request.output_schema is not None and not request.tools:
        return engine.grammars.json_schema(request.output_schema)
    return None
