"""Calls of tools, as OpenAI's own client reads them."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from agentflow.recurrent.requests import Outcome, Piece
from agentflow.recurrent.server.drafts import Draft
from agentflow.recurrent.server.tools import Tool
from tests.agentflow.recurrent.server.conftest import NAME, Served

PARAMETERS = {
    "type": "object",
    "properties": {
        "place": {"$ref": "#/$defs/place"},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["place", "days"],
    "additionalProperties": False,
    "$defs": {"place": {"enum": ["Oslo", "Rome"]}},
}
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "Tell the weather.",
    "parameters": PARAMETERS,
}
STOP: dict[str, Any] = {"name": "stop", "description": "Stop here."}
TOOLS: list[Any] = [{"type": "function", "function": one} for one in (WEATHER, STOP)]
FLAT: list[Any] = [{"type": "function", **one} for one in (WEATHER, STOP)]
NAMED: Any = {"type": "function", "function": {"name": "weather"}}
QUESTION: Any = {"role": "user", "content": "How is the weather?"}


def ask(server: Served, messages: list[Any], **more: Any) -> ChatCompletion:
    given: dict[str, Any] = {"max_tokens": 200, "temperature": 1.0, "tools": TOOLS} | more
    found = server.client.chat.completions.create(model=NAME, messages=messages, **given)
    assert isinstance(found, ChatCompletion)
    return found


def respond(server: Served, said: Any, **more: Any) -> Response:
    given: dict[str, Any] = {"max_output_tokens": 200, "tools": FLAT} | more
    found = server.client.responses.create(model=NAME, input=said, **given)
    assert isinstance(found, Response)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_tool_that_must_be_called_is_called_as_its_schema_says(server: Served, seed: int) -> None:
    reply = ask(server, [QUESTION], tool_choice=NAMED, extra_body={"seed": seed}).choices[0]
    assert reply.finish_reason == "tool_calls"
    assert reply.message.content is None
    (call,) = reply.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "weather"
    arguments = json.loads(call.function.arguments)
    assert arguments["place"] in ("Oslo", "Rome")
    assert 1 <= arguments["days"] <= 9


def test_some_tool_is_called_when_one_is_required(server: Served) -> None:
    reply = ask(server, [QUESTION], tool_choice="required").choices[0]
    (call,) = reply.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name in ("weather", "stop")


def test_a_streamed_call_is_the_whole_one(server: Served) -> None:
    whole = ask(server, [QUESTION], tool_choice=NAMED, seed=3).choices[0].message.tool_calls
    with server.client.chat.completions.stream(
        model=NAME,
        messages=[QUESTION],
        tools=TOOLS,
        tool_choice=NAMED,
        max_tokens=200,
        temperature=1.0,
        seed=3,
    ) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert whole
    (call,) = final.message.tool_calls or []
    assert call.type == "function"
    assert whole[0].type == "function"
    assert call.function.arguments == whole[0].function.arguments


def test_calls_sent_back_are_what_the_model_wrote(server: Served) -> None:
    reply = ask(server, [QUESTION], tool_choice=NAMED, seed=1)
    message = reply.choices[0].message
    assert message.tool_calls
    assert reply.usage
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Sunny."}
    after = ask(server, [QUESTION, message.model_dump(), result], max_tokens=4)
    assert after.usage
    assert after.usage.prompt_tokens_details
    # To the last token, though the JSON of the call has spaces where the model wanted them.
    assert after.usage.prompt_tokens_details.cached_tokens == reply.usage.total_tokens


def test_a_call_that_was_changed_on_the_way_is_read_as_changed(server: Served) -> None:
    reply = ask(server, [QUESTION], tool_choice=NAMED, seed=1)
    message = reply.choices[0].message.model_dump()
    message["tool_calls"][0]["function"]["arguments"] = '{"place": "Mars", "days": 1}'
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "Dusty."}
    after = ask(server, [QUESTION, message, result], max_tokens=4)
    assert reply.usage
    assert after.usage
    assert after.usage.prompt_tokens_details
    cached = after.usage.prompt_tokens_details.cached_tokens
    assert cached is not None
    assert cached < reply.usage.total_tokens


def test_tools_that_may_not_be_called_leave_the_text_as_it_is(server: Served) -> None:
    forced = {"grammar": 'start: "<tool_call>{\\"name\\": \\"stop\\"}</tool_call>"'}
    told = ask(server, [QUESTION], tool_choice="none", extra_body=forced).choices[0]
    assert told.finish_reason == "stop"
    assert not told.message.tool_calls
    assert (told.message.content or "").startswith("<tool_call>")
    called = ask(server, [QUESTION], extra_body=forced).choices[0]
    assert called.finish_reason == "tool_calls"
    assert called.message.content is None


def test_a_schema_holds_for_what_is_no_call(server: Served) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"const": 5}}}
    reply = ask(server, [QUESTION], response_format=form, seed=2).choices[0]
    assert reply.message.tool_calls or json.loads(reply.message.content or "") == 5


def test_a_response_calls_and_goes_on_with_the_result(server: Served) -> None:
    named: Any = {"type": "function", "name": "weather"}
    first = respond(server, "How is it?", tool_choice=named)
    (call,) = first.output
    assert call.type == "function_call"
    assert call.name == "weather"
    assert json.loads(call.arguments)["place"] in ("Oslo", "Rome")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    after = respond(server, [result], previous_response_id=first.id, max_output_tokens=4)
    assert first.usage
    assert after.usage
    assert after.usage.input_tokens_details.cached_tokens == first.usage.total_tokens
    # The same as items, without a state.
    items = [{"role": "user", "content": "How is it?"}, call.model_dump(exclude_none=True), result]
    again = respond(server, items, max_output_tokens=4)
    assert again.usage
    assert again.usage.input_tokens == after.usage.input_tokens


def test_a_streamed_response_tells_a_call_in_events(server: Served) -> None:
    named: Any = {"type": "function", "name": "weather"}
    with server.client.responses.stream(
        model=NAME, input="How?", tools=FLAT, tool_choice=named, max_output_tokens=200
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert "response.function_call_arguments.delta" in kinds
    assert kinds[-2:] == ["response.output_item.done", "response.completed"]
    assert final.output[0].type == "function_call"


def test_text_between_calls_is_told_and_numbered(server: Served) -> None:
    tool = Tool.model_validate(TOOLS[1])
    draft = Draft(server.engine.tokenizer, [tool])
    call = '<tool_call>{"name": "stop", "arguments": {}}</tool_call>'
    text = f"First {call} then {call}"
    for place, letter in enumerate(text):
        draft.take(Piece(token=place, text=letter))
    outcome = Outcome(
        tokens=(1,), text=text, finish="stop", prompt_tokens=1, cached_tokens=0, handle="h"
    )
    draft.end(outcome)
    assert draft.text == "First\nthen"
    assert draft.finish == "tool_calls"
    assert [name for _id, name, _arguments in draft.calls] == ["stop", "stop"]
    assert len({call_id for call_id, _name, _arguments in draft.calls}) == 2
