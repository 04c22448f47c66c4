"""Say no in the form that OpenAI's clients read.

Owns which error has which status and words. A message never holds a traceback, a key, a path of this machine or
anything else that a flow's own code has said: that is in the journal, for those who may read it.
"""

import logging
import traceback
from typing import Any

from starlette.responses import JSONResponse

from agentflow.errors import (
    AgentflowError,
    AskError,
    BudgetExceededError,
    CodeChangedError,
    ContextLengthError,
    ExpansionError,
    InputError,
    JournalError,
    MalformedReplyError,
    OutputError,
    RateLimitedError,
)
from agentflow.journal.events import Failure

FULL_WAIT_S = 1.0  # what a client is asked to wait when no better number is known
STOPPING_WAIT_S = 5.0
MOST_TOLD = 500  # characters of a problem
# What these say is about the request and the task, in our own words or the model's.
TELLING = (
    AskError,
    BudgetExceededError,
    ContextLengthError,
    ExpansionError,
    InputError,
    MalformedReplyError,
    OutputError,
    RateLimitedError,
)
_log = logging.getLogger("agentflow.serve-flow")
_TELLING_NAMES = frozenset(kind.__name__ for kind in TELLING)


class Refusal(Exception):  # noqa: N818 - it answers a request, it is no fault
    """A request that is not obeyed: a status, a line for people, words for programs.

    `is_final`: asking again will not help, so that clients which would do so by themselves do not.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        field: str | None = None,
        retry_after_s: float | None = None,
        is_final: bool = False,
        run: str | None = None,
    ) -> None:
        self.status, self.code, self.field = status, code, field
        self.retry_after_s, self.is_final, self.run = retry_after_s, is_final, run
        super().__init__(message)

    @property
    def body(self) -> dict[str, Any]:
        """The envelope that OpenAI's clients read."""
        error = {
            "message": str(self),
            "type": _kind(self.status),
            "param": self.field,
            "code": self.code,
        }
        return {"error": error | ({"run": self.run} if self.run else {})}

    @property
    def headers(self) -> dict[str, str]:
        """What belongs beside it."""
        headers = {"x-should-retry": "false"} if self.is_final else {}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(1, round(self.retry_after_s)))
        return headers

    def response(self) -> JSONResponse:
        """Return it as an answer."""
        return JSONResponse(self.body, self.status, self.headers)


def bad(field: str | None, problem: str, code: str = "invalid_value") -> Refusal:
    """Return the refusal of a field, by its name."""
    told = problem if len(problem) <= MOST_TOLD else problem[: MOST_TOLD - 3] + "..."
    return Refusal(400, f"{field}: {told}" if field else told, field=field, code=code)


def unknown_flow(given: str, names: list[str], field: str) -> Refusal:
    """Return the refusal of a flow that is not served here."""
    message = f"{field}: there is no {given[:80]!r} here; there is {', '.join(names)}"
    code = "model_not_found" if field == "model" else "flow_not_found"
    return Refusal(404, message, field=field, code=code)


def unknown_run() -> Refusal:
    """Return the refusal of a run that this server has not started."""
    return Refusal(404, "this server has started no such run", code="run_not_found")


def full() -> Refusal:
    """Return the refusal of a run when as many wait as may."""
    message = "as many runs are under way or waiting as may be; try again soon"
    return Refusal(429, message, code="queue_full", retry_after_s=FULL_WAIT_S)


def stopping() -> Refusal:
    """Return the refusal of everything new by a server that is about to end."""
    message = "the server is stopping and takes no new runs"
    return Refusal(503, message, code="server_stopping", retry_after_s=STOPPING_WAIT_S)


def key_reused() -> Refusal:
    """Return the refusal of an idempotency key that stands for another request."""
    message = "this Idempotency-Key was used with another flow or input; choose a new one"
    return Refusal(422, message, code="idempotency_key_reused", is_final=True)


def wrong_input(error: AgentflowError, field: str) -> Refusal:
    """Return the refusal of an input that does not fit the flow."""
    return bad(field, str(getattr(error, "problem", error)), code="invalid_input")


def refused(error: Exception, what: str) -> Refusal:
    """Return how a client is told of an error; what it is about is for the log, without a traceback."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, JournalError):
        _log.error("%s: %s", what, error)
        message = "the journal cannot be read or written now; the server's log says why"
        return Refusal(503, message, code="journal_unavailable")
    if isinstance(error, AgentflowError):
        _log.error("%s: %s", what, error)
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.error("%s: %r (%s:%s)", what, error, place.filename, place.lineno)
    message = "the server failed here; its log says where"
    return Refusal(500, message, code="internal_error", is_final=True)


def not_carried_out(status: str, run: str) -> Refusal:
    """Return the refusal to wait for a run that goes on nowhere here."""
    message = f"the run is {status} and this server does not carry it out; start it again to go on"
    return Refusal(409, message, code="run_not_under_way", is_final=True, run=run)


def told(failure: Failure, run: str) -> dict[str, str]:
    """Return a recorded failure as clients may know it."""
    if failure.name in _TELLING_NAMES:
        message = " ".join(failure.message.split())[:MOST_TOLD]
    elif failure.name == CodeChangedError.__name__:
        message = "the flow has changed since the run began"
    else:
        message = f"the flow failed; `agentflow show {run}` says where, on the server's machine"
    return {"type": failure.name, "message": message}


def run_failed(error: dict[str, str], run: str) -> Refusal:
    """Return how a chat is told that its run has failed: asking again would pay again."""
    is_budget = error["type"] == BudgetExceededError.__name__
    status, code = (422, "budget_exceeded") if is_budget else (500, "run_failed")
    message = f"{error['type']}: {error['message']}"
    return Refusal(status, message, code=code, is_final=True, run=run)


def _kind(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
