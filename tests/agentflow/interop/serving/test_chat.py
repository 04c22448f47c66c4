"""Flows as models, for the real client of OpenAI."""

import json
from pathlib import Path
from typing import Any

import anyio
import openai
import pytest

from agentflow.models.protocol import Usage
from tests.agentflow.interop.serving.conftest import Serve, Site
from tests.wire.script import says
from tests.wire.server import WireServer

TASK = """\
agentflow: 1
goal: Say what colour the sky has.
planner: direct
model: {url}#wire-1
inputs:
  place: Rome
"""


def ask(site: Site, model: str, text: str, **more: object) -> openai.types.chat.ChatCompletion:
    messages = [{"role": "user", "content": text}]
    done = site.openai.chat.completions.create(model=model, messages=messages, **more)  # type: ignore[call-overload]
    assert isinstance(done, openai.types.chat.ChatCompletion)
    return done


def live(
    site: Site, model: str, text: str = "sky?"
) -> openai.Stream[openai.types.chat.ChatCompletionChunk]:
    return site.openai.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], stream=True
    )


def test_flows_are_listed_as_models(serve: Serve) -> None:
    site = serve("echo", "plan")
    assert [model.id for model in site.openai.models.list()] == ["echo", "plan"]
    assert site.openai.models.retrieve("plan").owned_by == "agentflow"
    with pytest.raises(openai.NotFoundError):
        site.openai.models.retrieve("nothing")


def test_the_last_message_is_the_input_and_the_answer_the_reply(serve: Serve) -> None:
    site = serve("echo")
    raw = site.openai.chat.completions.with_raw_response.create(
        model="echo", messages=[{"role": "user", "content": "hi"}], temperature=0.5
    )
    done = raw.parse()
    assert done.choices[0].message.content == "HI"
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert raw.headers["x-agentflow-ignored"] == "temperature"
    run = site.run(raw.headers["x-agentflow-run"])
    assert run["status"] == "succeeded"
    assert done.id == f"chatcmpl-{run['id']}"


def test_a_conversation_becomes_what_the_flow_takes(serve: Serve) -> None:
    site = serve("plan", "recall", "price")
    messages: list[Any] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "one"}]},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    create = site.openai.chat.completions.create
    told = {
        name: create(model=name, messages=messages).choices[0].message.content
        for name in ("plan", "recall")
    }
    assert told["plan"] == "three / Be brief. / ['conversation']"
    assert told["recall"] == "system: Be brief. | user: one | assistant: two | user: three"
    text = json.dumps({"order": {"item": "tea", "count": 1}})
    answer = ask(site, "price", text).choices[0].message.content
    assert json.loads(answer or "") == {"item": "tea", "total": "3 EUR"}
    with pytest.raises(openai.BadRequestError, match="order, currency"):
        ask(site, "price", "one tea")


def test_a_stream_has_the_role_the_answer_the_end_and_the_usage(serve: Serve) -> None:
    site = serve("echo")
    stream = site.openai.chat.completions.create(
        model="echo",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    said = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in said) == "HI"
    assert [choice.finish_reason for choice in said if choice.finish_reason] == ["stop"]
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []


@pytest.mark.anyio
async def test_the_async_client_streams_several_at_once(serve: Serve) -> None:
    site = serve("echo", "--max-runs=3")
    answers: dict[str, str] = {}

    async with openai.AsyncOpenAI(base_url=site.url, api_key=site.key) as client:

        async def talk(text: str) -> None:
            messages: list[Any] = [{"role": "user", "content": text}]
            stream = await client.chat.completions.create(
                model="echo", messages=messages, stream=True
            )
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            answers[text] = "".join(parts)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(talk, f"n{number}")
    assert answers == {f"n{number}": f"N{number}" for number in range(20)}


def test_what_cannot_be_done_is_refused_in_the_clients_own_errors(serve: Serve) -> None:
    site = serve("echo")
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(site, "gpt-5", "hi")
    assert unknown.value.code == "model_not_found"
    for field, value in {
        "n": 2,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
        "logprobs": True,
    }.items():
        with pytest.raises(openai.BadRequestError) as refused:
            ask(site, "echo", "hi", **{field: value})
        assert refused.value.param == field
    with pytest.raises(openai.BadRequestError):
        ask(site, "echo", "")
    wrong = openai.OpenAI(base_url=site.url, api_key="wrong", max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError):
        wrong.models.list()
    assert site.done == []


@pytest.mark.parametrize("streams", [False, True])
def test_a_failed_run_is_an_error_that_the_client_does_not_try_again(
    serve: Serve, streams: bool
) -> None:
    site = serve("broken")
    with pytest.raises(openai.APIError) as failed:
        list(live(site, "broken", "once")) if streams else ask(site, "broken", "once")
    assert "RuntimeError" in str(failed.value)
    assert "hunter2" not in str(failed.value)
    assert str(site.folder) not in str(failed.value)
    assert "Traceback" not in str(failed.value.body)
    assert site.done == ["once"]
    (run,) = site.http.get("/runs").json()["data"]
    text = (
        site.http.get(f"/runs/{run['id']}").text + site.http.get(f"/runs/{run['id']}/events").text
    )
    assert "RuntimeError" in text
    assert "hunter2" not in text
    assert "Traceback" not in text


