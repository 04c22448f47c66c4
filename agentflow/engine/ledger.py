"""The account of one run's budget.

Owns what has been used and what is promised to calls under way. A refusal is a typed error raised
before anything is spent; it never stops a step that is already running, except for wall time,
which is a deadline around leaf calls.
"""

import time
from collections.abc import Callable

from agentflow.budget import Budget
from agentflow.errors import BudgetExceededError, BudgetKind
from agentflow.models.protocol import Usage

WORDS = {
    "tokens": "{} tokens",
    "usd": "{:.4f} US dollars",
    "steps": "{} steps",
    "depth": "{} levels of depth",
}


class Reservation:
    """Tokens and dollars promised to one model call until it is settled, also in the account above."""

    __slots__ = ("above", "tokens", "usd")

    def __init__(self, tokens: int, usd: float, above: "Reservation | None" = None) -> None:
        self.tokens, self.usd, self.above = tokens, usd, above


class Ledger:
    """What one tree has used of its `Budget`.

    `within` is an account that several trees draw on: their tokens and dollars count there, too.
    """

    def __init__(
        self,
        budget: Budget,
        clock: Callable[[], float] = time.monotonic,
        *,
        within: "Ledger | None" = None,
    ) -> None:
        self.budget, self._within = budget, within
        self._clock = clock
        self._started = clock()
        limits = (budget.steps, budget.depth, budget.width, budget.seconds)
        self._is_unlimited = all(limit is None for limit in limits)
        self.steps = 0
        self.usage = Usage()
        self.cost_usd = 0.0
        self.unpriced_calls = 0
        self.refusal: BudgetExceededError | None = None  # the last one
        self._promised_tokens = 0
        self._promised_usd = 0.0

    @property
    def limits_tokens(self) -> bool:
        """Whether tokens are limited, here or in the account above."""
        above = self._within is not None and self._within.limits_tokens
        return above or self.budget.tokens is not None

    @property
    def limits_usd(self) -> bool:
        """Whether dollars are limited, here or in the account above."""
        above = self._within is not None and self._within.limits_usd
        return above or self.budget.usd is not None

    def carry_over(self, usage: Usage, cost_usd: float | None) -> None:
        """Count what an earlier part of the same run has used; its wall time is not counted.

        Nor is it in the account above, which may have another life behind it than this run.
        """
        self.usage += usage
        self.cost_usd += cost_usd or 0.0

    def relax(self) -> None:
        """Lift every limit but tokens and dollars."""
        self.budget = Budget(tokens=self.budget.tokens, usd=self.budget.usd)
        self._is_unlimited = True

    def admit(self, step: str, depth: int, width: int) -> None:
        """Count one more step at `depth`, the `width`-th child of its parent, or refuse it.

        Raises:
            BudgetExceededError: steps, depth, width or seconds do not cover it.
        """
        if self._is_unlimited:
            self.steps += 1
            return
        self._check("steps", self.budget.steps, self.steps + 1, step)
        self._check("depth", self.budget.depth, depth, step)
        self._check("width", self.budget.width, width, step)
        self.seconds_left(step)
        self.steps += 1

    def seconds_left(self, step: str) -> float | None:
        """Return the wall time left for `step`; None without a limit.

        Raises:
            BudgetExceededError: There is none left.
        """
        limit = self.budget.seconds
        if limit is None:
            return None
        used = self._clock() - self._started
        if used >= limit:
            raise BudgetExceededError(kind="seconds", limit=limit, used=round(used, 3), step=step)
        return limit - used

    def tokens_left(self) -> int | None:
        """Return the tokens neither used nor promised; None without a limit of its own.

        What the account above has left does not count: a reply is cut to fit its own tree's budget, but
        refused, not cut, where a shared one does not cover it.
        """
        if self.budget.tokens is None:
            return None
        return self.budget.tokens - self.usage.total_tokens - self._promised_tokens

    def reserve(self, step: str, tokens: int, usd: float, *, shared: bool = False) -> Reservation:
        """Promise `tokens` and `usd` to a model call; `shared` for one of a tree below this account.

        Raises:
            BudgetExceededError: The rest of the budget does not cover them.
        """
        tokens_taken = self.usage.total_tokens + self._promised_tokens
        self._check("tokens", self.budget.tokens, tokens_taken + tokens, step, tokens_taken, shared)
        usd_taken = self.cost_usd + self._promised_usd
        self._check("usd", self.budget.usd, usd_taken + usd, step, usd_taken, shared)
        above = (
            None if self._within is None else self._within.reserve(step, tokens, usd, shared=True)
        )
        self._promised_tokens += tokens
        self._promised_usd += usd
        return Reservation(tokens, usd, above)

    def settle(self, reservation: Reservation, usage: Usage, cost_usd: float | None) -> None:
        """Replace a promise by what the call really used; `cost_usd` None means no known price."""
        if self._within is not None and reservation.above is not None:
            self._within.settle(reservation.above, usage, cost_usd)
        self.release(reservation)
        self.usage += usage
        if cost_usd is None:
            self.unpriced_calls += 1
        else:
            self.cost_usd += cost_usd

    def release(self, reservation: Reservation) -> None:
        """Take back a promise; doing it twice changes nothing."""
        if self._within is not None and reservation.above is not None:
            self._within.release(reservation.above)
        self._promised_tokens -= reservation.tokens
        self._promised_usd -= reservation.usd
        reservation.tokens, reservation.usd = 0, 0.0

    def left(self, depth: int) -> dict[str, float]:
        """Return what is left of each limit at a depth, but for the wall time, by the limit's name."""
        budget = self.budget
        left: dict[str, float | None] = {
            "tokens": self.tokens_left(),
            "usd": None if budget.usd is None else budget.usd - self.cost_usd - self._promised_usd,
            "steps": None if budget.steps is None else budget.steps - self.steps,
            "depth": None if budget.depth is None else budget.depth - depth,
        }
        return {name: amount for name, amount in left.items() if amount is not None}

    def describe(self, depth: int) -> str:
        """Return what is left, in words for a planner's prompt; empty without limits."""
        left = self.left(depth)
        parts = [WORDS[name].format(max(amount, 0)) for name, amount in left.items()]
        return f"left: {', '.join(parts)}" if parts else ""

    def _check(
        self,
        kind: BudgetKind,
        limit: float | None,
        asked: float,
        step: str,
        used: float | None = None,
        shared: bool = False,
    ) -> None:
        if limit is not None and asked > limit:
            used = asked - 1 if used is None else used
            self.refusal = BudgetExceededError(
                kind=kind, limit=limit, used=used, step=step, shared=shared
            )
            raise self.refusal
