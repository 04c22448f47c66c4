"""How many calls of a model may be under way, and how fast they may start."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow.models.permits import Permits
from agentflow.models.protocol import Model
from tests.agentflow.models.hosted_parts import ask, ignore, opened, spec_for
from tests.parts import Scripted as Spoken
from tests.wire import WireServer, says

pytestmark = pytest.mark.anyio


async def fill(model: Model, permits: Permits, server: WireServer, expected: int) -> None:
    """Start more calls than fit, let the server see what comes, then let all of them finish."""

    async def call() -> None:
        async with permits.permit(model):
            await model.complete(ask(), ignore)

    async with anyio.create_task_group() as group:
        for _ in range(expected + 4):
            group.start_soon(call)
        await anyio.to_thread.run_sync(server.wait_in_flight, expected)
        await anyio.wait_all_tasks_blocked()
        server.release()


@pytest.mark.parametrize(("asked", "expected"), [(2, 2), (None, 8)])
async def test_the_server_never_sees_more_calls_at_once_than_allowed(
    asked: int | None, expected: int
) -> None:
    with WireServer(lambda _seen: says("ok", hold=True)) as server:
        async with opened(spec_for("chat", server, concurrency=asked)) as model:
            await fill(model, Permits(), server, expected)
    assert len(server.requests) == expected + 4
    assert server.most_in_flight == expected


async def hold_all(permits: Permits, models: list[Model]) -> int:
    """Return how many permits of these models can be held at once."""
    held = 0

    async def hold(model: Model) -> None:
        nonlocal held
        async with permits.permit(model):
            held += 1
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        for model in models:
            group.start_soon(hold, model)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    return held


def spoken(**changes: object) -> Spoken:
    model = Spoken(str.upper)
    model.spec = model.spec.model_copy(update=changes)
    return model


async def test_a_model_without_limits_is_not_held_back() -> None:
    assert await hold_all(Permits(), [spoken()] * 50) == 50


async def test_the_same_model_opened_twice_shares_its_permits() -> None:
    assert await hold_all(Permits(), [spoken(concurrency=3), spoken(concurrency=3)] * 3) == 3


async def test_the_lower_of_two_limits_holds() -> None:
    assert await hold_all(Permits(), [spoken(concurrency=3), spoken(concurrency=2)] * 3) == 2


async def test_different_addresses_have_different_permits() -> None:
    models: list[Model] = [spoken(concurrency=1), spoken(concurrency=1, base_url="http://b")]
    assert await hold_all(Permits(), models * 3) == 2


async def test_permits_come_back_after_cancellation() -> None:
    permits = Permits()
    assert await hold_all(permits, [spoken(concurrency=1)] * 3) == 1
    assert await hold_all(permits, [spoken(concurrency=1)] * 3) == 1


async def test_a_second_call_waits_for_its_turn_when_calls_per_minute_are_limited() -> None:
    permits, model = Permits(), spoken(requests_per_minute=0.5)
    async with permits.permit(model):
        await checkpoint()
    assert await hold_all(permits, [model, model]) == 0


async def test_a_fast_pace_lets_calls_through() -> None:
    assert await hold_all(Permits(), [spoken(requests_per_minute=6e9)]) == 1
