"""What every route has in common: an error becomes a reply, and never a traceback.

Owns the edge between a handler and the world. A fault of ours is a line in the server's log and the name
of its type for the client.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from agentflow.errors import AgentflowError
from agentflow_web.server.packing import packed
from agentflow_web.server.replies import Refusal, failed, failure

Handler = Callable[[Request], Awaitable[Response]]
_log = logging.getLogger("agentflow.view")


def answered(handler: Handler) -> Handler:
    """Return a handler that always has an answer."""

    async def answer(request: Request) -> Response:
        try:
            return await packed(request, await handler(request))
        except Refusal as refusal:
            return failure(refusal.status, refusal.kind, str(refusal))
        except AgentflowError as error:
            return failed(error)
        except Exception as error:  # noqa: BLE001 - the edge: a request never ends the server
            place = traceback.extract_tb(error.__traceback__)[-1]
            path = request.scope["path"]
            _log.error(
                "%s %r: %r (%s:%s)", request.method, path, error, place.filename, place.lineno
            )
            return failure(500, type(error).__name__, "the viewer failed here; its log says where")

    return answer
