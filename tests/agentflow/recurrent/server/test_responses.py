"""Responses, as OpenAI's own client reads them; `previous_response_id` is a state."""

import json
from typing import Any

import jsonschema
import openai
import pytest
from openai.types.responses import Response

from tests.agentflow.recurrent.server.conftest import NAME, Serve, Served

SCHEMA = {
    "type": "object",
    "properties": {"size": {"enum": ["small", "large"]}},
    "required": ["size"],
    "additionalProperties": False,
}


def ask(server: Served, said: Any, **more: Any) -> Response:
    given: dict[str, Any] = {"max_output_tokens": 10, "temperature": 0} | more
    found = server.client.responses.create(model=NAME, input=said, **given)
    assert isinstance(found, Response)
    return found


def cached(response: Response) -> int:
    assert response.usage is not None
    return response.usage.input_tokens_details.cached_tokens


def total(response: Response) -> int:
    assert response.usage is not None
    return response.usage.total_tokens


def test_a_response_has_text_a_status_and_usage(server: Served) -> None:
    response = ask(server, "Hello", instructions="You help.")
    assert response.output_text
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert response.usage.output_tokens == 10


def test_one_that_goes_on_says_what_the_whole_conversation_would(serve: Serve) -> None:
    stateful, stateless = serve(), serve()
    told: list[Any] = []
    before: str | None = None
    for turn in range(4):
        said = {"role": "user", "content": f"Tell me more, {turn}."}
        told.append(said)
        response = ask(stateful, [said], previous_response_id=before)
        alone = ask(stateless, told, store=False)
        assert response.output_text == alone.output_text
        assert total(response) == total(alone)
        told.append({"role": "assistant", "content": alone.output_text})
        before = response.id


def test_one_that_goes_on_reads_no_token_of_the_state_again(server: Served) -> None:
    first = ask(server, "Begin here.")
    prefilled = server.engine.totals.prefilled_tokens
    second = ask(server, "Go on.", previous_response_id=first.id)
    assert cached(second) == total(first)
    assert second.usage is not None
    new = second.usage.input_tokens - total(first)
    assert server.engine.totals.prefilled_tokens - prefilled == new


def test_many_can_go_on_from_one(server: Served) -> None:
    root = ask(server, "The root of a tree.")
    said = [f"Branch {number}" for number in range(3)]
    branches = [ask(server, text, previous_response_id=root.id) for text in said]
    assert all(cached(branch) >= total(root) for branch in branches)
    assert len({branch.output_text for branch in branches}) == 3
    again = ask(server, said[0], previous_response_id=root.id)
    assert again.output_text == branches[0].output_text


def test_the_events_of_a_stream_build_the_response(server: Served) -> None:
    whole = ask(server, "Hello there")
    with server.client.responses.stream(
        model=NAME, input="Hello there", max_output_tokens=10, temperature=0
    ) as stream:
        events = list(stream)
    assert [event.type for event in events[:4]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert [event.type for event in events[-4:]] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.usage is not None
    assert last.response.output_text == whole.output_text


def test_probabilities_are_told_when_they_are_included(server: Served) -> None:
    response = ask(server, "Hello", include=["message.output_text.logprobs"], top_logprobs=2)
    part = response.output[0].model_dump()["content"][0]
    assert len(part["logprobs"]) == 10
    assert len(part["logprobs"][0]["top_logprobs"]) == 2


def test_a_text_format_is_kept(server: Served) -> None:
    form: Any = {"format": {"type": "json_schema", "name": "thing", "schema": SCHEMA}}
    response = ask(server, "How large?", text=form, max_output_tokens=200)
    assert response.status == "completed"
    jsonschema.validate(json.loads(response.output_text), SCHEMA)


def test_a_stored_response_can_be_read_and_deleted(server: Served) -> None:
    pinned = server.engine.totals.pinned
    response = ask(server, "Keep this.")
    assert server.engine.totals.pinned == pinned + 1
    assert server.client.responses.retrieve(response.id).output_text == response.output_text
    server.client.responses.delete(response.id)
    assert server.engine.totals.pinned == pinned
    for missing in (
        lambda: server.client.responses.retrieve(response.id),
        lambda: server.client.responses.delete(response.id),
        lambda: ask(server, "More", previous_response_id=response.id),
    ):
        with pytest.raises(openai.NotFoundError, match="no response"):
            missing()


def test_what_is_not_to_be_stored_pins_nothing_and_cannot_be_gone_on_from(server: Served) -> None:
    pinned = server.engine.totals.pinned
    response = ask(server, "Forget this.", store=False)
    assert server.engine.totals.pinned == pinned
    with pytest.raises(openai.NotFoundError) as refused:
        ask(server, "More", previous_response_id=response.id)
    assert refused.value.param == "previous_response_id"


def test_instructions_hold_on_until_others_are_given(server: Served) -> None:
    first = ask(server, "Who are you?", instructions="You are a cat.")
    kept = ask(server, "Still?", previous_response_id=first.id)
    changed = ask(
        server, "Still?", previous_response_id=first.id, instructions="You are a dog, rather."
    )
    assert kept.instructions == "You are a cat."
    assert cached(kept) == total(first)
    assert changed.instructions == "You are a dog, rather."
    assert cached(changed) < total(first)


def test_a_response_sent_back_as_items_continues_the_same(server: Served) -> None:
    first = ask(server, "Begin so.", include=["message.output_text.logprobs"])
    items = [
        {"role": "user", "content": "Begin so."},
        *[item.model_dump(exclude_none=True) for item in first.output],
        {"role": "user", "content": [{"type": "input_text", "text": "And on."}]},
    ]
    by_items = ask(server, items)
    by_state = ask(server, "And on.", previous_response_id=first.id)
    assert by_items.output_text == by_state.output_text
    assert cached(by_items) >= total(first)
