"""From what a user writes to a model: forms, mistakes, and the automatic choice."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentflow import Runner, flow, generate
from agentflow.errors import (
    CredentialsError,
    ModelRequestError,
    ModelUnavailableError,
    UnknownModelError,
    WeightsError,
)
from agentflow.models.auto import choose_model, find_model
from agentflow.models.protocol import Message, ModelSpec, Reply, Request
from agentflow.models.recorded import Recorder, open_recorded
from agentflow.models.registry import open_model, parse_spec
from tests.parts import Scripted
from tests.wire import WireServer, says

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("given", "spec"),
    [
        ("openai:gpt-5-mini", ModelSpec(provider="openai", name="gpt-5-mini")),
        ("anthropic:claude-haiku-4-5", ModelSpec(provider="anthropic", name="claude-haiku-4-5")),
        ("gguf:models/a.gguf", ModelSpec(provider="gguf", name="models/a.gguf")),
        ("qwen2.5-coder-0.5b", ModelSpec(provider="gguf", name="qwen2.5-coder-0.5b")),
        (
            "http://127.0.0.1:8000/v1#some/model",
            ModelSpec(provider="openai", name="some/model", base_url="http://127.0.0.1:8000/v1"),
        ),
        (
            {"name": "openai:gpt-5-mini", "temperature": 0},
            ModelSpec(provider="openai", name="gpt-5-mini", temperature=0),
        ),
    ],
)
def test_every_form_is_read(given: Any, spec: ModelSpec) -> None:
    assert parse_spec(given) == spec
    assert parse_spec(spec) is spec


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("opnai:gpt", r"unknown provider 'opnai'; did you mean 'openai'\?"),
        ("qwen2.5-coder", "did you mean 'qwen2.5-coder-"),
        ("", "write PROVIDER:NAME"),
        ("http://127.0.0.1:1/v1", "say which model of the server"),
        ({"provider": "openai"}, "name: Field required"),
        ({"provider": "openai", "name": "x", "api_key": "sk-1"}, "api_key: Extra inputs"),
    ],
)
def test_a_mistake_says_what_to_write(given: Any, problem: str) -> None:
    with pytest.raises(UnknownModelError, match=problem):
        parse_spec(given)


def test_what_is_missing_is_said_when_a_model_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTFLOW_MODELS", str(tmp_path))
    with pytest.raises(CredentialsError, match="OPENAI_API_KEY"):
        open_model(parse_spec("openai:gpt-5-mini"))
    with pytest.raises(
        WeightsError, match=r"fetch them \(491 MB\): agentflow models pull qwen2.5-coder-0.5b"
    ):
        open_model(parse_spec("qwen2.5-coder-0.5b"))
    with pytest.raises(WeightsError, match="there is no file"):
        open_model(parse_spec("gguf:none.gguf"))


@contextmanager
def server(models: list[str]) -> Iterator[str]:
    """Answer GET /v1/models on a loopback port, as Ollama and the others do."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"data": [{"id": name} for name in models]}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}/v1"
        found.shutdown()


