"""What is particular to Anthropic's Messages API."""

from typing import Any

import pytest

from agentflow.errors import ModelRequestError
from agentflow.models.anthropic_messages import DEFAULT_MAX_TOKENS, REPLY_TOOL
from agentflow.models.protocol import Message, Request, ToolCall
from tests.agentflow.models.hosted_parts import ADD, ask, complete
from tests.wire import calls, gives_json, says

pytestmark = pytest.mark.anyio

FREE = {"type": "object", "additionalProperties": {"type": "integer"}}
TREE = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"below": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
            "required": ["below"],
        }
    },
    "$ref": "#/$defs/Node",
}


async def test_system_messages_are_lifted_and_tool_answers_share_a_turn() -> None:
    talk = Request(
        messages=(
            Message(role="system", text="Be brief."),
            Message(role="user", text="1+2 and 3+4?"),
            Message(
                role="assistant",
                text="Adding.",
                tool_calls=(
                    ToolCall(id="t1", name="add", arguments={"a": 1}),
                    ToolCall(id="t2", name="add", arguments={"a": 3}),
                ),
            ),
            Message(role="tool", text="3", tool_call_id="t1"),
            Message(role="tool", text="7", tool_call_id="t2"),
            Message(role="user", text="Well?"),
            Message(role="system", text="Be polite."),
        ),
        tools=(ADD,),
    )
    _, _, body = await complete("anthropic", says("3 and 7"), talk)
    assert body["system"] == "Be brief.\n\nBe polite."
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in body["messages"][1]["content"]] == [
        "text",
        "tool_use",
        "tool_use",
    ]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "t1", "content": "3"},
        {"type": "tool_result", "tool_use_id": "t2", "content": "7"},
        {"type": "text", "text": "Well?"},
    ]


async def test_a_limit_is_always_sent() -> None:
    _, _, body = await complete("anthropic", says("ok"))
    assert body["max_tokens"] == DEFAULT_MAX_TOKENS


async def test_temperature_and_stop_sequences_are_sent() -> None:
    request = ask(temperature=0.0, stop=("END",))
    reply, _, body = await complete("anthropic", says("ok", finish="stop_sequence"), request)
    assert (body["temperature"], body["stop_sequences"]) == (0.0, ["END"])
    assert reply.finish == "stop"


async def test_a_plain_schema_uses_structured_outputs() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    _, _, body = await complete("anthropic", gives_json({"n": 1}), ask(output_schema=schema))
    sent = body["output_config"]["format"]["schema"]
    assert sent["required"] == ["n"]
    assert "minimum" not in sent["properties"]["n"]
    assert "tools" not in body


@pytest.mark.parametrize(
    ("schema", "given", "text"),
    [(FREE, {"x": 1}, '{"x": 1}'), (TREE, {"value": {"below": []}}, '{"below": []}')],
)
async def test_a_schema_beyond_structured_outputs_is_a_forced_tool_call(
    schema: dict[str, Any], given: dict[str, Any], text: str
) -> None:
    answer = calls((REPLY_TOOL, given))
    reply, pieces, body = await complete("anthropic", answer, ask(output_schema=schema))
    assert (reply.text, reply.finish, reply.tool_calls) == (text, "stop", ())
    assert len(pieces) == 2
    assert body["tool_choice"] == {"type": "tool", "name": REPLY_TOOL}


async def test_a_forced_reply_leaves_the_choice_of_the_other_tools() -> None:
    request = ask(output_schema=FREE, tools=(ADD,))
    reply, _, body = await complete("anthropic", calls(("add", {"a": 1})), request)
    assert body["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in body["tools"]] == ["add", REPLY_TOOL]
    assert [call.name for call in reply.tool_calls] == ["add"]


async def test_a_seed_is_refused() -> None:
    with pytest.raises(ModelRequestError, match="seed"):
        await complete("anthropic", says("ok"), ask(seed=1))
