"""One program from its start to its end: turns in an interpreter, and waits for the host in between.

Owns the host's side: calls are served as they are begun, and their results handed in where the program
asks for them. Knows no interpreter: whoever takes the turns may be anywhere. The bytes of a paused program
are kept here and go to nobody else, so they need no signature.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from anyio.abc import TaskGroup

from agentflow.data import canonical, encode
from agentflow.errors import ProgramError
from agentflow.sandbox.failures import as_raised
from agentflow.sandbox.protocol import Call, CallHandler, Finished, Limits
from agentflow.sandbox.rewrite import rewrite
from agentflow.sandbox.turns import Issued, Turn, TurnEnd, handle_of

TakeTurn = Callable[[Turn, Callable[[Issued], None]], Awaitable[TurnEnd]]


async def execute(
    take: TakeTurn,
    code: str,
    inputs: Mapping[str, object],
    *,
    call: CallHandler,
    parallel: bool,
    limits: Limits,
) -> Finished:
    """Run one program; see `ProgramSandbox.run`. `take` takes each of its turns."""
    program = rewrite(code, inputs, parallel=parallel)
    begin = Turn(
        program=program,
        code=code,
        limits=limits,
        secret=secrets.token_hex(16),  # no program sees a handle; this keeps it from making one up
        issued=0,
        stdout_bytes=limits.stdout_bytes,
        inputs={name: crossing(value, f"the input {name}") for name, value in inputs.items()},
    )
    async with anyio.create_task_group() as group:
        execution = _Execution(take, call, group)
        outcome: Finished | Exception
        try:
            outcome = await execution.run(begin)
        except Exception as error:  # noqa: BLE001 - raised below, without a group around it
            outcome = error
            group.cancel_scope.cancel()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class _Answer:
    """The result of one call of the host, now or later."""

    def __init__(self) -> None:
        self.ready = anyio.Event()
        self.value: object = None
        self.error: Exception | None = None


class _Execution:
    def __init__(self, take: TakeTurn, call: CallHandler, group: TaskGroup) -> None:
        self._take, self._call, self._group = take, call, group
        self._answers: dict[str, _Answer] = {}
        self._numbers: dict[str, int] = {}
        self._secret = ""
        self._raised: dict[tuple[str, str], Exception] = {}
        self._printed: list[str] = []

    async def run(self, begin: Turn) -> Finished:
        self._secret = begin.secret
        try:
            value = await self._to_the_end(begin)
        except ProgramError as failure:
            raised = self._raised.get((failure.name, failure.message))
            if raised is None:
                raise
            raise raised from failure
        for answer in self._answers.values():
            # The program waits for every call, but for those behind an error that it caught.
            await answer.ready.wait()
        value = crossing(value, "the return value")
        return Finished(value=value, stdout="".join(self._printed), calls=len(self._answers))

    async def _to_the_end(self, turn: Turn) -> object:
        """Alternate between turns in an interpreter and waits outside of one."""
        left = turn.stdout_bytes
        while True:
            end = await self._take(turn, self._issue)
            self._printed.append(end.printed)
            if end.blob is None:
                return end.value
            left -= len(end.printed.encode())
            turn = Turn(
                program=turn.program,
                code=turn.code,
                limits=turn.limits,
                secret=turn.secret,
                issued=len(self._answers),
                stdout_bytes=max(0, left),
                blob=end.blob,
                reply=await self._reply_for(end.waits),
            )

    def _issue(self, issued: Issued) -> None:
        """Start to serve a call."""
        handle = handle_of(self._secret, issued.number)
        answer = self._answers[handle] = _Answer()
        self._numbers[handle] = issued.number
        self._group.start_soon(self._serve, issued, answer)

    async def _serve(self, issued: Issued, answer: _Answer) -> None:
        try:
            value = await self._call(await self._ready(issued))
            answer.value = crossing(value, f"the result of {issued.name}")
        except Exception as error:  # noqa: BLE001 - it belongs to the program, which may catch it
            answer.error = error
        finally:
            answer.ready.set()

    async def _ready(self, issued: Issued) -> Call:
        """Return the call once everything that it waits for is there."""
        if issued.problem is not None:
            raise issued.problem
        place = f"the call of {issued.name}"
        given = (*issued.args, *issued.kwargs.values())
        waits = [handle for item in given for handle in self._handles_in(item)]
        return Call(
            number=issued.number,
            name=issued.name,
            args=tuple([crossing(await self._resolved(item), place) for item in issued.args]),
            kwargs={
                word: crossing(await self._resolved(item), place)
                for word, item in issued.kwargs.items()
            },
            line=issued.line,
            waits_for=tuple(self._numbers[handle] for handle in waits),
        )

    async def _reply_for(self, waits: Any) -> dict[str, object]:
        handles, *as_pairs = waits
        try:
            if as_pairs:
                return {"return_value": {key: await self._resolved(item) for key, item in handles}}
            return {"return_value": await self._resolved(handles)}
        except Exception as error:  # noqa: BLE001 - raised inside the program
            kind, message = as_raised(error)
            if any(answer.error is error for answer in self._answers.values()):
                self._raised[kind, message] = error
            return {"exc_type": kind, "message": message}

    async def _resolved(self, value: Any) -> Any:
        """Return a value with its handles, if it has any, replaced by what they stand for."""
        if isinstance(value, str) and value in self._answers:
            answer = self._answers[value]
            await answer.ready.wait()
            if answer.error is not None:
                raise answer.error
            return answer.value
        if not self._handles_in(value):
            return value
        items = sorted(value, key=self._numbers.__getitem__) if isinstance(value, set) else value
        resolved = [await self._resolved(item) for item in items]
        return set(resolved) if isinstance(value, set) else resolved

    def _handles_in(self, value: Any) -> list[str]:
        """Return the handles that a value is, or that a comprehension collected."""
        items = [value]
        if isinstance(value, list | set):
            items = list(value)
        return [item for item in items if isinstance(item, str) and item in self._answers]


def crossing(value: object, what: str) -> object:
    """Return a value that may cross between host and program: plain data and nothing else.

    Raises:
        ProgramError: It is something else; `what` says what was to cross.
    """
    try:
        canonical(encode(value, what))
    except (ValueError, RecursionError) as error:
        hint = "pass numbers, strings, lists, dictionaries and the like"
        message = f"{error}: {hint}" if what in str(error) else f"{what}: {error}: {hint}"
        raise ProgramError(
            phase="unsupported",
            name="TypeError",
            message=message,
            line=None,
            report=f"TypeError: {message}",
        ) from error
    return value
