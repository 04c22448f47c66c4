"""Chat Completions, as OpenAI's own client reads it."""

import json
from typing import Any

import jsonschema
import pytest
from openai.types.chat import ChatCompletion

from tests.agentflow.recurrent.server.conftest import NAME, Served

HELLO: list[Any] = [
    {"role": "system", "content": "You help."},
    {"role": "user", "content": "Say something."},
]
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "size": {"enum": ["small", "large"]},
        "counts": {"type": "array", "items": {"type": "integer", "maximum": 99}, "maxItems": 3},
    },
    "required": ["name", "size", "counts"],
    "additionalProperties": False,
}


def ask(server: Served, messages: list[Any] = HELLO, **more: Any) -> ChatCompletion:
    given: dict[str, Any] = {"max_tokens": 12, "temperature": 0} | more
    found = server.client.chat.completions.create(model=NAME, messages=messages, **given)
    assert isinstance(found, ChatCompletion)
    return found


def text_of(reply: ChatCompletion) -> str:
    return reply.choices[0].message.content or ""


def cached(reply: ChatCompletion) -> int:
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is not None
    return reply.usage.prompt_tokens_details.cached_tokens or 0


def test_a_reply_has_text_a_finish_and_usage(server: Served) -> None:
    reply = ask(server)
    assert reply.model == NAME
    assert reply.object == "chat.completion"
    assert text_of(reply)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 12
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 12


def test_a_conversation_that_goes_on_reads_only_what_is_new(server: Served) -> None:
    messages = [{"role": "system", "content": "You count."}, {"role": "user", "content": "Begin."}]
    lengths = [0]
    for turn in range(4):
        reply = ask(server, messages)
        # All of the prompt and the reply before, to the last token.
        assert turn == 0 or cached(reply) == lengths[-1]
        assert reply.usage is not None
        lengths.append(reply.usage.total_tokens)
        messages += [
            {"role": "assistant", "content": text_of(reply)},
            {"role": "user", "content": f"Go on, {turn}."},
        ]


def test_a_stream_tells_the_same_text_and_ends_with_usage(server: Served) -> None:
    whole = ask(server, n=2, logprobs=True, top_logprobs=2)
    stream = server.client.chat.completions.create(
        model=NAME,
        messages=HELLO,
        max_tokens=12,
        temperature=0,
        n=2,
        logprobs=True,
        top_logprobs=2,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 24
    for index in range(2):
        mine = [c.choices[0] for c in chunks[:-1] if c.choices[0].index == index]
        assert mine[0].delta.role == "assistant"
        assert "".join(c.delta.content or "" for c in mine) == text_of(whole)
        assert [c.finish_reason for c in mine if c.finish_reason] == ["length"]
        told = [one for c in mine if c.logprobs for one in c.logprobs.content or []]
        assert whole.choices[0].logprobs is not None
        assert told == whole.choices[0].logprobs.content


def test_several_replies_share_one_reading_of_the_prompt(server: Served) -> None:
    before = server.engine.totals.prefilled_tokens
    messages = [{"role": "user", "content": "Of this, tell three tales. " * 5}]
    reply = ask(server, messages, n=3, temperature=1.0, seed=5)
    assert reply.usage is not None
    assert cached(reply) == 0
    assert server.engine.totals.prefilled_tokens - before == reply.usage.prompt_tokens
    texts = [choice.message.content for choice in reply.choices]
    assert len(set(texts)) == 3
    again = ask(server, messages, n=3, temperature=1.0, seed=5)
    assert [choice.message.content for choice in again.choices] == texts


def test_a_seed_repeats_a_reply_and_another_gives_another(server: Served) -> None:
    one, same, other = (ask(server, temperature=1.0, seed=seed) for seed in (1, 1, 2))
    assert text_of(one) == text_of(same) != text_of(other)


def test_a_stop_text_ends_a_reply_and_is_no_part_of_it(server: Served) -> None:
    whole = text_of(ask(server))
    stop = whole[5:8]
    reply = ask(server, stop=["never there", stop])
    assert text_of(reply) == whole[: whole.index(stop)]
    assert reply.choices[0].finish_reason == "stop"


def test_logprobs_are_told_with_alternatives_in_falling_order(server: Served) -> None:
    reply = ask(server, logprobs=True, top_logprobs=3)
    logprobs = reply.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert len(logprobs.content) == 12
    for one in logprobs.content:
        told = [top.logprob for top in one.top_logprobs]
        assert told == sorted(told, reverse=True)
        assert one.logprob == told[0] <= 0
        assert bytes(one.bytes or []).decode(errors="replace") == one.token


@pytest.mark.parametrize("seed", range(3))
def test_a_reply_under_a_schema_is_valid(server: Served, seed: int) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA}}
    more: dict[str, Any] = {
        "response_format": form,
        "temperature": 1.0,
        "seed": seed,
        "max_tokens": 400,
    }
    reply = ask(server, **more)
    assert reply.choices[0].finish_reason == "stop"
    jsonschema.validate(json.loads(text_of(reply)), SCHEMA)


def test_a_reply_under_json_object_regex_or_grammar_follows_it(server: Served) -> None:
    reply = ask(server, response_format={"type": "json_object"}, max_tokens=300, seed=1)
    assert text_of(reply).lstrip().startswith("{")
    assert text_of(ask(server, extra_body={"regex": "(cat|dog) [0-9]{2}"}))[:4] in ("cat ", "dog ")
    gbnf = {"grammar": 'root ::= "yes" | "no"'}
    assert text_of(ask(server, extra_body=gbnf)) in ("yes", "no")
    lark = {"grammar": 'start: "left" | "right"'}
    assert text_of(ask(server, extra_body=lark)) in ("left", "right")


def test_a_repeated_context_is_in_the_prompt_twice(server: Served) -> None:
    once, twice = (ask(server, extra_body={"repeat_context": times}).usage for times in (1, 2))
    assert once is not None
    assert twice is not None
    assert twice.prompt_tokens > once.prompt_tokens


def test_what_has_no_effect_may_be_said(server: Served) -> None:
    reply = ask(
        server,
        user="me",
        metadata={"a": "b"},
        service_tier="auto",
        store=False,
        parallel_tool_calls=True,
        presence_penalty=0,
        logit_bias={},
    )
    assert text_of(reply) == text_of(ask(server))


def test_contents_in_parts_are_read_as_one_text(server: Served) -> None:
    parts = [{"type": "text", "text": "Say "}, {"type": "text", "text": "something."}]
    messages = [HELLO[0], {"role": "user", "content": parts}]
    assert text_of(ask(server, messages)) == text_of(ask(server))


async def _stream(server: Served, seed: int) -> str:
    async with server.async_client() as client:
        stream = await client.chat.completions.create(
            model=NAME, messages=HELLO, max_tokens=12, seed=seed, stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


@pytest.mark.anyio
async def test_the_asynchronous_client_reads_the_same(server: Served) -> None:
    assert await _stream(server, 7) == text_of(ask(server, temperature=1.0, seed=7))


def test_the_model_is_listed(server: Served) -> None:
    models = server.client.models
    assert [one.id for one in models.list()] == [NAME]
    assert models.retrieve(NAME).id == NAME
