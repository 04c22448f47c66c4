"""The older Completions API, as OpenAI's own client reads it."""

from typing import Any

from openai.types import Completion

from tests.agentflow.recurrent.server.conftest import NAME, Served


def ask(server: Served, prompt: Any, **more: Any) -> Completion:
    given: dict[str, Any] = {"max_tokens": 8, "temperature": 0} | more
    found = server.client.completions.create(model=NAME, prompt=prompt, **given)
    assert isinstance(found, Completion)
    return found


def test_text_and_its_token_ids_are_the_same_prompt(server: Served) -> None:
    tokens = list(server.engine.tokenizer.encode("Once upon a time"))
    one, other = ask(server, "Once upon a time"), ask(server, tokens)
    assert one.choices[0].text == other.choices[0].text != ""
    assert other.usage is not None
    assert other.usage.prompt_tokens == len(tokens)


def test_a_continued_text_is_read_from_where_it_stood(server: Served) -> None:
    tokens = list(server.engine.tokenizer.encode("A prompt that is by no means short"))
    ask(server, tokens)
    again = ask(server, tokens)
    assert again.usage is not None
    assert again.usage.prompt_tokens_details is not None
    assert again.usage.prompt_tokens_details.cached_tokens == len(tokens)


def test_several_prompts_with_several_replies_stand_in_order(server: Served) -> None:
    reply = ask(server, ["one", "two"], n=2, temperature=1.0, seed=4)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    alone = ask(server, "two", n=2, temperature=1.0, seed=4)
    assert [one.text for one in reply.choices[2:]] == [one.text for one in alone.choices]
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 32


def test_a_stream_tells_the_same_with_its_probabilities(server: Served) -> None:
    whole = ask(server, "Once", logprobs=2).choices[0]
    stream = server.client.completions.create(
        model=NAME, prompt="Once", max_tokens=8, temperature=0, logprobs=2, stream=True
    )
    parts = [chunk.choices[0] for chunk in stream]
    assert "".join(part.text for part in parts) == whole.text
    assert parts[-1].finish_reason == "length" == whole.finish_reason
    assert whole.logprobs is not None
    assert whole.logprobs.tokens is not None
    told = [token for part in parts if part.logprobs for token in part.logprobs.tokens or []]
    assert told == whole.logprobs.tokens
    assert len(told) == 8
    assert whole.logprobs.text_offset is not None
    assert whole.logprobs.text_offset[0] == 0
    # Two halves of characters may have the same text.
    assert all(len(top) in (1, 2) for top in whole.logprobs.top_logprobs or [])


def test_sixteen_tokens_are_told_when_nothing_else_was_asked(server: Served) -> None:
    found = server.client.completions.create(model=NAME, prompt="Once", seed=1)
    assert found.usage is not None
    assert found.usage.completion_tokens <= 16
