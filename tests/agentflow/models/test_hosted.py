"""What holds for every hosted model, whichever API it speaks."""

from typing import Any

import anyio
import pytest

from agentflow.errors import (
    ContextLengthError,
    CredentialsError,
    MalformedReplyError,
    ModelError,
    ModelRequestError,
    ModelUnavailableError,
    RateLimitedError,
)
from agentflow.models.protocol import ModelSpec, Price, ToolCall, Usage
from tests.agentflow.models.hosted_parts import (
    ADD,
    APIS,
    KEY,
    KEY_ENV,
    ask,
    complete,
    ignore,
    opened,
    spec_for,
)
from tests.wire import Scripted, WireServer, calls, fails, gives_json, says

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("api", APIS)]


@pytest.fixture(autouse=True)
def wire_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


async def failure(api: str, answer: Scripted, **rest: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await complete(api, answer, api_key_env=KEY_ENV, **rest)
    return caught.value


async def test_text_arrives_piece_by_piece_and_whole(api: str) -> None:
    answer = says("Hel", "lo", " é😀", model="m-2026")
    reply, pieces, _ = await complete(api, answer)
    assert pieces == ["Hel", "lo", " é😀"]
    assert (reply.text, reply.finish, reply.model) == ("Hello é😀", "stop", "m-2026")


async def test_half_a_character_is_joined_or_replaced_so_that_the_reply_can_be_written(
    api: str,
) -> None:
    reply, _, _ = await complete(api, says("a\ud83d", "\ude00b\ud800c"))
    assert reply.text == "a😀b\ufffdc"
    reply, _, _ = await complete(api, calls(("add", {"a": "x\udfff"})))
    assert reply.tool_calls[0].arguments == {"a": "x\ufffd"}
    assert "\ufffd" in reply.model_dump_json()


async def test_usage_counts_all_input_and_the_cached_part_of_it(api: str) -> None:
    usage = Usage(input_tokens=100, output_tokens=7, cached_tokens=80)
    reply, _, _ = await complete(api, says("ok", usage=usage))
    assert reply.usage == usage


async def test_cost_follows_the_price_in_the_specification(api: str) -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000, cached_tokens=500_000)
    price = Price(input=2, output=10, cached_input=1)
    reply, _, _ = await complete(api, says("ok", usage=usage), price=price)
    assert reply.cost_usd == pytest.approx(1 + 0.5 + 10)


async def test_cost_is_unknown_at_an_unknown_server(api: str) -> None:
    reply, _, _ = await complete(api, says("ok"))
    assert reply.cost_usd is None


async def test_parallel_tool_calls_keep_order_ids_and_arguments(api: str) -> None:
    answer = calls(("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4}))
    reply, _, body = await complete(api, answer, ask(tools=(ADD,)))
    assert [call.arguments for call in reply.tool_calls] == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert len({call.id for call in reply.tool_calls}) == 2
    assert reply.finish == "tool_calls"
    assert "Add two numbers." in str(body["tools"])


async def test_text_before_a_tool_call_is_kept(api: str) -> None:
    reply, pieces, _ = await complete(api, calls(("add", {}), text=("Let me see.",)))
    assert (reply.text, pieces) == ("Let me see.", ["Let me see."])
    assert reply.tool_calls == (ToolCall(id=reply.tool_calls[0].id, name="add", arguments={}),)


async def test_structured_output_is_json_of_the_schema(api: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    reply, _, body = await complete(api, gives_json({"n": 3}), ask(output_schema=schema))
    assert reply.text == '{"n": 3}'
    assert "'additionalProperties': False" in str(body)


async def test_a_schema_that_is_no_object_is_wrapped_and_unwrapped(api: str) -> None:
    schema = {"type": "array", "items": {"type": "string"}}
    reply, _, body = await complete(api, gives_json({"value": ["a"]}), ask(output_schema=schema))
    assert reply.text == '["a"]'
    assert "'required': ['value']" in str(body)


async def test_a_refusal_is_a_reply_that_says_so(api: str) -> None:
    reply, _, _ = await complete(api, Scripted(refusal="I will not."))
    assert (reply.text, reply.finish) == ("I will not.", "refusal")


async def test_a_reply_cut_off_by_its_limit_says_length(api: str) -> None:
    word = {"responses": "max_output_tokens", "chat": "length", "anthropic": "max_tokens"}[api]
    reply, _, body = await complete(api, says("Once upon", finish=word), ask(max_tokens=33))
    assert reply.finish == "length"
    assert 33 in body.values()


async def test_a_reply_emptied_by_its_limit_is_not_retried(api: str) -> None:
    word = {"responses": "max_output_tokens", "chat": "length", "anthropic": "max_tokens"}[api]
    error = await failure(api, says(finish=word))
    assert isinstance(error, ModelRequestError)
    assert "raise it" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ModelRequestError),
        (401, CredentialsError),
        (403, CredentialsError),
        (404, ModelRequestError),
        (408, ModelUnavailableError),
        (409, ModelUnavailableError),
        (413, ContextLengthError),
        (422, ModelRequestError),
        (429, RateLimitedError),
        (500, ModelUnavailableError),
        (503, ModelUnavailableError),
        (529, ModelUnavailableError),
    ],
)
async def test_a_status_becomes_its_error(api: str, status: int, kind: type[ModelError]) -> None:
    error = await failure(api, fails(status, "the reason"))
    assert type(error) is kind
    assert error.status == status
    assert "the reason" in str(error)


