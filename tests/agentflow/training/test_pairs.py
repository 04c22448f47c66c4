"""What a pair holds of the call it was made from."""

from collections.abc import Callable
from typing import Any

import pytest

from agentflow import Message, Reply, Runner, flow, generate
from agentflow.errors import TrainingDataError
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Request
from agentflow.training.outcomes import calls_of
from agentflow.training.pairs import Pair, pair_of
from tests.agentflow.training.parts import Bodies, taught
from tests.parts import Scripted

pytestmark = pytest.mark.anyio

FIELDS = {
    "type": "object",
    "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
}
SPLIT = 'low = find_low(xs)\nhigh = find_high(xs)\nreturn {"low": low, "high": high}'


def pairs_of(record: RunRecord, *, strip_examples: bool = False) -> list[Pair]:
    return [
        pair_of(record, call, reward=1.0, strip_examples=strip_examples)
        for call in calls_of(record)
    ]


async def split(first: list[str]) -> RunRecord:
    bodies: Bodies = {
        "solve": [*first, SPLIT],
        "find_low": "return min(xs)",
        "find_high": "return max(xs)",
    }
    return (await taught(bodies, inputs={"xs": [3, 1]}, schema=FIELDS)).record


async def test_without_its_examples_a_prompt_is_system_and_question() -> None:
    record = await split([])
    whole, bare = pairs_of(record)[0], pairs_of(record, strip_examples=True)[0]
    roles = [message.role for message in whole.prompt]
    assert roles == ["system", "user", "assistant", "user"]
    assert "Describe a house" in whole.prompt[1].text
    assert bare.prompt == (whole.prompt[0], whole.prompt[3])
    assert bare.reply == whole.reply


async def test_without_its_examples_a_repair_keeps_what_it_repairs() -> None:
    record = await split(["return 1", "return 2"])
    third = pairs_of(record, strip_examples=True)[2]
    assert [message.role for message in third.prompt] == ["system", "user", "assistant", "user"]
    assert "Goal: test" in third.prompt[1].text
    assert "Describe a house" not in "".join(message.text for message in third.prompt)
    assert third.prompt[3].text.startswith("It fails")
    assert third.origin.outcome == "worked"


async def test_a_pair_says_where_it_comes_from() -> None:
    origin = pairs_of(await split([]))[1].origin
    assert (origin.run, origin.name, origin.planner, origin.depth) == (
        "run",
        "find_low",
        "recode",
        1,
    )
    assert (origin.model, origin.reward, origin.outcome) == ("scripted:scripted-1", 1.0, "worked")
    assert origin.tokens.completion == 4


async def test_a_reply_that_the_prompt_began_is_learned_with_its_beginning() -> None:
    @flow
    async def begun() -> str:
        turns = [Message(role="user", text="go"), Message(role="assistant", text="def f():\n")]
        return (await generate(turns)).text

    model = Scripted(lambda _prompt: "    return 1")
    record = (await Runner(journal=":memory:", model=model).run_async(begun)).record
    [pair] = pairs_of(record, strip_examples=True)
    assert [message.role for message in pair.prompt] == ["user"]
    assert pair.reply.text == "def f():\n    return 1"


async def test_a_reply_of_the_wrong_shape_failed_although_its_flow_went_on() -> None:
    replies = ["no number", "4"]

    @flow
    async def typed() -> int:
        return await generate("a number", output=int)

    model = Scripted(lambda _prompt: replies.pop(0))
    record = (await Runner(journal=":memory:", model=model).run_async(typed)).record
    assert [pair.origin.outcome for pair in pairs_of(record)] == ["failed", "worked"]


@pytest.mark.parametrize(
    "reply",
    [Reply(text="half a", finish="length"), Reply(text="no", finish="refusal"), Reply(text=" ")],
)
async def test_a_reply_that_is_cut_refused_or_empty_failed(reply: Reply) -> None:
    class Cutting(Scripted):
        async def complete(self, request: Request, on_text: Callable[[str], None]) -> Any:
            assert request.messages
            on_text(reply.text)
            return reply

    @flow
    async def ask_once() -> str:
        return (await generate("go")).text

    runner = Runner(journal=":memory:", model=Cutting(str))
    [pair] = pairs_of((await runner.run_async(ask_once)).record)
    assert pair.origin.outcome == "failed"


async def test_equal_calls_of_two_runs_are_one_thing_to_learn() -> None:
    one = (await taught({"solve": "return 1"}, run="one")).record
    two = (await taught({"solve": "return 1"}, run="two")).record
    other = (await taught({"solve": "return 2"}, run="three")).record
    first, second, third = (pairs_of(record)[0].identity for record in (one, two, other))
    assert first == second != third


@pytest.mark.parametrize("damage", [b"{}", b"no JSON", b"[]", b'{"request":{"messages":4}}'])
async def test_a_call_that_cannot_be_read_is_one_line_with_run_and_step(damage: bytes) -> None:
    record = (await taught({"solve": "return 1"})).record
    calls_of(record)[0].step.input = damage
    with pytest.raises(TrainingDataError, match=r"^run run, step 3: it is no call of a model"):
        pairs_of(record)
