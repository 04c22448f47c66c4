"""Stand before everything the viewer serves, and let in only its own page.

Owns what a request must have before any route is looked at: a host name we listen under, the token,
and for what changes something an origin, a content type and a size. Owns the headers of every reply.
Knows no route and no run. There are no cookies and no CORS headers: another page can neither read an
answer nor send a request that is obeyed.
"""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from agentflow.guarding import (
    READING,
    NotLetInError,
    again,
    has_credentials,
    is_from_sites,
    is_json,
    read_body,
    values,
    with_headers,
)
from agentflow_web.server.replies import Refusal, failure

MAX_BODY_BYTES = 4 * 2**20
BODY_TIMEOUT_S = 30.0
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}
UNLESS_SAID = {b"cache-control": b"no-store"}
KINDS = {408: "SlowBody", 413: "BodyTooLarge"}


class Guard:
    """An ASGI application around another one.

    Args:
        app: What is guarded.
        hosts: The values of `Host` that are ours, with the port.
        token: What `Authorization: Bearer` must carry below `/api`.
        max_body_bytes: The longest body that is read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        token: str,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._credentials = f"Bearer {token}".encode()
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            return  # nothing else is spoken here
        replying = with_headers(send, HEADERS, UNLESS_SAID)
        try:
            received = await self._let_in(scope, receive)
        except Refusal as refusal:
            await failure(refusal.status, refusal.kind, str(refusal))(scope, receive, replying)
            return
        await self._app(scope, received, replying)

    async def _let_in(self, scope: Scope, receive: Receive) -> Receive:
        host = self._check_host(scope)
        path: str = scope["path"]
        if path == "/api" or path.startswith("/api/"):
            self._check_token(scope)
            self._check_site(scope)
        if scope["method"] in READING:
            return receive
        _check_origin(scope, host)
        _check_content_type(scope)
        return again(await self._body(scope, receive), receive)

    def _check_host(self, scope: Scope) -> str:
        given = list(values(scope, b"host"))
        if len(given) != 1 or given[0].lower() not in self._hosts:
            raise Refusal(400, "UnknownHost", "this is not a host name that the viewer answers to")
        return given[0].lower()

    def _check_token(self, scope: Scope) -> None:
        if not has_credentials(scope, self._credentials):
            problem = (
                "the token is missing or wrong: open the address that `agentflow view` printed"
            )
            raise Refusal(401, "WrongToken", problem)

    def _check_site(self, scope: Scope) -> None:
        """Refuse what a browser says another page has asked for."""
        allowed = ("same-origin", "none") if scope["method"] in READING else ("same-origin",)
        if not is_from_sites(scope, allowed):
            raise Refusal(403, "ForeignOrigin", "another page may not ask for this")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        most = self._max_body_bytes
        try:
            return await read_body(scope, receive, most_bytes=most, timeout_s=BODY_TIMEOUT_S)
        except NotLetInError as error:
            raise Refusal(error.status, KINDS[error.status], str(error)) from error


def _check_origin(scope: Scope, host: str) -> None:
    given = [value.lower() for value in values(scope, b"origin")]
    if given != [f"http://{host}"]:
        raise Refusal(403, "ForeignOrigin", "only the viewer's own page may change something")


def _check_content_type(scope: Scope) -> None:
    if not is_json(scope):
        raise Refusal(415, "WrongContentType", "send JSON, as content type application/json")
