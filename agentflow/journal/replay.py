"""Run a recorded run again without doing anything.

Owns the closed source of results (invariant 4): every leaf is answered from the record or is an
error, and never done. Results are handed out in the order in which they were first finished, so that
races, failures and cancellations fall the same way again.
"""

import asyncio
from collections.abc import Container, Iterable

from agentflow.cancelling import settled
from agentflow.errors import AgentflowError, DriftError, MissingStepError, rebuild
from agentflow.journal.content import payload_hash
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.reuse import Asked, Edits, ForkPoint, Recorded, apart, latest

PATIENCE_S = 10.0
QUIET_S = 0.2  # when nobody has been answered for this long, no cancellation is on its way any more


class Replay:
    """The recorded steps of one run as the only source of results."""

    is_dry = False

    def __init__(self, record: RunRecord, *, patience_s: float = PATIENCE_S) -> None:
        self.run, self._patience_s = record.id, patience_s
        self._broken: AgentflowError | None = None
        self._interrupted = record.status not in ("succeeded", "failed")
        self._steps = latest(record)
        self._fork = ForkPoint.of(record)
        answers = [step for step in self._steps.values() if _is_answer(step)]
        self._turns = _Turns(answers, _near_cancelled(record))

    async def take(self, asked: Asked) -> Recorded | None:
        """Return the recorded result of a step; None when its body has to run: it is no leaf.

        Raises:
            DriftError: The input is not the recorded one.
            MissingStepError: There is no result for the step.
            AgentflowError: The recorded failure of the step.
        """
        if self._broken is not None:
            raise self._broken
        found = self._steps.get(asked.key)
        if found is None:
            await self._stand_still()
            raise self._break(MissingStepError(step=asked.label, run=self.run))
        if payload_hash(found.input) != payload_hash(asked.input):
            recorded, now = apart(found.input, asked.input)
            error = DriftError(step=asked.label, run=self.run, recorded=recorded, now=now)
            raise self._break(error)
        return await self._replayed(found, asked.label)

    def edits(self, key: bytes, parent: bytes) -> Edits | None:
        """Return what was changed at the step when the run was forked off another one."""
        return None if self._fork is None else self._fork.edits(key, parent)

    def verify(self, key: bytes, label: str, output: bytes) -> None:
        """Compare the output of a flow that ran again.

        Raises:
            DriftError: It came to another result.
            AgentflowError: A misfit before, which a flow has taken for a failure of its parts.
        """
        if self._broken is not None:
            raise self._broken
        found = self._steps.get(key)
        if found is not None and found.output not in (None, output):
            recorded, now = apart(found.output or b"", output)
            step = f"result of {label}"
            raise self._break(DriftError(step=step, run=self.run, recorded=recorded, now=now))

    def number_of(self, key: bytes) -> int | None:
        """Return the number under which a step was recorded."""
        found = self._steps.get(key)
        return None if found is None else found.number

    def check_code(self, target: str, code: str) -> str | None:
        """Return None: on replay, changed code shows as another input or result."""

    def actions_taken(
        self,
        environment: str,  # noqa: ARG002 - the protocol's
        start: int,  # noqa: ARG002 - the protocol's
    ) -> list[tuple[str, bytes, bytes | None]]:
        """Return nothing: on replay, no environment is ever made."""
        return []

    def first_asked(self, key: bytes) -> float | None:
        """Return None: nobody is asked."""

    def _break(self, error: AgentflowError) -> AgentflowError:
        """Make the first misfit everybody's: branches that wait their turn would only hide it."""
        if self._broken is None:
            self._broken = error
            self._turns.release_all()
        return error

    async def _replayed(self, found: StepRecord, label: str) -> Recorded | None:
        if found.status == "refused":
            raise _failure(found)
        if not _is_answer(found):
            if found.kind in LEAVES or (found.kind == "code" and not found.children):
                await self._never_answered(found, label)
            return None
        try:
            await self._turns.wait(found.key, self._patience_s)
        except TimeoutError as error:
            missing = MissingStepError(step=f"a step before {label}", run=self.run)
            raise self._break(missing) from error
        if self._broken is not None:
            raise self._broken
        if found.status == "failed":
            raise _failure(found)
        return _result(found)

    async def _stand_still(self) -> None:
        """Wait like a branch that was cancelled before it came to here, until it is cancelled again."""
        if self._interrupted:
            return
        answered = -1
        while self._broken is None and self._turns.given != answered:
            answered = self._turns.given
            await asyncio.sleep(QUIET_S)

    async def _never_answered(self, found: StepRecord, label: str) -> None:
        """Stand still like the cancelled step did, until the branch is cancelled again."""
        if found.status == "cancelled" and not self._interrupted:
            await asyncio.sleep(self._patience_s)
        raise self._break(MissingStepError(step=label, run=self.run))


