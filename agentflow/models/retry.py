"""Repeat an attempt that may well succeed the next time.

Owns when to repeat and how long to wait. Knows no provider: an error says itself whether it is
`retryable` and what wait the server asked for. A permit is held during an attempt, never while waiting.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import cast

import anyio
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from agentflow.errors import ModelError
from agentflow.models.protocol import Model, OnText, Reply, Request

LONGEST_BACK_OFF_S = 60.0
LONGEST_ASKED_WAIT_S = 300.0
BACK_OFF = wait_random_exponential(multiplier=1, max=LONGEST_BACK_OFF_S, min=0.5)


async def complete_with_retries(
    model: Model,
    request: Request,
    *,
    on_text: OnText,
    permit: Callable[[], AbstractAsyncContextManager[None]],
    on_retry: Callable[[int, ModelError, float], None],
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> tuple[Reply, int]:
    """Return the reply of `model` and how many attempts it took, at most `spec.retries` + 1.

    Args:
        model: Makes the attempts.
        request: What to ask, each time.
        on_text: Gets text as it arrives, also that of an attempt that fails later.
        permit: Gives the permit to hold around one attempt.
        on_retry: Gets the number of the attempt that failed, its error, and the seconds until the
            next, before the wait: what that attempt has streamed does not count.
        sleep: Waits that many seconds: random and growing, never less than the server asked for.

    Raises:
        ModelError: The last attempt's error, or one that no repeat can help, such as a server that
            asks for more than five minutes.
    """

    async def attempt() -> Reply:
        async with permit():
            return await model.complete(request, on_text)

    def announce(state: RetryCallState) -> None:
        assert state.next_action is not None
        on_retry(state.attempt_number, _error(state), state.next_action.sleep)

    retrying = AsyncRetrying(
        sleep=sleep,
        stop=stop_after_attempt(model.spec.retries + 1),
        wait=_wait_s,
        retry=retry_if_exception(_is_worth_repeating),
        before_sleep=announce,
        reraise=True,
    )
    reply: Reply = await retrying(attempt)
    return reply, retrying.statistics["attempt_number"]


def _wait_s(state: RetryCallState) -> float:
    return max(BACK_OFF(state), _error(state).retry_after_s or 0.0)


def _is_worth_repeating(error: BaseException) -> bool:
    if not isinstance(error, ModelError) or not error.retryable:
        return False
    return error.retry_after_s is None or error.retry_after_s <= LONGEST_ASKED_WAIT_S


def _error(state: RetryCallState) -> ModelError:
    assert state.outcome is not None
    return cast("ModelError", state.outcome.exception())
