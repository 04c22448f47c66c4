"""What the tests of hosted models share: the three APIs, opened against a wire server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agentflow.models.anthropic import open_anthropic
from agentflow.models.openai import open_openai
from agentflow.models.protocol import Message, Model, ModelSpec, Reply, Request, ToolSpec
from tests.wire import Scripted, WireServer

APIS = ("responses", "chat", "anthropic")
KEY = "wire_0123456789abcdef"  # unlike any known form of key
KEY_ENV = "WIRE_KEY"
ADD = ToolSpec(
    name="add",
    description="Add two numbers.",
    parameters={"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
)


def ask(text: str = "Hi", **rest: Any) -> Request:
    """Return a request of one user message."""
    return Request(messages=(Message(role="user", text=text),), **rest)


def ignore(text: str) -> None:
    """Listen to nothing."""


def spec_for(api: str, server: WireServer, **rest: Any) -> ModelSpec:
    """Return the specification of a model behind `api` of `server`."""
    if api == "anthropic":
        return ModelSpec(provider="anthropic", name="m", base_url=server.anthropic_url, **rest)
    return ModelSpec(provider="openai", name="m", base_url=server.openai_url, api=api, **rest)


@asynccontextmanager
async def opened(spec: ModelSpec) -> AsyncIterator[Model]:
    """Open a model and close it afterwards."""
    model = open_anthropic(spec) if spec.provider == "anthropic" else open_openai(spec)
    try:
        yield model
    finally:
        await model.aclose()


async def complete(
    api: str, answer: Scripted, request: Request | None = None, **rest: Any
) -> tuple[Reply, list[str], dict[str, Any]]:
    """Return the reply to `answer`, the pieces of text it came in, and the body that was sent."""
    pieces: list[str] = []
    with WireServer([answer]) as server:
        async with opened(spec_for(api, server, **rest)) as model:
            reply = await model.complete(request or ask(), pieces.append)
        return reply, pieces, server.requests[0].body
