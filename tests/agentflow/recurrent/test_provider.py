"""Recurrent models in this process: `recurrent:FOLDER` is a model like any other, and siblings share its states."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from agentflow import Runner, flow, generate, parallel
from agentflow.errors import ModelRequestError, UnknownModelError, WeightsError
from agentflow.models.prices import price_of
from agentflow.models.protocol import Message, Model, ModelSpec, Reply, Request, ToolSpec
from agentflow.models.registry import open_model, parse_spec
from agentflow.recurrent import provider
from agentflow.recurrent.engine import Engine

pytestmark = pytest.mark.anyio

SYSTEM = Message(role="system", text="Say little. " * 8)
ADD = ToolSpec(name="add", description="Add.", parameters={"type": "object", "properties": {}})
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'


@pytest.fixture
def spec(folders: Callable[[str], Path]) -> Iterator[ModelSpec]:
    yield parse_spec(f"recurrent:{folders('mamba2')}")
    provider.close_engines()


def talk(*texts: str, **rest: object) -> Request:
    roles = ("user", "assistant")
    turns = [Message(role=roles[at % 2], text=text) for at, text in enumerate(texts)]
    return Request.model_validate({"messages": [SYSTEM, *turns], "max_tokens": 8, **rest})


async def asked(model: Model, request: Request) -> tuple[Reply, str]:
    heard: list[str] = []
    reply = await model.complete(request, heard.append)
    return reply, "".join(heard)


def engine_of(spec: ModelSpec) -> Engine:
    return provider._engines[spec.name]


async def test_a_reply_tells_its_tokens_its_state_and_what_was_not_read_again(
    spec: ModelSpec,
) -> None:
    model = open_model(spec)
    first, heard = await asked(model, talk("Hello"))
    assert heard == first.text
    assert (first.usage.cached_tokens, first.cost_usd) == (0, 0.0)
    assert first.usage.output_tokens <= 8
    assert first.state is not None
    assert engine_of(spec).prompt_of(first.state) is not None, "the handle names a state"
    second, _ = await asked(model, talk("Hello", first.text, "And now?"))
    assert second.usage.cached_tokens > first.usage.input_tokens, "a child goes on from its parent"
    assert spec.is_local
    assert price_of(spec) == model.price


async def test_siblings_of_a_run_read_what_they_share_once(spec: ModelSpec, tmp_path: Path) -> None:
    @flow
    async def branches(names: list[str]) -> list[str]:
        replies = await parallel(generate(talk(name).messages, max_tokens=4) for name in names)
        return [reply.text for reply in replies]

    runner = Runner(model=spec, journal=tmp_path / "runs.db")
    result = await runner.run_async(branches, ["left", "right", "middle"])
    steps = [step for step in result.record.steps.values() if step.kind == "model"]
    totals = engine_of(spec).totals
    assert totals.prefilled_tokens < totals.prompt_tokens / 2
    assert sum(step.reuse is not None and step.reuse.cached_tokens > 0 for step in steps) >= 2
    assert len({step.details["state"] for step in steps}) == 3
    again = await runner.replay(branches, result.id)
    assert again.output == result.output
    assert engine_of(spec).totals.requests == totals.requests == 3


async def test_a_reply_can_be_held_to_a_schema(spec: ModelSpec) -> None:
    schema = {
        "type": "object",
        "properties": {"done": {"type": "boolean"}},
        "required": ["done"],
        "additionalProperties": False,
    }
    reply, _ = await asked(open_model(spec), talk("Done?", output_schema=schema, max_tokens=60))
    assert set(json.loads(reply.text)) == {"done"}


async def test_a_begun_reply_is_gone_on_with_and_comes_back_whole(spec: ModelSpec) -> None:
    request = talk("Count.", "One, two,", grammar='root ::= " three"')
    reply, heard = await asked(open_model(spec), request)
    assert (reply.text, heard) == ("One, two, three", " three")


async def test_a_call_of_a_tool_is_told_as_data_and_reads_as_it_was_written(
    spec: ModelSpec,
) -> None:
    model = open_model(spec)
    grammar = f"root ::= {json.dumps('I add. ' + CALL)}"
    request = talk("1 + ?", grammar=grammar, tools=[ADD], max_tokens=200)
    reply, heard = await asked(model, request)
    assert (reply.text, heard, reply.finish) == ("I add.", "I add.", "tool_calls")
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("add", {"a": 1})]
    answer = Message(role="tool", tool_call_id=reply.tool_calls[0].id, text="2")
    said = Message(role="assistant", text=reply.text, tool_calls=reply.tool_calls)
    follow_up = request.model_copy(
        update={"messages": (*request.messages, said, answer), "grammar": None, "max_tokens": 4}
    )
    second, _ = await asked(model, follow_up)
    assert second.usage.cached_tokens > reply.usage.input_tokens


async def test_a_seed_repeats_a_sample_and_another_gives_another(spec: ModelSpec) -> None:
    model = open_model(spec)
    texts = [
        (await asked(model, talk("Go", temperature=5.0, seed=seed, max_tokens=12)))[0].text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


async def test_a_cancelled_call_frees_its_place(spec: ModelSpec) -> None:
    model = open_model(spec)
    await asked(model, talk("Hello"))
    with anyio.CancelScope() as scope:
        request = talk("Go on for ever", max_tokens=100_000, grammar="root ::= [a-z]{3000}")
        await model.complete(request, lambda _text: scope.cancel())
    assert scope.cancelled_caught
    await asked(model, talk("Hello"))  # its turn comes after that in which the other was dropped
    assert engine_of(spec).totals.cancelled == 1


async def test_what_the_engine_cannot_do_is_one_clear_line(spec: ModelSpec) -> None:
    model = open_model(spec)
    with pytest.raises(ModelRequestError, match=r"^model recurrent:[^\n]*$"):
        await model.complete(talk("Hi", grammar="root ::= ("), lambda _text: None)
    with pytest.raises(WeightsError, match="there is no folder"):
        open_model(ModelSpec(provider="recurrent", name="./nowhere"))
    with pytest.raises(UnknownModelError, match="recurrent:FOLDER"):
        parse_spec("")


async def test_models_of_one_folder_share_an_engine_that_can_be_opened_anew(
    spec: ModelSpec,
) -> None:
    one, other = open_model(spec), open_model(spec)
    await asked(one, talk("Hello"))
    await one.aclose()
    reply, _ = await asked(other, talk("Hello"))
    assert reply.usage.cached_tokens == reply.usage.input_tokens
    provider.close_engines()
    anew, _ = await asked(other, talk("Hello"))
    assert anew.usage.cached_tokens == 0
    assert anew.text == reply.text
