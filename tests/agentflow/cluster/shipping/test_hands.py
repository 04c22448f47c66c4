"""Who gets a piece of work, and what a worker that is gone gives back; without a cluster."""

import anyio
import pytest

from agentflow import Budget, Reply
from agentflow.cluster.shipping.desk import Desk
from agentflow.cluster.shipping.hands import Hand, Hands
from agentflow.cluster.shipping.wire import Ask, Promise, Told
from agentflow.engine.ledger import Ledger
from agentflow.errors import ClusterError
from agentflow.models.protocol import Message, OnText, Request, Usage
from agentflow.resources import Resources
from tests.parts import Scripted

pytestmark = pytest.mark.anyio


def hand(name: str) -> Hand:
    return Hand(actor=None, node=name, name=name)


async def test_work_is_spread_and_waits_for_workers_that_are_still_starting() -> None:
    hands, first, second = Hands(), hand("one"), hand("two")
    hands.share(2)
    hands.add(first)
    assert [await hands.take(alone=False) for _ in range(2)] == [first, first]
    taken: list[Hand] = []

    async def third() -> None:
        taken.append(await hands.take(alone=False))

    async with anyio.create_task_group() as group:
        group.start_soon(third)
        await anyio.wait_all_tasks_blocked()
        assert taken == []
        hands.add(second)
    assert taken == [second]


async def test_work_that_was_lost_before_shares_its_worker_with_nobody() -> None:
    hands, only = Hands(), hand("one")
    hands.add(only)
    await hands.take(alone=False)
    got: list[str] = []

    async def one(name: str, *, alone: bool) -> None:
        assert await hands.take(alone=alone) is only
        got.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: one("alone", alone=True))
        await anyio.wait_all_tasks_blocked()
        group.start_soon(lambda: one("after", alone=False))
        await anyio.wait_all_tasks_blocked()
        assert got == []
        hands.give_back(only)
        await anyio.wait_all_tasks_blocked()
        assert got == ["alone"]
        hands.give_back(only)
    assert got == ["alone", "after"]


async def test_a_worker_that_is_retired_is_gone_when_its_work_is_over() -> None:
    hands, old = Hands(), hand("one")
    hands.add(old)
    await hands.take(alone=False)
    hands.retire(old)
    assert not old.gone.is_set()
    hands.give_back(old)
    assert old.gone.is_set()


async def test_whoever_waits_for_nobody_is_told_why() -> None:
    hands = Hands()
    hands.give_up(ClusterError(cluster="ray", problem="nobody came"))
    with pytest.raises(ClusterError, match="nobody came"):
        await hands.take(alone=False)


class Silent(Scripted):
    """A model that never answers."""

    async def complete(self, request: Request, on_text: OnText) -> Reply:  # noqa: ARG002
        await anyio.sleep_forever()
        raise AssertionError("it slept for ever")


def ask(call: int, prompt: str) -> Ask:
    return Ask(
        call=call,
        spec=Scripted(str.upper).spec,
        promise=Promise(number=call, step="generate", tokens=60, usd=0.0),
        request=Request(messages=(Message(role="user", text=prompt),)),
    )


async def test_what_was_promised_to_a_worker_that_is_gone_is_there_for_others() -> None:
    within, told, silent = Ledger(Budget(tokens=100)), list[Told](), Silent(str.upper)
    resources = Resources({str(silent.spec): silent})
    async with anyio.create_task_group() as group:
        desk = Desk(resources, within, told.append, group)
        desk.hear(ask(1, "anybody?"))
        desk.hear(ask(2, "more?"))
        await anyio.wait_all_tasks_blocked()
        (refusal,) = told
        assert refusal.call == 2
        assert refusal.failure is not None
        assert refusal.failure.facts["shared"] is True
        desk.close()
        group.cancel_scope.cancel()
    within.release(within.reserve("generate", 100, 0.0))


async def test_what_an_attempt_used_is_counted_with_its_reply_and_only_once() -> None:
    within, told, model = Ledger(Budget(tokens=100)), list[Told](), Scripted(str.upper)
    resources = Resources({str(model.spec): model})
    async with anyio.create_task_group() as group:
        desk = Desk(resources, within, told.append, group)
        desk.hear(ask(1, "two words"))
        await anyio.wait_all_tasks_blocked()
        desk.close()
    (reply,) = told
    assert reply.reply is not None
    assert reply.reply.text == "TWO WORDS"
    assert within.usage == Usage(input_tokens=2, output_tokens=2)
    within.release(within.reserve("generate", 96, 0.0))
