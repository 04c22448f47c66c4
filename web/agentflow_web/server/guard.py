"""Stand before everything the viewer serves, and let in only its own page.

Owns what a request must have before any route is looked at: a host name we listen under, the token,
and for what changes something an origin, a content type and a size. Owns the headers of every reply.
Knows no route and no run. There are no cookies and no CORS headers: another page can neither read an
answer nor send a request that is obeyed.
"""

import secrets
from collections.abc import Collection, Iterator

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentflow_web.server.replies import Refusal, failure

MAX_BODY_BYTES = 4 * 2**20
BODY_TIMEOUT_S = 30.0
READING = ("GET", "HEAD")
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
        replying = _with_headers(send)
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
        return _again(await self._body(scope, receive))

    def _check_host(self, scope: Scope) -> str:
        given = list(_values(scope, b"host"))
        if len(given) != 1 or given[0].lower() not in self._hosts:
            raise Refusal(400, "UnknownHost", "this is not a host name that the viewer answers to")
        return given[0].lower()

    def _check_token(self, scope: Scope) -> None:
        given = [value.encode("latin-1") for value in _values(scope, b"authorization")]
        if len(given) != 1 or not secrets.compare_digest(given[0], self._credentials):
            problem = (
                "the token is missing or wrong: open the address that `agentflow view` printed"
            )
            raise Refusal(401, "WrongToken", problem)

    def _check_site(self, scope: Scope) -> None:
        """Refuse what a browser says another page has asked for."""
        allowed = ("same-origin", "none") if scope["method"] in READING else ("same-origin",)
        if any(site not in allowed for site in _values(scope, b"sec-fetch-site")):
            raise Refusal(403, "ForeignOrigin", "another page may not ask for this")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body, so that nothing behind needs to count."""
        parts: list[bytes] = []
        left = self._max_body_bytes
        if any(_length(value) > left for value in _values(scope, b"content-length")):
            raise self._too_large()
        with anyio.move_on_after(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                part: bytes = message.get("body", b"")
                left -= len(part)
                if left < 0:
                    raise self._too_large()
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
        raise Refusal(408, "SlowBody", f"the body took longer than {BODY_TIMEOUT_S:.0f} s")

    def _too_large(self) -> Refusal:
        return Refusal(413, "BodyTooLarge", f"a body has at most {self._max_body_bytes:,} bytes")


def _check_origin(scope: Scope, host: str) -> None:
    given = [value.lower() for value in _values(scope, b"origin")]
    if given != [f"http://{host}"]:
        raise Refusal(403, "ForeignOrigin", "only the viewer's own page may change something")


def _check_content_type(scope: Scope) -> None:
    given = [value.partition(";")[0].strip().lower() for value in _values(scope, b"content-type")]
    if given != ["application/json"]:
        raise Refusal(415, "WrongContentType", "send JSON, as content type application/json")


def _values(scope: Scope, name: bytes) -> Iterator[str]:
    return (value.decode("latin-1") for found, value in scope["headers"] if found == name)


def _length(value: str) -> int:
    return int(value) if value.isdecimal() and len(value) < 20 else 0


def _again(body: bytes) -> Receive:
    """Return a `receive` that gives a body that was read already."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return pending.pop() if pending else {"type": "http.disconnect"}

    return receive


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = [pair for pair in message.get("headers", ()) if pair[0].lower() not in HEADERS]
            names = {name.lower() for name, _ in given}
            missing = [pair for pair in UNLESS_SAID.items() if pair[0] not in names]
            message = {**message, "headers": [*given, *HEADERS.items(), *missing]}
        await send(message)

    return sending