async def test_retry_after_is_read_whatever_the_status(api: str) -> None:
    assert (await failure(api, fails(429, retry_after="7"))).retry_after_s == 7
    assert (await failure(api, fails(503, retry_after="2.5"))).retry_after_s == 2.5
    assert (await failure(api, fails(429))).retry_after_s is None


@pytest.mark.parametrize(
    "answer",
    [
        fails(400, "no", code="context_length_exceeded"),
        fails(400, "This model's maximum context length is 4096 tokens"),
        fails(400, "prompt is too long: 9 tokens > 8 maximum"),
    ],
)
async def test_a_prompt_that_does_not_fit_is_a_context_length_error(
    api: str, answer: Scripted
) -> None:
    assert type(await failure(api, answer)) is ContextLengthError


async def test_used_up_quota_is_not_a_rate_limit(api: str) -> None:
    error = await failure(api, fails(429, "You exceeded your quota", code="insufficient_quota"))
    assert type(error) is ModelRequestError


async def test_a_refused_key_names_its_variable_and_never_itself(api: str) -> None:
    error = await failure(api, fails(401, f"Wrong key: {KEY} (sk-proj-ab***yz)"))
    assert KEY_ENV in str(error)
    assert "Wrong key: [key] ([key])" in str(error)
    assert KEY not in repr(error) + str(error) + str(error.facts)
    assert error.__cause__ is None
    assert error.__suppress_context__


async def test_a_long_answer_of_the_server_is_cut_short(api: str) -> None:
    assert len(str(await failure(api, fails(400, "x" * 5000)))) < 400


async def test_a_connection_dropped_in_the_stream_is_unavailable(api: str) -> None:
    pieces: list[str] = []
    with WireServer([says("Hel", fault="drop")]) as server:
        async with opened(spec_for(api, server)) as model:
            with pytest.raises(ModelUnavailableError, match="no complete reply"):
                await model.complete(ask(), pieces.append)
    assert pieces == ["Hel"]


async def test_no_server_at_all_is_unavailable(api: str) -> None:
    with WireServer([]) as server:
        spec = spec_for(api, server)
    async with opened(spec) as model:
        with pytest.raises(ModelUnavailableError):
            await model.complete(ask(), ignore)


async def test_a_server_that_falls_silent_is_unavailable(api: str) -> None:
    error = await failure(api, says("Hel", fault="hang"), timeout_s=0.1)
    assert type(error) is ModelUnavailableError


async def test_a_stream_without_a_finish_is_malformed(api: str) -> None:
    error = await failure(api, says("Hel", fault="unfinished"))
    assert type(error) is MalformedReplyError
    assert "ended without" in str(error)


async def test_an_event_that_is_not_json_is_malformed(api: str) -> None:
    error = await failure(api, says("Hel", fault="not_json"))
    assert type(error) is MalformedReplyError
    assert "not JSON" in str(error)


