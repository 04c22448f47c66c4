"""The guard of this server: `agentflow.guarding`, with refusals that OpenAI's clients read.

Owns the numbers. Knows no route but `/health`.
"""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from agentflow import guarding
from agentflow.guarding import LOCAL_NAMES, NotLetInError
from agentflow.recurrent.server.refusals import Refusal

__all__ = ["LOCAL_NAMES", "MAX_BODY_BYTES", "Guard"]

MAX_BODY_BYTES = 16 * 2**20
OPEN_PATH = "/health"  # what watches a server has no key
TOLD_CODES = ("unknown_host", "foreign_origin", "invalid_api_key")


class Guard(guarding.Guard):
    """An ASGI application around another one; see `agentflow.guarding.Guard`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        api_key: str | None,
        names: frozenset[str] | None = LOCAL_NAMES,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        super().__init__(
            app,
            refused=_refused,
            api_key=api_key,
            names=names,
            open_path=OPEN_PATH,
            max_body_bytes=max_body_bytes,
        )


def _refused(error: NotLetInError) -> ASGIApp:
    code = error.code if error.code in TOLD_CODES else None
    refusal = Refusal(error.status, str(error), code=code)
    return JSONResponse(refusal.body, refusal.status, refusal.headers)
