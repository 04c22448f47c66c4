"""Say no in the form that OpenAI's clients read.

Owns which error has which status and words. A message names the field that is wrong; it never holds a traceback, a
key or a path of this machine.
"""

from typing import Any

from agentflow.errors import ContextLengthError, ModelError, ModelRequestError, RateLimitedError

FULL_WAIT_S = 1.0  # what a client is asked to wait when no better number is known


class Refusal(Exception):  # noqa: N818 - it answers a request, it is no fault
    """A request that is not obeyed: a status, a line for people, words for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.status, self.field, self.code = status, field, code
        self.retry_after_s = retry_after_s
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
        return {"error": error}

    @property
    def headers(self) -> dict[str, str]:
        """What belongs beside it."""
        if self.retry_after_s is None:
            return {}
        return {"retry-after": str(max(1, round(self.retry_after_s)))}


def bad(field: str | None, problem: str, code: str | None = None) -> Refusal:
    """Return the refusal of a field, by its name."""
    return Refusal(400, f"{field}: {problem}" if field else problem, field=field, code=code)


def unknown_model(given: str, name: str) -> Refusal:
    """Return the refusal of a model that is not served here."""
    message = f"model: there is no {given[:80]!r} here; this server has {name!r}"
    return Refusal(404, message, field="model", code="model_not_found")


def stopping() -> Refusal:
    """Return the refusal of everything by a server that is about to end."""
    message = "the server is stopping and takes no new requests"
    return Refusal(503, message, code="server_stopping", retry_after_s=FULL_WAIT_S)


def loading() -> Refusal:
    """Return the refusal of everything by a server whose model is not there yet."""
    message = "the model is still being loaded; try again soon"
    return Refusal(503, message, code="model_loading", retry_after_s=5 * FULL_WAIT_S)


def refused(error: ModelError) -> Refusal:
    """Return how one of the engine's errors is told."""
    wait_s = error.retry_after_s or FULL_WAIT_S
    match error:
        case ContextLengthError():
            return Refusal(400, error.problem, code="context_length_exceeded")
        case ModelRequestError():
            return Refusal(400, error.problem)
        case RateLimitedError():
            return Refusal(429, error.problem, code="engine_full", retry_after_s=wait_s)
        case _:
            retry_s = wait_s if error.retryable else None
            return Refusal(503 if error.retryable else 500, error.problem, retry_after_s=retry_s)


def _kind(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