def test_a_budget_that_is_too_small_is_said(serve: Serve) -> None:
    site = serve("fan", "--budget=steps=5")
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        ask(site, "fan", json.dumps({"count": 50}))
    assert refused.value.code == "budget_exceeded"
    assert len(site.done) <= 5


def test_a_client_that_closes_its_stream_ends_the_run(serve: Serve) -> None:
    site = serve("gated")
    stream = site.openai.chat.completions.create(
        model="gated", messages=[{"role": "user", "content": "a"}], stream=True
    )
    next(iter(stream))
    run = stream.response.headers["x-agentflow-run"]
    site.wait_done("first a")
    stream.close()
    assert site.wait(run)["status"] == "cancelled"


@pytest.mark.anyio
async def test_a_client_that_gives_up_waiting_ends_the_run_but_not_one_with_a_key(
    serve: Serve,
) -> None:
    site = serve("gated")
    async with openai.AsyncOpenAI(base_url=site.url, api_key=site.key, max_retries=0) as client:

        async def talk(text: str, headers: dict[str, str]) -> None:
            await client.chat.completions.create(
                model="gated", messages=[{"role": "user", "content": text}], extra_headers=headers
            )

        for text, headers in (("a", {}), ("b", {"Idempotency-Key": "k"})):
            async with anyio.create_task_group() as group:
                group.start_soon(talk, text, headers)
                await anyio.to_thread.run_sync(site.wait_done, f"first {text}")
                group.cancel_scope.cancel()
    newest, oldest = site.http.get("/runs").json()["data"]
    assert site.wait(oldest["id"])["status"] == "cancelled"
    assert site.run(newest["id"])["status"] == "running"
    site.open_gate()
    again = site.openai.chat.completions.create(
        model="gated",
        messages=[{"role": "user", "content": "b"}],
        extra_headers={"Idempotency-Key": "k"},
    )
    assert again.choices[0].message.content == "FIRST B, SECOND B"
    assert site.done == ["first a", "first b", "second b"]


def test_a_question_to_a_person_is_what_the_flow_says(serve: Serve) -> None:
    site = serve("polite")
    done = ask(site, "polite", "Ann")
    assert done.choices[0].message.content == "Which colour?"
    told = done.model_dump()["agentflow"]
    assert told["status"] == "paused"
    site.http.post(f"/runs/{told['run']}/answer", json={"answer": "green"})
    assert site.wait(told["run"])["answer"] == "HELLO ANN: green"


def task_file(folder: Path, url: str) -> str:
    (folder / "sky.yaml").write_text(TASK.format(url=url))
    return "sky.yaml"


def test_a_task_file_is_a_model_whose_goal_is_the_message(serve: Serve, tmp_path: Path) -> None:
    with WireServer(
        lambda _seen: says("It is blue.", usage=Usage(input_tokens=7, output_tokens=3))
    ) as wire:
        site = serve(task_file(tmp_path, wire.openai_url))
        done = ask(site, "sky", "Which colour has grass?")
        assert done.choices[0].message.content == "It is blue."
        assert done.usage is not None
        assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (7, 3)
        assert "Which colour has grass?" in json.dumps(wire.requests[-1].body)
        run = site.start("sky", {"inputs": {"place": "Oslo"}})
        assert site.wait(run["id"])["answer"] == "It is blue."
        sent = json.dumps(wire.requests[-1].body)
        assert "Say what colour the sky has." in sent
        assert "Oslo" in sent
        schema = site.http.get("/flows/sky").json()["input_schema"]
        assert schema["properties"]["goal"]["default"] == "Say what colour the sky has."
        assert (
            site.http.post("/runs", json={"flow": "sky", "input": {"tools": []}}).status_code == 400
        )


def test_text_of_the_step_that_writes_the_answer_is_told_while_it_is_written(serve: Serve) -> None:
    with WireServer(lambda _seen: says("It is ", "blue.", fault="hang")) as wire:
        site = serve("writer", f"--model={wire.openai_url}#wire-1", "--live=writer")
        stream = live(site, "writer")
        said = ""
        while said != "It is blue.":  # although the model has not ended
            said += next(stream).choices[0].delta.content or ""
        stream.close()
        wire.release()


def test_an_answer_that_is_told_live_is_told_once(serve: Serve) -> None:
    with WireServer(lambda _seen: says(" It ", "is ", "blue. \n")) as wire:
        site = serve("writer", f"--model={wire.openai_url}#wire-1", "--live=writer")
        chunks = list(live(site, "writer"))
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert said.strip() == "It is blue."


def test_an_answer_other_than_the_one_told_live_is_an_error(serve: Serve) -> None:
    with WireServer(lambda _seen: says("blue")) as wire:
        site = serve("liar", f"--model={wire.openai_url}#wire-1", "--live=writer")
        with pytest.raises(openai.APIError, match="another one"):
            list(live(site, "liar"))


def test_a_message_may_fill_an_input_and_leave_the_goal_as_it_is(
    serve: Serve, tmp_path: Path
) -> None:
    with WireServer(lambda _seen: says("blue", fault="hang")) as wire:
        file = task_file(tmp_path, wire.openai_url)
        site = serve(file, "--message-input=place", "--live=direct")
        stream = live(site, "sky", "Oslo")
        said = ""
        while said != "blue":
            said += next(stream).choices[0].delta.content or ""
        stream.close()
        wire.release()
        sent = json.dumps(wire.requests[-1].body)
        assert "Say what colour the sky has." in sent
        assert "Oslo" in sent
        assert "Rome" not in sent
