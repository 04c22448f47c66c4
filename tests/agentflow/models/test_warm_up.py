"""What siblings share is read once, by a request of its own, and counted once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from agentflow import Budget, Runner, flow, generate, parallel
from agentflow.errors import BudgetExceededError
from agentflow.models.protocol import Message, ModelSpec, Reply, Request, ToolCall, Usage, WarmUp
from agentflow.models.warm_up import LEAST_CHARS, warms_up
from tests.agentflow.models.hosted_parts import ADD, ask, ignore, opened, spec_for
from tests.wire import Scripted, Seen, WireServer, fails, says

pytestmark = pytest.mark.anyio

SYSTEM = Message(role="system", text="You are one of several. " * 100)
GOAL = "The goal that all of them have. " * 100
AHEAD = Usage(input_tokens=900, output_tokens=1)


def sibling(name: str, more: str = "") -> Request:
    return Request(
        messages=(SYSTEM, Message(role="user", text=f"{GOAL}{more}{name}: do it")), tools=(ADD,)
    )


def is_ahead(seen: Seen) -> bool:
    return seen.body.get("max_tokens") == 1


def answers(ahead: Scripted | None = None) -> Callable[[Seen], Scripted]:
    warm = ahead or says("x", usage=AHEAD, finish="length")
    return lambda seen: warm if is_ahead(seen) else says("done")


async def together(model: Any, requests: Sequence[Request]) -> list[Reply]:
    replies: dict[int, Reply] = {}

    async def one(place: int, request: Request) -> None:
        replies[place] = await model.complete(request, ignore)

    async with anyio.create_task_group() as group:
        for place, request in enumerate(requests):
            group.start_soon(one, place, request)
    return [replies[place] for place in range(len(requests))]


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_one_short_request_goes_ahead_with_all_that_siblings_share(api: str) -> None:
    with WireServer(lambda seen: says("x" if seen.body.get("tools") else "y")) as server:
        async with opened(spec_for(api, server)) as model:
            await together(model, [sibling("left"), sibling("right"), sibling("middle")])
    first, *others = server.requests
    assert first.turns == [("system", SYSTEM.text), ("user", GOAL)]
    assert first.body["max_tokens" if api == "chat" else "max_output_tokens"] == 1
    assert first.body["tools"] == others[0].body["tools"], "tools come before the messages"
    asked = sorted(seen.prompt.removeprefix(GOAL) for seen in others)
    assert asked == ["left: do it", "middle: do it", "right: do it"]


async def test_siblings_wait_until_the_prefix_has_been_read() -> None:
    held = says("x", usage=AHEAD, hold=True)
    with WireServer(answers(held)) as server:
        async with opened(spec_for("chat", server)) as model, anyio.create_task_group() as group:
            group.start_soon(together, model, [sibling("left"), sibling("right")])
            await anyio.to_thread.run_sync(server.wait_in_flight, 1)
            late = Request(messages=sibling("late").messages, tools=(ADD,))
            group.start_soon(model.complete, late, ignore)
            await anyio.wait_all_tasks_blocked()
            assert [is_ahead(seen) for seen in server.requests] == [True]
            server.release()
    assert len(server.requests) == 4


async def test_what_the_warm_up_took_is_told_in_one_reply() -> None:
    with WireServer(answers()) as server:
        spec = spec_for("chat", server, price={"input": 1, "output": 1})
        async with opened(spec) as model:
            replies = await together(model, [sibling("left"), sibling("right")])
    told = [reply for reply in replies if reply.warm_up is not None]
    assert [reply.warm_up for reply in told] == [WarmUp(requests=2, usage=AHEAD)]
    assert sum((reply.usage for reply in replies), Usage()).input_tokens == 900 + 2 * 12
    assert told[0].cost_usd == pytest.approx((900 + 1 + 12 + 5) / 1e6)


async def test_a_prefix_is_read_ahead_once_and_a_longer_one_again() -> None:
    with WireServer(answers()) as server:
        async with opened(spec_for("chat", server)) as model:
            await together(model, [sibling("left"), sibling("right")])
            await together(model, [sibling("more"), sibling("most")])
            assert sum(map(is_ahead, server.requests)) == 1
            deeper = "What is known by now. " * 100
            await together(model, [sibling("a", deeper), sibling("b", deeper)])
    ahead = [seen.prompt for seen in server.requests if is_ahead(seen)]
    assert ahead == [GOAL, GOAL + deeper]


@pytest.mark.parametrize(
    "requests",
    [
        [sibling("alone")],
        [ask("short"), ask("brief")],
        [ask("a" * 9_000), ask("b" * 9_000)],
        [sibling("one"), sibling("one").model_copy(update={"tools": ()})],
    ],
    ids=["alone", "short", "different", "other tools"],
)
async def test_nothing_goes_ahead_of_requests_that_share_nothing_long(
    requests: list[Request],
) -> None:
    with WireServer(answers()) as server:
        async with opened(spec_for("chat", server)) as model:
            await together(model, requests)
    assert not any(map(is_ahead, server.requests))


async def test_a_failed_warm_up_is_told_and_holds_up_nobody() -> None:
    with WireServer(answers(fails(400, "no single tokens here"))) as server:
        async with opened(spec_for("chat", server)) as model:
            replies = await together(model, [sibling("left"), sibling("right")])
            await together(model, [sibling("more"), sibling("most")])
    problems = [reply.warm_up.problem for reply in replies if reply.warm_up is not None]
    assert len(problems) == 1
    assert "no single tokens here" in problems[0]
    assert {reply.text for reply in replies} == {"done"}
    assert sum(map(is_ahead, server.requests)) == 1, "what the server refuses is not asked again"


async def test_when_the_first_sibling_is_cancelled_the_next_one_goes_ahead() -> None:
    ahead = iter([says(fault="hang"), says("x", usage=AHEAD)])
    with WireServer(lambda seen: next(ahead) if is_ahead(seen) else says("done")) as server:
        async with opened(spec_for("chat", server)) as model, anyio.create_task_group() as group:
            first = anyio.CancelScope()
            replies: list[Reply] = []

            async def leading() -> None:
                with first:
                    await model.complete(sibling("first"), ignore)

            async def following(name: str) -> None:
                replies.append(await model.complete(sibling(name), ignore))

            group.start_soon(leading)
            group.start_soon(following, "left")
            group.start_soon(following, "right")
            await anyio.to_thread.run_sync(server.wait_in_flight, 1)
            first.cancel()
    assert [reply.text for reply in replies] == ["done", "done"]
    assert sum(map(is_ahead, server.requests)) == 2
    assert not any("first" in seen.prompt for seen in server.requests)


async def test_calls_without_all_their_answers_do_not_go_ahead() -> None:
    calls = tuple(ToolCall(id=f"c{n}", name="add", arguments={}) for n in (1, 2))
    begun = (SYSTEM, Message(role="user", text=GOAL), Message(role="assistant", tool_calls=calls))
    one = Message(role="tool", tool_call_id="c1", text="1" * 50)
    requests = [
        Request(messages=(*begun, one, Message(role="tool", tool_call_id="c2", text=text)))
        for text in ("left", "right")
    ]
    with WireServer(answers()) as server:
        async with opened(spec_for("chat", server)) as model:
            await together(model, requests)
    assert [role for role, _ in server.requests[0].turns] == ["system", "user"]


@pytest.mark.parametrize(
    ("address", "wanted", "expected"),
    [
        ("http://127.0.0.1:8000/v1", None, True),
        ("http://192.168.1.20/v1", None, True),
        ("http://[::1]:8000/v1", None, True),
        ("http://vllm:8000/v1", None, True),
        ("http://gpu.local/v1", None, True),
        ("https://api.example.com/v1", None, False),
        ("http://8.8.8.8/v1", None, False),
        ("https://api.example.com/v1", True, True),
        ("http://127.0.0.1:8000/v1", False, False),
        (None, None, False),
    ],
)
def test_only_servers_where_nobody_pays_are_warmed_up_unasked(
    address: str | None, wanted: bool | None, expected: bool
) -> None:
    spec = ModelSpec(provider="openai", name="m", base_url=address, warm_up=wanted)
    assert warms_up(spec) is expected


@flow
async def fan_out(names: list[str]) -> list[str]:
    replies = await parallel(generate(sibling(name).messages) for name in names)
    return [reply.text for reply in replies]


async def test_a_run_counts_and_tells_the_warm_up_and_a_replay_does_not_repeat_it(
    tmp_path: Path,
) -> None:
    with WireServer(answers()) as server:
        runner = Runner(model=spec_for("chat", server), journal=tmp_path / "runs.db")
        result = await runner.run_async(fan_out, ["left", "right"])
        asked = len(server.requests)
        again = await runner.replay(fan_out, result.id)
        assert len(server.requests) == asked == 3
    assert again.output == result.output == ["done", "done"]
    record = result.record
    assert record.usage == Usage(input_tokens=900 + 2 * 12, output_tokens=1 + 2 * 5)
    notes = [note.text for step in record.steps.values() for note in step.notes]
    assert notes == ["900 tokens that 2 requests share were read ahead"]


async def test_a_budget_has_room_for_the_warm_up_before_it_is_made() -> None:
    tokens = len(GOAL + SYSTEM.text) // 3 + 200  # one reading of the prompt, and not two
    with WireServer(answers()) as server:
        runner = Runner(
            model=spec_for("chat", server), journal=":memory:", budget=Budget(tokens=tokens)
        )
        with pytest.raises(BudgetExceededError, match="does not cover it"):
            await runner.run_async(fan_out, ["left"])
    assert server.requests == []
    assert len(GOAL + SYSTEM.text) > LEAST_CHARS