class _Turns:
    """Who may have its answer now: one at a time, in the recorded order of finishing.

    What a cancelled branch had begun may never be asked for here, if the cancellation comes earlier:
    when nothing else happens, such answers are passed over.
    """

    def __init__(self, steps: Iterable[StepRecord], unsure: Container[bytes]) -> None:
        ordered = sorted(steps, key=lambda step: step.finished_event)
        self._order = [step.key for step in ordered]
        self._positions = {key: position for position, key in enumerate(self._order)}
        self._unsure = unsure
        self.given = 0
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._quiet: asyncio.TimerHandle | None = None

    def release_all(self) -> None:
        for future in self._waiting.values():
            _release(future)

    async def wait(self, key: bytes, patience_s: float) -> None:
        """Return when it is the turn of `key`, even in a branch that is being cancelled.

        What finished in the recording finishes here; the cancellation comes after it, as it did then.

        Raises:
            TimeoutError: Its turn does not come.
        """
        position = self._positions[key]
        if position > self.given:
            await self._wait(key, patience_s)
        if position >= self.given:
            self.given = position + 1
        # One turn of the loop lets the consumer of this answer go on before the next one is given.
        asyncio.get_running_loop().call_soon(self._release_next)

    async def _wait(self, key: bytes, patience_s: float) -> None:
        loop = asyncio.get_running_loop()
        future = self._waiting[key] = loop.create_future()
        timer = loop.call_later(patience_s, _time_out, future)
        self._watch()
        try:
            await settled(future)
        finally:
            del self._waiting[key]
            timer.cancel()

    def _release_next(self) -> None:
        following = self._order[self.given] if self.given < len(self._order) else b""
        if following in self._waiting:
            _release(self._waiting[following])
        self._watch()

    def _watch(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = None
        if self._waiting:
            self._quiet = asyncio.get_running_loop().call_later(QUIET_S, self._pass_over)

    def _pass_over(self) -> None:
        """Release the first that waits, if those before it need never be asked for."""
        if not self._waiting:
            return
        first = min(self._waiting, key=self._positions.__getitem__)
        if all(key in self._unsure for key in self._order[self.given : self._positions[first]]):
            _release(self._waiting[first])


def _release(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _time_out(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_exception(TimeoutError())


LEAVES = ("model", "tool", "ask")


def _is_answer(step: StepRecord) -> bool:
    """Whether the record answers the step; what calls steps runs again instead.

    A result taken over from another run stands for everything below it.
    """
    done = step.status in ("succeeded", "failed")
    whole = step.kind == "code" or "origin" in step.details
    return done and (step.kind in LEAVES or (whole and not step.children))


def _near_cancelled(record: RunRecord) -> set[bytes]:
    """Return the steps below one of which a part failed or was cancelled.

    A cancellation that comes a little earlier than in the recording may keep them from being asked for.
    """
    unsure: set[bytes] = set()
    for step in record.steps.values():
        if any(child.status in ("cancelled", "failed") for child in step.children):
            unsure.update(below.key for below in step.walk())
    return unsure


def _result(step: StepRecord) -> Recorded:
    assert step.output is not None
    return Recorded(step.output, step.details)


def _failure(step: StepRecord) -> Exception:
    assert step.failure is not None
    return rebuild(step.failure.name, step.failure.message, step.failure.facts)
