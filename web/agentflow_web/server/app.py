"""The viewer as an ASGI application: routes, the page's files, and the guard in front of both.

Owns which parts there are and how they are put together. No route takes a path, and what no route knows
is a 404.
"""

from collections.abc import Collection

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from agentflow.journal.store import Store
from agentflow_web.reading.index import Indexes
from agentflow_web.server.actions import Actions
from agentflow_web.server.commands import Commands
from agentflow_web.server.endpoint import answered
from agentflow_web.server.guard import Guard
from agentflow_web.server.live import LiveRuns
from agentflow_web.server.reads import Reads
from agentflow_web.server.replies import failure
from agentflow_web.server.shares import Shares
from agentflow_web.server.static import FILES, StaticFiles
from agentflow_web.server.writes import Writes

DRY_RUNS = 2  # each is a process that imports a flow


def application(
    store: Store,
    commands: Commands,
    live: LiveRuns,
    *,
    hosts: Collection[str],
    token: str,
    static: StaticFiles | None = None,
) -> ASGIApp:
    """Return the viewer of one journal.

    Args:
        store: The journal, open; not closed here.
        commands: How to run commands on the same journal.
        live: What the runs of this process stream.
        hosts: The values of `Host` that are ours, with the port.
        token: What calls must carry.
        static: The page's files; None are those of the package.
    """
    files = static or StaticFiles.packaged()
    actions = Actions(commands=commands, dry_runs=CapacityLimiter(DRY_RUNS))

    async def page(request: Request) -> Response:
        return files.reply(request)

    routes = [
        *(Route(path, answered(page), methods=["GET"]) for path in FILES),
        *Reads(store, live, commands.folder, Indexes(store)).routes(),
        *Writes(actions).routes(),
        *Shares(store).routes(),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    app.router.redirect_slashes = False
    return Guard(app, hosts=hosts, token=token)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problems = {404: "there is nothing here", 405: "this is not done with such a request"}
    message = problems.get(error.status_code, error.detail)
    return failure(
        error.status_code, "NotFound" if error.status_code == 404 else "Refused", message
    )
