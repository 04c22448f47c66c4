"""What is particular to OpenAI's two APIs."""

from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from agentflow.errors import CredentialsError, MalformedReplyError, ModelRequestError
from agentflow.models.failures import Failures
from agentflow.models.openai import open_openai
from agentflow.models.openai_chat import ChatReader, chat_body
from agentflow.models.openai_responses import ResponsesReader
from agentflow.models.protocol import Message, ModelSpec, Request, ToolCall
from tests.agentflow.models.hosted_parts import ask, complete, ignore, opened, spec_for
from tests.wire import WireServer, says

pytestmark = pytest.mark.anyio

TALK = Request(
    messages=(
        Message(role="system", text="Be brief."),
        Message(role="user", text="1+2 and 3+4?"),
        Message(
            role="assistant",
            tool_calls=(
                ToolCall(id="c1", name="add", arguments={"a": 1}),
                ToolCall(id="c2", name="add", arguments={"a": 3}),
            ),
        ),
        Message(role="tool", text="3", tool_call_id="c1"),
        Message(role="tool", text="7", tool_call_id="c2"),
    )
)


async def test_chat_sends_a_conversation_with_tools_as_documented() -> None:
    _, _, body = await complete("chat", says("3 and 7"), TALK)
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool"]
    call = body["messages"][2]["tool_calls"][1]
    function = {"name": "add", "arguments": '{"a": 3}'}
    assert call == {"id": "c2", "type": "function", "function": function}
    assert body["messages"][4] == {"role": "tool", "tool_call_id": "c2", "content": "7"}


async def test_responses_sends_a_conversation_with_tools_as_documented() -> None:
    _, _, body = await complete("responses", says("3 and 7"), TALK)
    kinds = [item.get("type", item.get("role")) for item in body["input"]]
    assert kinds == ["system", "user"] + 2 * ["function_call"] + 2 * ["function_call_output"]
    call = {"type": "function_call", "call_id": "c2", "name": "add", "arguments": '{"a": 3}'}
    assert body["input"][3] == call
    assert body["input"][5] == {"type": "function_call_output", "call_id": "c2", "output": "7"}
    assert body["store"] is False


async def test_chat_sends_every_parameter_that_was_asked_for() -> None:
    request = ask(max_tokens=9, temperature=0.0, seed=4, stop=("END",))
    _, _, body = await complete("chat", says("ok"), request)
    sent = {name: body[name] for name in ("max_tokens", "temperature", "seed", "stop")}
    assert sent == {"max_tokens": 9, "temperature": 0.0, "seed": 4, "stop": ["END"]}


async def test_what_was_not_asked_for_is_not_sent() -> None:
    _, _, body = await complete("chat", says("ok"))
    assert set(body) == {"model", "messages", "stream", "stream_options"}


def test_the_official_host_gets_the_new_name_of_the_token_limit() -> None:
    body = chat_body(ModelSpec(provider="openai", name="m"), ask(max_tokens=9), None)
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body


USAGE = {"prompt_tokens": 830, "completion_tokens": 4, "total_tokens": 834}


@pytest.mark.parametrize(
    ("said", "cached"),
    [
        ({"usage": USAGE | {"prompt_tokens_details": {"cached_tokens": 812}}}, 812),
        ({"usage": USAGE, "timings": {"cache_n": 812, "prompt_n": 18}}, 812),
        ({"usage": USAGE | {"prompt_cache_hit_tokens": 812, "prompt_cache_miss_tokens": 18}}, 812),
        ({"usage": USAGE | {"cached_tokens": 812}}, 812),
        ({"usage": USAGE | {"prompt_tokens_details": None}}, 0),
        ({"usage": USAGE | {"prompt_tokens_details": {"cached_tokens": 9_000}}}, 830),
    ],
    ids=["OpenAI, vLLM, SGLang", "llama.cpp", "DeepSeek", "Kimi", "untold", "more than all"],
)
def test_tokens_from_a_cache_are_read_in_every_dialect(said: dict[str, Any], cached: int) -> None:
    reader = ChatReader(Failures("m", key="k", key_env=None))
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
    reader.take(ChatCompletionChunk.model_validate(head | said))
    assert reader.draft.usage is not None
    assert reader.draft.usage.cached_tokens == cached


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_the_state_that_our_own_server_has_kept_is_told(api: str) -> None:
    reply, _, _ = await complete(api, says("ok", state="st_1f"))
    assert reply.state == "st_1f"
    other, _, _ = await complete(api, says("ok"))
    assert other.state is None
    assert "state" not in other.model_dump(exclude_defaults=True), "older records stay as they are"


async def test_another_server_is_spoken_to_in_chat_by_default() -> None:
    with WireServer([says("ok")]) as server:
        spec = ModelSpec(provider="openai", name="m", base_url=server.openai_url)
        async with opened(spec) as model:
            await model.complete(ask(), ignore)
    assert server.requests[0].api == "chat"


@pytest.mark.parametrize("wish", [{"seed": 1}, {"stop": ("END",)}])
async def test_responses_refuses_what_only_chat_knows(wish: dict[str, Any]) -> None:
    with WireServer([says("ok")]) as server:
        async with opened(spec_for("responses", server)) as model:
            with pytest.raises(ModelRequestError, match="api: chat"):
                await model.complete(ask(**wish), ignore)
    assert server.requests == []


def test_the_official_host_uses_chat_only_where_responses_will_not_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-123456")
    model = open_openai(ModelSpec(provider="openai", name="m"))
    choose = model._api_for  # type: ignore[attr-defined] # no request may leave for the real host
    assert choose(ask()) == "responses"
    assert choose(ask(seed=1)) == "chat"


async def test_a_server_that_counts_no_tokens_is_refused() -> None:
    with pytest.raises(ModelRequestError, match="token usage"):
        await complete("chat", says("ok", usage=None))


async def test_a_server_that_wants_a_key_nobody_named_says_where_to_name_it() -> None:
    with WireServer(lambda _seen: says(status=401, error={"message": "who are you"})) as server:
        async with opened(spec_for("chat", server)) as model:
            with pytest.raises(CredentialsError, match=r"`api_key_env`.*who are you"):
                await model.complete(ask(), ignore)


async def test_an_unknown_finish_reason_is_malformed() -> None:
    with pytest.raises(MalformedReplyError, match="'tired'"):
        await complete("chat", says("ok", finish="tired"))
    with pytest.raises(MalformedReplyError, match="'max_messages'"):
        await complete("responses", says("ok", finish="max_messages"))


def test_parallel_calls_under_one_index_are_told_apart_by_their_ids() -> None:
    reader = ChatReader(Failures("openai:m", key="none", key_env=None))
    for name in ("x", "y"):
        function = {"name": "add", "arguments": f'{{"a": "{name}"}}'}
        call = {"index": 0, "id": f"call_{name}", "function": function}
        reader.take({"choices": [{"delta": {"tool_calls": [call]}}]})
    assert [call.arguments for call in reader.draft.calls] == ['{"a": "x"}', '{"a": "y"}']


def test_a_failed_response_is_an_error_with_its_reason() -> None:
    reader = ResponsesReader(Failures("openai:m", key="none", key_env=None))
    error = {"code": "invalid_prompt", "message": "not like this"}
    with pytest.raises(ModelRequestError, match="not like this"):
        reader.take({"type": "response.failed", "response": {"error": error}})
