"""A real small model in this process: streaming, constraints, cancellation, limits."""

import json
import re
from pathlib import Path

import anyio
import pytest

from agentflow.errors import ContextLengthError, ModelRequestError, WeightsError
from agentflow.models import catalogue, weights
from agentflow.models.gguf import open_gguf
from agentflow.models.protocol import Message, Model, ModelSpec, Reply, Request

pytestmark = [pytest.mark.anyio, pytest.mark.model]


@pytest.fixture(scope="module")
def model() -> Model:
    """Return SmolLM2 135M: the real path, not its wit, is what these tests are about."""
    weights.pull(catalogue.find("smollm2-135m"))
    return open_gguf(ModelSpec(provider="gguf", name="smollm2-135m"))


def request(text: str = "Tell me about the sea.", **options: object) -> Request:
    fields = {"messages": (Message(role="user", text=text),), "max_tokens": 24, **options}
    return Request.model_validate(fields)


def ignore(_text: str) -> None:
    """Hear nothing."""


async def test_text_streams_and_usage_is_counted(model: Model) -> None:
    heard: list[str] = []
    reply = await model.complete(request(), heard.append)
    assert len(heard) > 3
    assert "".join(heard) == reply.text
    assert reply.finish == "length"
    assert reply.usage.output_tokens == 24
    assert reply.usage.input_tokens > 5
    assert (reply.model, reply.cost_usd) == ("smollm2-135m", 0.0)


async def test_a_common_prefix_is_computed_once(model: Model) -> None:
    text = "The lighthouse keeper counted seven boats and went back to his soup. " * 8
    await model.complete(request(text + "Why?"), ignore)
    reply = await model.complete(request(text + "Who?"), ignore)
    assert reply.usage.cached_tokens > 50


async def test_a_schema_is_obeyed(model: Model) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "age": {"type": "integer", "maximum": 99},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    reply = await model.complete(request(output_schema=schema, max_tokens=60), ignore)
    assert set(json.loads(reply.text)) == {"name", "age"}


async def test_a_grammar_is_obeyed_and_a_begun_reply_goes_on(model: Model) -> None:
    begun = (Message(role="user", text="Count."), Message(role="assistant", text="one, two, "))
    reply = await model.complete(
        request(messages=begun, grammar='root ::= [a-z]{3,5} ", " [a-z]{3,5}'), ignore
    )
    assert re.fullmatch(r"one, two, [a-z]{3,5}, [a-z]{3,5}", reply.text)


async def test_two_requests_run_at_once(model: Model) -> None:
    replies: list[Reply] = []

    async def ask(text: str) -> None:
        replies.append(await model.complete(request(text), ignore))

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "Tell me about the sea.")
        group.start_soon(ask, "Tell me about the wind.")
    assert [reply.usage.output_tokens for reply in replies] == [24, 24]


async def test_cancelling_stops_the_computation(model: Model) -> None:
    heard: list[str] = []
    with anyio.CancelScope() as scope:

        def stop_early(text: str) -> None:
            heard.append(text)
            if len(heard) == 3:
                scope.cancel()

        await model.complete(request(max_tokens=2000), stop_early)
    assert scope.cancelled_caught
    reply = await model.complete(request(max_tokens=4), ignore)
    assert reply.usage.output_tokens == 4
    assert len(heard) < 50


async def test_a_prompt_that_does_not_fit_is_typed(model: Model) -> None:
    with pytest.raises(ContextLengthError, match="exceeds the available context"):
        await model.complete(request("word " * 9000), ignore)


async def test_a_grammar_that_does_not_parse_is_typed(model: Model) -> None:
    with pytest.raises(ModelRequestError, match="grammar"):
        await model.complete(request(grammar="root ::= (("), ignore)


async def test_a_file_that_is_no_model_is_typed(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF, but not really" * 100)
    model = open_gguf(ModelSpec(provider="gguf", name=str(path)))
    with pytest.raises(WeightsError, match=r"broken.gguf cannot be loaded"):
        await model.complete(request(), ignore)
