"""Name what went wrong with a hosted model.

Owns the way from a status, a body or a broken stream to one typed `ModelError`. Knows no client
library. No message ever carries the key, and a server's own words are cut short.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import ValidationError

from agentflow.errors import (
    ContextLengthError,
    CredentialsError,
    MalformedReplyError,
    ModelError,
    ModelRequestError,
    ModelUnavailableError,
    RateLimitedError,
)

SHOWN_CHARS = 300
SECRET_CHARS = 8  # a shorter key is a placeholder, and replacing it would spoil ordinary words
KEY_LIKE = re.compile(r"\b(sk|key)-[\w*.\-]{6,}")
TOO_LONG = re.compile(
    r"context[ _](length|window|size|limit)|prompt is too long|maximum context|too many tokens",
    re.IGNORECASE,
)

# What a code says whatever the status: quota shares 429 with rate limits, but waiting does not refill it.
DECISIVE_CODES: dict[str, type[ModelError]] = {
    "context_length_exceeded": ContextLengthError,
    "exceed_context_size_error": ContextLengthError,
    "request_too_large": ContextLengthError,
    "insufficient_quota": ModelRequestError,
}
# What a code says in the middle of a stream, where the status is 200 already.
STREAM_CODES: dict[str, type[ModelError]] = {
    "api_error": ModelUnavailableError,
    "authentication_error": CredentialsError,
    "overloaded_error": ModelUnavailableError,
    "permission_error": CredentialsError,
    "rate_limit_error": RateLimitedError,
    "rate_limit_exceeded": RateLimitedError,
    "server_error": ModelUnavailableError,
    "timeout_error": ModelUnavailableError,
}


class Failures:
    """Builds the errors of one model; `key_env` is the variable its key came from, if any."""

    def __init__(self, model: str, *, key: str, key_env: str | None) -> None:
        self._model, self._key, self._key_env = model, key, key_env

    def __repr__(self) -> str:
        return f"Failures({self._model!r})"

    def refused(
        self, status: int | None, body: object, headers: Mapping[str, str] | None = None
    ) -> ModelError:
        """Return the error for a reply with `status`, or for an error inside a stream (None)."""
        code, message = _read_error(body)
        if status is None and code.isdecimal():
            status = int(code)
        kind = _kind(status, code, message)
        problem = self._problem(kind, status, self._shown(message or code))
        wait_s = retry_after_s(headers or {}, now=datetime.now(UTC))
        return kind(model=self._model, problem=problem, retry_after_s=wait_s, status=status)

    def unreachable(self, error: Exception) -> ModelError:
        """Return the error for a connection that failed, timed out or broke."""
        reason = error.__cause__ or error  # the clients wrap the reason in "Connection error."
        said = self._shown(str(reason)) or type(reason).__name__
        return ModelUnavailableError(
            model=self._model, problem=f"no complete reply from the server: {said}"
        )

    def malformed(self, problem: str) -> ModelError:
        """Return the error for a reply that breaks the protocol."""
        return MalformedReplyError(model=self._model, problem=problem)

    def unreadable(self, error: ValueError) -> ModelError:
        """Return the error for an event that is not JSON or not of the documented shape."""
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "event"
            return self.malformed(
                f"the stream has an event that does not fit: {place}: {first['msg']}"
            )
        return self.malformed("the stream has an event that is not JSON")

    def unsupported(self, problem: str) -> ModelError:
        """Return the error for a request that this provider cannot express."""
        return ModelRequestError(model=self._model, problem=problem)

    def _problem(self, kind: type[ModelError], status: int | None, said: str) -> str:
        place = "in the stream" if status is None else f"status {status}"
        if kind is not CredentialsError:
            return f"the server answered with an error ({place}): {said}"
        if self._key_env is None:
            return f"the server wants a key ({place}): name its variable in `api_key_env`; it says: {said}"
        return (
            f"the key in {self._key_env} was refused ({place}): check it; the server says: {said}"
        )

    def _shown(self, text: str) -> str:
        if len(self._key) >= SECRET_CHARS:
            text = text.replace(self._key, "[key]")
        text = " ".join(KEY_LIKE.sub("[key]", text).split())
        return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds a server asked to wait; None when it named none that makes sense."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # the date format of HTTP is always GMT
    return max(0.0, (moment - now).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _read_error(body: object) -> tuple[str, str]:
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        body = body["error"]
    if not isinstance(body, Mapping):
        return "", "" if body is None else str(body)
    named = [body.get("code"), body.get("type")]
    code = next((str(name) for name in named if isinstance(name, str | int)), "")
    if named[1] in DECISIVE_CODES:
        code = str(named[1])
    return code, str(body.get("message") or body.get("detail") or body.get("error") or "")


def _kind(status: int | None, code: str, message: str) -> type[ModelError]:
    if code in DECISIVE_CODES:
        return DECISIVE_CODES[code]
    if status is None:
        return STREAM_CODES.get(code, ModelRequestError if code else ModelUnavailableError)
    if status in (401, 403):
        return CredentialsError
    if status == 429:
        return RateLimitedError
    if status in (408, 409) or status >= 500:
        return ModelUnavailableError
    return ContextLengthError if status == 413 or TOO_LONG.search(message) else ModelRequestError
