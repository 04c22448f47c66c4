"""The files of the page: three, by name, from the package.

Owns their list and their ETags. No path of a request ever reaches a file system.
"""

from dataclasses import dataclass
from gzip import compress
from hashlib import sha256
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from agentflow_web.server.packing import takes_gzip
from agentflow_web.sharing.build import build_folder

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/app.css": ("app.css", "text/css; charset=utf-8"),
}
MISSING = (
    "the viewer's build is missing: web/agentflow_web/static has no {name}; "
    "build it with `npm ci && npm run build` in web/frontend\n"
)


@dataclass(frozen=True)
class StaticFiles:
    """The committed build; read anew for each request, so a fresh build needs no restart."""

    folder: Traversable

    @classmethod
    def packaged(cls) -> "StaticFiles":
        """Return those that came with the package."""
        return cls(build_folder())

    def reply(self, request: Request) -> Response:
        """Return the file that a request of one of `FILES` names."""
        name, kind = FILES[request.scope["path"]]
        try:
            data = (self.folder / name).read_bytes()
        except OSError:
            return PlainTextResponse(MISSING.format(name=name), 503)
        headers = {"etag": f'"{sha256(data).hexdigest()[:32]}"', "cache-control": "no-cache"}
        if is_known(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        if takes_gzip(request):
            # Packed once for a page that is kept: worth the slowest level, unlike what changes.
            data = compress(data, 9)
            headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
        return Response(data, headers=headers, media_type=kind)


def is_known(request: Request, etag: str) -> bool:
    """Whether the client has what it asks for already."""
    given = [known.strip() for known in request.headers.get("if-none-match", "").split(",")]
    return etag in given or f"W/{etag}" in given
