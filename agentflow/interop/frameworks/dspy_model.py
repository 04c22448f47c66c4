"""The language model of DSPy that asks ours.

Owns the way from a request of DSPy to a model step and back. Caching, retries and keys are ours; DSPy's
are off. A step is asked for in the event loop, or from a thread by way of the call's `Bridge`.
"""

from typing import Any, NoReturn

import dspy
from dspy import lm15

from agentflow.errors import ContextLengthError
from agentflow.interop.frameworks.asking import ask_model
from agentflow.interop.frameworks.bridge import Bridge
from agentflow.interop.frameworks.failures import FrameworkError
from agentflow.models.protocol import Message, ModelSpec, Reply, ToolCall, ToolSpec

FRAMEWORK = "DSPy"
FINISH = {"tool_calls": "tool_call", "refusal": "content_filter"}  # ours: theirs
CONFIG = ("max_tokens", "temperature", "seed", "stop")
NOT_OURS = (
    "top_p",
    "top_k",
    "reasoning",
    "cache",
    "frequency_penalty",
    "presence_penalty",
    "service_tier",
    "logprobs",
    "probabilities",
    "extensions",
)


class RunLM(dspy.LM):  # type: ignore[misc]
    """What a module's predictors call during one call of its flow."""

    def __init__(self, bridge: Bridge, spec: ModelSpec) -> None:
        engine = _Engine(bridge, spec)
        super().__init__(
            f"agentflow/{spec}",
            cache=False,
            num_retries=0,
            engine=engine,
            async_engine=_AsyncEngine(spec),
        )
        self.bridge = bridge

    def __deepcopy__(self, _memo: dict[int, Any]) -> "RunLM":
        return self  # it belongs to a call that is under way


class _AsyncEngine:
    """Asks in the event loop."""

    supports_response_schema = True
    supports_function_calling = True
    supported_params = frozenset({"response_format", "tools"})

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """Make one model step of one request."""
        return await answer(request, self._spec)


class _Engine:
    """Asks from a thread."""

    supports_response_schema = True
    supports_function_calling = True
    supported_params = frozenset({"response_format", "tools"})

    def __init__(self, bridge: Bridge, spec: ModelSpec) -> None:
        self._bridge, self._spec = bridge, spec

    def complete(self, request: lm15.Request) -> lm15.Response:
        """Make one model step of one request."""
        content = repr((request.system, request.messages, request.config)).encode()
        return self._bridge.step(lambda: answer(request, self._spec), content)


async def answer(request: lm15.Request, spec: ModelSpec) -> lm15.Response:
    """Return what our model says to a request of DSPy.

    Raises:
        FrameworkError: It holds what our models do not take.
        lm15.ContextLengthError: Our `ContextLengthError`, which modules know how to shorten.
    """
    config = request.config
    for name in NOT_OURS:
        if getattr(config, name) is not None:
            refuse(f"request, {name}", "this setting does not map: leave it out")
    if config.tool_choice is not None and config.tool_choice.mode != "auto":
        refuse("request, tool_choice", "a model cannot be made to call a tool: leave it out")
    try:
        reply = await ask_model(
            _messages(request),
            model=spec,
            tools=[_tool(tool) for tool in request.tools],
            schema=_schema(config.response_format),
            options={
                name: getattr(config, name) or None for name in CONFIG if name != "temperature"
            }
            | {"temperature": config.temperature},
        )
    except ContextLengthError as error:
        raise lm15.ContextLengthError(str(error)) from error
    return _response(reply, spec)


def refuse(what: str, problem: str) -> NoReturn:
    """Say that something of DSPy has no counterpart here."""
    raise FrameworkError(framework=FRAMEWORK, what=what, problem=problem)


def _messages(request: lm15.Request) -> list[Message]:
    turns = [turn for message in request.messages for turn in _turns(message)]
    if request.system is None:
        return turns
    system = request.system
    text = system if isinstance(system, str) else "".join(_text(part) for part in system)
    return [Message(role="system", text=text), *turns]


def _turns(message: lm15.Message) -> list[Message]:
    results = [part for part in message.parts if isinstance(part, lm15.ToolResultPart)]
    if results:
        return [
            Message(role="tool", text="".join(map(_text, part.content)), tool_call_id=part.id)
            for part in results
        ]
    calls = tuple(
        ToolCall(id=part.id, name=part.name, arguments=dict(part.input))
        for part in message.parts
        if isinstance(part, lm15.ToolCallPart)
    )
    skipped = (lm15.ToolCallPart, lm15.ThinkingPart)
    text = "".join(_text(part) for part in message.parts if not isinstance(part, skipped))
    role = "system" if message.role == "developer" else message.role
    return [Message(role=role, text=text, tool_calls=calls)]


def _text(part: Any) -> str:
    if not isinstance(part, lm15.TextPart | lm15.RefusalPart):
        refuse(f"message, {type(part).__name__}", "our models read text")
    return str(part.text)


def _tool(tool: Any) -> ToolSpec:
    if not isinstance(tool, lm15.FunctionTool):
        refuse(f"tool {tool.name}", "tools that run at the provider do not map: offer functions")
    return ToolSpec(
        name=tool.name, description=tool.description or "", parameters=dict(tool.parameters)
    )


def _schema(wanted: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the JSON schema of what is asked for; any object will do for `json_object`."""
    if wanted is None:
        return None
    found: dict[str, Any] = wanted.get("schema", {"type": "object"})
    return found


def _response(reply: Reply, spec: ModelSpec) -> lm15.Response:
    parts: list[Any] = [lm15.TextPart(reply.text)] if reply.text or not reply.tool_calls else []
    parts += [lm15.ToolCallPart(call.id, call.name, call.arguments) for call in reply.tool_calls]
    usage = lm15.Usage(
        input_tokens=reply.usage.input_tokens,
        output_tokens=reply.usage.output_tokens,
        total_tokens=reply.usage.total_tokens,
        cache_read_tokens=reply.usage.cached_tokens or None,
    )
    return lm15.Response(
        id=None,
        model=reply.model or spec.name,
        message=lm15.Message.assistant(parts),
        finish_reason=FINISH.get(reply.finish, reply.finish),
        usage=usage,
    )
