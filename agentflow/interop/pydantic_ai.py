"""Agents of pydantic-ai as flows.

Owns `from_pydantic_ai` and the pydantic-ai `Model` that asks ours. The agent's loop, its instructions,
validators and retries stay its own; every request to a model is a model step, every call of a tool a tool
step. Streaming is not offered: a step's result is whole.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar, Union, cast

from agentflow.engine.notes import default_model
from agentflow.errors import MissingExtraError
from agentflow.flows import Flow
from agentflow.interop.frameworks.asking import ask_model
from agentflow.interop.frameworks.failures import our_errors
from agentflow.interop.frameworks.tool_steps import call_as_step
from agentflow.models.protocol import Message, ModelSpec
from agentflow.models.registry import parse_spec

try:
    from pydantic_ai import Agent, ModelRetry, RunContext
    from pydantic_ai import messages as said
    from pydantic_ai._output import types_from_output_spec  # only it knows all the forms
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.exceptions import (
        ApprovalRequired,
        CallDeferred,
        ToolFailed,
        ToolFailedError,
        ToolRetryError,
        UnexpectedModelBehavior,
    )
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.profiles import ModelProfile
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.tools import DeferredToolRequests, ToolDefinition
    from pydantic_core import to_jsonable_python
except ModuleNotFoundError as error:
    raise MissingExtraError(feature="pydantic-ai", extra="pydantic-ai") from error

from agentflow.interop.frameworks.pydantic_ai_words import (
    options_of,
    refuse,
    response_of,
    schema_of,
    tool_spec,
    turns,
)

T = TypeVar("T")


def from_pydantic_ai(
    agent: Agent[Any, T],
    *,
    name: str | None = None,
    version: str = "",
    model: str | ModelSpec | None = None,
    deps: Any = None,
    effects: Collection[str] = (),
) -> Flow[[str], T]:
    """Make a flow of an agent: it takes the user's prompt and returns the agent's output.

    Args:
        agent: A model of its own is not asked; `model`, or else the run's model, is.
        name: What its steps are called; the agent's own name without one.
        version: See `Flow`.
        model: Another model than the run's.
        deps: What the agent's tools and instructions depend on; never recorded.
        effects: Names of the tools that change something outside.

    Raises:
        TypeError: The agent has no name, or its output type cannot be recorded.
        FrameworkError: It hands tool calls out instead of answering them.
    """
    called = name or agent.name
    if called is None:
        raise TypeError("the agent has no name: give Agent(name=...) or `name=`")
    outputs = types_from_output_spec(agent.output_type)
    if DeferredToolRequests in outputs:
        refuse(called, "tool calls that others answer later do not map: call `ask` in the tool")

    async def run(prompt: str) -> Any:
        spec = await default_model() if model is None else parse_spec(model)
        steps: AbstractCapability[Any] = _ToolSteps(called, frozenset(effects))
        asked = _Asked(called, spec)
        with our_errors():
            done = await agent.run(
                prompt, model=asked, deps=deps, capabilities=[steps], infer_name=False
            )
        return done.output

    run.__name__, run.__qualname__ = called, f"from_pydantic_ai.<locals>.{called}"
    run.__annotations__["return"] = Union[tuple(outputs)]  # noqa: UP007 - known only now
    return cast("Flow[[str], T]", Flow(run, name=called, version=version))


class _Asked(Model[Any]):  # type: ignore[misc, unused-ignore] # Any where it is not installed
    """A model of pydantic-ai that asks ours."""

    def __init__(self, agent: str, spec: ModelSpec) -> None:
        profile = ModelProfile(
            supports_json_schema_output=True,
            supports_json_object_output=True,
            default_structured_output_mode="native",
        )
        super().__init__(profile=profile)
        self._agent, self._spec = agent, spec

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self._spec.name

    @property
    def system(self) -> str:
        """The model's provider."""
        return self._spec.provider

    async def request(
        self,
        messages: list[said.ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> said.ModelResponse:
        """Make one model step of one request.

        Raises:
            FrameworkError: It holds what our models do not take.
        """
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        if parameters.native_tools:
            refuse(self._agent, "tools that run at the provider do not map: offer functions")
        reply = await ask_model(
            self._conversation(messages, parameters),
            model=self._spec,
            tools=[tool_spec(each) for each in parameters.declared_tool_defs.values()],
            schema=schema_of(parameters),
            options=options_of(self._agent, settings),
        )
        return response_of(reply, self._spec)

    def _conversation(
        self, messages: list[said.ModelMessage], parameters: ModelRequestParameters
    ) -> list[Message]:
        told = [turn for message in messages for turn in turns(self._agent, message)]
        parts = self._get_instruction_parts(messages, parameters) or []
        first = next((i for i, turn in enumerate(told) if turn.role != "system"), len(told))
        told[first:first] = [Message(role="system", text=part.content) for part in parts]
        return told


class _ToolSteps(AbstractCapability[Any]):  # type: ignore[misc, unused-ignore] # the same
    """Has every call of a tool recorded as a step."""

    def __init__(self, agent: str, effects: frozenset[str]) -> None:
        self._agent, self._effects = agent, effects

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],  # noqa: ARG002 - theirs
        *,
        call: said.ToolCallPart,
        tool_def: ToolDefinition,  # noqa: ARG002 - theirs
        args: dict[str, Any],
        handler: Callable[[dict[str, Any]], Awaitable[Any]],
    ) -> Any:
        """Call a tool, or take over what it gave before."""

        async def work() -> Any:
            try:
                return _plain(self._agent, await handler(args))
            except (ModelRetry, ToolFailed, *_TOLD) as error:
                return _outcome(error)
            except (ApprovalRequired, CallDeferred):
                refuse(
                    self._agent, f"tool {call.tool_name} waits for others: call `ask` in it instead"
                )

        effect = call.tool_name in self._effects
        found = await call_as_step(call.tool_name, call.args_as_dict(), work, effect=effect)
        if not isinstance(found, tuple):
            return found
        kind, *facts = found
        if kind == _RETURN:
            return said.ToolReturn(facts[0], content=facts[1])
        raise ModelRetry(facts[0]) if kind == _RETRY else ToolFailed(facts[0])


_TOLD = (ToolRetryError, ToolFailedError, UnexpectedModelBehavior)  # how the agent wraps the two
_RETURN, _RETRY, _FAILED = "ToolReturn", "ModelRetry", "ToolFailed"  # plain results are no tuples


def _outcome(error: Exception) -> tuple[str, str]:
    """Return what a tool tells the model by raising; the agent counts it when it is raised again."""
    told = error if isinstance(error, ModelRetry | ToolFailed) else error.__cause__
    if isinstance(told, ModelRetry | ToolFailed):
        return (_RETRY if isinstance(told, ModelRetry) else _FAILED, told.message)
    if isinstance(error, ToolRetryError):
        return (_RETRY, str(error))
    raise error


def _plain(agent: str, value: Any) -> Any:
    """Return a tool's result as the JSON data that the model is shown in any case."""
    if isinstance(value, said.ToolReturn):
        if not isinstance(value.content, str | None) or value.tools:
            refuse(agent, "a ToolReturn with files or tools does not map: return text or data")
        return (_RETURN, to_jsonable_python(value.return_value), value.content)
    if isinstance(value, said.BinaryContent | said.FileUrl):
        refuse(agent, "files do not map: our models read text")
    return to_jsonable_python(value)