async def test_an_event_of_the_wrong_shape_is_malformed(api: str) -> None:
    error = await failure(api, says("Hel", fault="odd_event"))
    assert type(error) is MalformedReplyError
    assert "delta" in str(error)


async def test_an_empty_reply_is_malformed(api: str) -> None:
    assert type(await failure(api, says())) is MalformedReplyError
    assert type(await failure(api, says(" \n"))) is MalformedReplyError


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "3", "null", '{"a": NaN}', "[" * 100_000])
async def test_tool_arguments_that_are_no_json_object_are_malformed(
    api: str, arguments: str
) -> None:
    error = await failure(api, calls(("add", arguments)))
    assert type(error) is MalformedReplyError
    assert "'add'" in str(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", ModelUnavailableError),
        ("overloaded_error", ModelUnavailableError),
        ("rate_limit_exceeded", RateLimitedError),
        ("rate_limit_error", RateLimitedError),
        ("context_length_exceeded", ContextLengthError),
        ("invalid_prompt", ModelRequestError),
    ],
)
async def test_an_error_in_the_stream_becomes_its_error(
    api: str, code: str, kind: type[ModelError]
) -> None:
    answer = fails(200, "the reason", code=code, text=("Hel",), fault="error_event")
    error = await failure(api, answer)
    assert type(error) is kind
    assert "the reason" in str(error)


async def test_an_error_of_the_listener_is_its_own_and_closes_the_stream(api: str) -> None:
    def listener(text: str) -> None:
        raise ValueError(f"cannot show {text}")

    with WireServer([says("Hel", fault="hang")]) as server:
        async with opened(spec_for(api, server)) as model:
            with pytest.raises(ValueError, match="cannot show Hel"):
                await model.complete(ask(), listener)
            await anyio.to_thread.run_sync(server.wait_hang_ups, 1)


async def test_cancellation_closes_the_stream(api: str) -> None:
    with WireServer([says("Hel", fault="hang")]) as server:
        async with opened(spec_for(api, server)) as model:
            with anyio.CancelScope() as scope:
                await model.complete(ask(), lambda _text: scope.cancel())
            assert scope.cancelled_caught
            await anyio.to_thread.run_sync(server.wait_hang_ups, 1)


async def test_grammar_is_refused(api: str) -> None:
    with WireServer([says("ok")]) as server:
        async with opened(spec_for(api, server)) as model:
            with pytest.raises(ModelRequestError, match="grammar"):
                await model.complete(ask(grammar="root ::= [0-9]"), ignore)
    assert server.requests == []


async def test_a_key_is_not_sent_to_another_address_unless_named(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with WireServer([says("ok"), says("ok")]) as server:
        for spec in (spec_for(api, server), spec_for(api, server, api_key_env=KEY_ENV)):
            async with opened(spec) as model:
                await model.complete(ask(), ignore)
    unnamed, named = (str(seen.headers) for seen in server.requests)
    assert KEY not in unnamed
    assert KEY in named


async def test_the_usual_address_variable_is_followed_with_the_usual_key(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = "anthropic" if api == "anthropic" else "openai"
    with WireServer([says("ok")]) as server:
        url = server.anthropic_url if provider == "anthropic" else server.openai_url
        monkeypatch.setenv(f"{provider.upper()}_BASE_URL", url)
        monkeypatch.setenv(f"{provider.upper()}_API_KEY", KEY)
        chosen = api if provider == "openai" else None
        spec = ModelSpec.model_validate({"provider": provider, "name": "m", "api": chosen})
        async with opened(spec) as model:
            await model.complete(ask(), ignore)
    assert KEY in str(server.requests[0].headers)


async def test_a_missing_key_is_named_with_the_way_to_set_it(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_ENV)
    provider = "anthropic" if api == "anthropic" else "openai"
    with pytest.raises(CredentialsError, match="export WIRE_KEY=") as caught:
        async with opened(ModelSpec(provider=provider, name="m", api_key_env=KEY_ENV)):
            pass
    assert f"{provider}:m" in str(caught.value)
