"""The wire server says what the real services say: its events fit the official clients' types."""

import json
from typing import Any
from urllib.request import urlopen

import pytest
from anthropic.types import RawMessageStreamEvent
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from tests.wire import Scripted, WireServer, calls, says
from tests.wire.encodings import anthropic_events, chat_events, responses_events

ANSWERS = [says("Hel", "lo"), calls(("add", {"a": 1}), ("add", {"a": 2})), Scripted(refusal="No.")]
BODY = {"model": "m", "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("answer", ANSWERS)
def test_every_event_fits_the_official_types(answer: Scripted) -> None:
    for encode, adapter in (
        (chat_events, TypeAdapter[Any](ChatCompletionChunk)),
        (responses_events, TypeAdapter[Any](ResponseStreamEvent)),
        (anthropic_events, TypeAdapter[Any](RawMessageStreamEvent)),
    ):
        events = [data for _, data in encode(answer, BODY) if data.get("type") != "ping"]
        assert len(events) >= 3
        for data in events:
            adapter.validate_python(data)


def test_models_are_listed() -> None:
    with (
        WireServer([], models=("a", "b")) as server,
        urlopen(f"{server.openai_url}/models") as reply,
    ):
        assert [each["id"] for each in json.load(reply)["data"]] == ["a", "b"]