async def test_auto_prefers_a_key_then_a_local_server_then_the_embedded_model() -> None:
    both = {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2"}
    with server(["nomic-embed-text", "llama3.2"]) as url:
        there = [("Ollama", url)]
        assert (await choose_model(both, there)).spec.provider == "openai"
        assert (
            await choose_model({"ANTHROPIC_API_KEY": "sk-2"}, there)
        ).reason == "ANTHROPIC_API_KEY is set"
        local = await choose_model({}, there)
        assert local.spec == ModelSpec(provider="openai", name="llama3.2", base_url=url)
        assert local.reason == f"Ollama answers at {url}"
        own = await choose_model(
            {"OLLAMA_HOST": url.removesuffix("/v1").removeprefix("http://")}, []
        )
        assert own.spec.name == "llama3.2"
    nobody = await choose_model({"OPENAI_API_KEY": " "}, there)
    assert nobody.spec == ModelSpec(provider="gguf", name="qwen2.5-coder-0.5b")
    assert "no key is set and no local server answers" in nobody.reason


async def test_auto_passes_over_a_server_that_talks_nonsense() -> None:
    with server([]) as url:
        assert (
            await choose_model({}, [("odd", url), ("gone", "http://127.0.0.1:1/v1")])
        ).spec.provider == "gguf"


@pytest.mark.parametrize("ending", ["", "/", "#"])
async def test_an_address_alone_means_the_only_model_of_its_server(ending: str) -> None:
    with server(["nomic-embed-text", "llama3.2"]) as url:
        found = await find_model(url + ending)
        expected = ModelSpec(provider="openai", name="llama3.2", base_url=url)
        assert found.spec == expected
        assert found.reason == f"the only model at {url}"
        warm = await find_model({"name": url, "temperature": 0.5})
        assert warm.spec == expected.model_copy(update={"temperature": 0.5})
        named = await find_model(f"{url}#other")
        assert (named.spec.name, named.reason) == ("other", "")


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        (["a", "b"], r"it has 2 models \('a', 'b'\): write http://.*/v1#NAME"),
        ([], "it has 0 models"),
    ],
)
async def test_a_server_with_another_number_of_models_has_them_listed(
    models: list[str], problem: str
) -> None:
    with server(models) as url, pytest.raises(UnknownModelError, match=problem):
        await find_model(url)
    with pytest.raises(ModelUnavailableError, match="nobody answers there"):
        await find_model(url)
    with pytest.raises(UnknownModelError, match="must not hold a user name"):
        await find_model("http://me:secret@127.0.0.1/v1")


@flow
async def greeting(name: str) -> str:
    return (await generate(f"Greet {name}")).text


async def test_the_model_found_at_an_address_is_recorded_and_not_looked_up_again(
    tmp_path: Path,
) -> None:
    with WireServer([says("Hello")], models=("first",)) as wire:
        runner = Runner(model=wire.openai_url, journal=tmp_path / "runs.db")
        done = await runner.run_async(greeting, "Ada")
        address = wire.openai_url
    assert done.record.settings["model"] == {
        "provider": "openai",
        "name": "first",
        "base_url": address,
    }
    assert (await runner.replay(greeting, done.id)).output == "Hello"
    assert (await runner.resume(greeting, done.id)).output == "Hello"


def asked(text: str) -> Request:
    return Request(messages=(Message(role="user", text=text),))


async def test_what_was_recorded_is_given_again(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    recorder = Recorder(Scripted(lambda prompt: prompt.upper()), file)
    heard: list[str] = []
    for text in ("one", "two"):
        await recorder.complete(asked(text), heard.append)
    model = open_recorded(ModelSpec(provider="recorded", name=str(file)))
    assert (await model.complete(asked("two"), heard.append)).text == "TWO"
    assert (await model.complete(asked("one"), heard.append)).text == "ONE"
    with pytest.raises(ModelRequestError, match="ends in 'three'"):
        await model.complete(asked("three"), heard.append)


async def test_replies_without_a_request_come_in_order(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text('{"reply": {"text": "first"}}\n\n{"reply": {"text": "second"}}\n')
    model = open_recorded(ModelSpec(provider="recorded", name=str(file)))
    replies: list[Reply] = [await model.complete(asked("x"), lambda _text: None) for _ in range(2)]
    assert [reply.text for reply in replies] == ["first", "second"]


@pytest.mark.parametrize(
    "line", ["not json", "[]", '{"reply": {"txt": 1}}', '{"request": {}, "reply": {}}', "{}"]
)
def test_a_wrong_line_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text(f'{{"reply": {{"text": "first"}}}}\n{line}\n')
    with pytest.raises(UnknownModelError, match=r"replies.jsonl:2: not"):
        open_recorded(ModelSpec(provider="recorded", name=str(file)))
