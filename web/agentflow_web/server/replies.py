"""What the viewer's server says: JSON, and errors as JSON.

Owns the envelope of every reply and which error has which status. A reply never holds a traceback.
"""

import json
from typing import Any

from starlette.responses import Response

from agentflow.errors import AgentflowError, JournalError, RunBusyError, UnknownRunError

VERSION = 1


class Refusal(Exception):  # noqa: N818 - it answers a request, it is no fault
    """A request that is not obeyed: status, a word for programs, a line for people."""

    def __init__(self, status: int, kind: str, problem: str) -> None:
        self.status, self.kind = status, kind
        super().__init__(problem)


def reply(value: dict[str, Any], status: int = 200) -> Response:
    """Return plain data as a reply."""
    text = json.dumps({"v": VERSION} | value, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate may come from a model; no UTF-8 has it, but an escape of JSON has.
    data = text.encode("utf-8", errors="backslashreplace")
    return Response(data, status, media_type="application/json")


def failure(status: int, kind: str, message: str) -> Response:
    """Return an error as a reply."""
    return reply({"error": {"type": kind, "message": message}}, status)


def failed(error: AgentflowError) -> Response:
    """Return one of our errors as a reply."""
    return failure(_status(error), type(error).__name__, str(error))


def bad(parameter: str, problem: str) -> Refusal:
    """Return the refusal of a parameter, by its name."""
    return Refusal(400, "BadParameter", f"{parameter}: {problem}")


def _status(error: AgentflowError) -> int:
    match error:
        case UnknownRunError():
            return 404
        case RunBusyError():
            return 409
        case JournalError():
            return 503
        case _:
            return 400
