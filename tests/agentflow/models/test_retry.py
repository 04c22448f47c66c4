"""When an attempt is repeated, and how long the wait is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from agentflow.errors import (
    CredentialsError,
    MalformedReplyError,
    ModelError,
    ModelUnavailableError,
    RateLimitedError,
)
from agentflow.models.failures import retry_after_s
from agentflow.models.protocol import Model, Reply
from agentflow.models.retry import complete_with_retries
from tests.agentflow.models.hosted_parts import ask, opened, spec_for
from tests.wire import Scripted, WireServer, fails, says

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@dataclass
class Caller:
    """Calls a model with retries and writes down what happened, in order."""

    happened: list[str] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    errors: list[ModelError] = field(default_factory=list)

    async def call(self, model: Model) -> tuple[Reply, int]:
        return await complete_with_retries(
            model,
            ask(),
            on_text=lambda text: self.happened.append(text),
            permit=self._permit,
            on_retry=self._note,
            sleep=self._sleep,
        )

    @asynccontextmanager
    async def _permit(self) -> AsyncIterator[None]:
        self.happened.append("take")
        try:
            yield
        finally:
            self.happened.append("give")

    def _note(self, attempt: int, error: ModelError, wait_s: float) -> None:
        self.happened.append(f"failed {attempt}")
        self.errors.append(error)
        assert wait_s >= 0

    async def _sleep(self, wait_s: float) -> None:
        self.happened.append("wait")
        self.waits_s.append(wait_s)


async def run(caller: Caller, *answers: Scripted, retries: int = 5) -> tuple[Reply, int]:
    with WireServer(answers) as server:
        async with opened(spec_for("chat", server, retries=retries)) as model:
            return await caller.call(model)


async def test_the_first_success_is_one_attempt_without_a_wait() -> None:
    caller = Caller()
    reply, attempts = await run(caller, says("ok"))
    assert (reply.text, attempts, caller.happened) == ("ok", 1, ["take", "ok", "give"])


async def test_the_wait_is_never_shorter_than_the_server_asked_for() -> None:
    caller = Caller()
    reply, attempts = await run(caller, fails(429, retry_after="77"), says("ok"))
    assert (reply.text, attempts) == ("ok", 2)
    assert caller.waits_s == [77]


async def test_the_permit_is_given_back_while_waiting_and_lost_text_is_announced_before() -> None:
    caller = Caller()
    await run(caller, says("Hel", fault="drop"), says("ok"))
    expected = ["take", "Hel", "give", "failed 1", "wait", "take", "ok", "give"]
    assert caller.happened == expected


async def test_waits_grow_and_stay_below_a_minute() -> None:
    caller = Caller()
    with pytest.raises(ModelUnavailableError):
        await run(caller, *[fails(500)] * 13, retries=12)
    assert len(caller.waits_s) == 12
    assert all(0.5 <= wait_s <= min(60, 2**n) for n, wait_s in enumerate(caller.waits_s))


async def test_the_last_error_is_raised_when_repeats_run_out() -> None:
    caller = Caller()
    with pytest.raises(RateLimitedError, match="third"):
        await run(caller, fails(500), fails(500), fails(429, "third"), says("never"), retries=2)
    assert [type(error) for error in caller.errors] == [ModelUnavailableError] * 2


async def test_a_malformed_reply_is_asked_for_again() -> None:
    caller = Caller()
    reply, attempts = await run(caller, says(fault="not_json"), says(), says("ok"))
    assert (reply.text, attempts) == ("ok", 3)
    assert [type(error) for error in caller.errors] == [MalformedReplyError] * 2


async def test_what_a_repeat_cannot_help_is_not_repeated() -> None:
    caller = Caller()
    with pytest.raises(CredentialsError):
        await run(caller, fails(401), says("never"))
    assert caller.happened == ["take", "give"]


async def test_a_server_that_asks_for_more_than_five_minutes_is_given_up_at_once() -> None:
    caller = Caller()
    with pytest.raises(RateLimitedError) as caught:
        await run(caller, fails(429, retry_after="301"), says("never"))
    assert caught.value.retry_after_s == 301
    assert caller.waits_s == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_documented_form(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(headers, now=NOW) == seconds
