"""Stand before every route, and let in only whom it is meant for.

Owns what a request must have before any route is looked at: a host name of ours while we listen on this machine only,
no foreign web page behind it, the key when there is one, and a body of a sane size. Knows no route but `/health`.

There are no cookies and no CORS headers: a page of another site can neither read an answer nor send a request that is
obeyed, also when it has made its own name point to this machine.
"""

import secrets
from collections.abc import Iterator

import anyio
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentflow.recurrent.server.refusals import Refusal

MAX_BODY_BYTES = 16 * 2**20
BODY_TIMEOUT_S = 60.0
LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
READING = ("GET", "HEAD")
OPEN_PATH = "/health"  # what watches a server has no key
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


class Guard:
    """An ASGI application around another one.

    Args:
        app: What is guarded.
        api_key: What `Authorization: Bearer` must carry; None lets everybody in.
        names: Host names that are ours, without port; None takes any, for a server that is reached from elsewhere.
        max_body_bytes: The longest body that is read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        api_key: str | None,
        names: frozenset[str] | None = LOCAL_NAMES,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._app = app
        self._names = names
        self._credentials = None if api_key is None else f"Bearer {api_key}".encode()
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            return  # nothing else is spoken here
        replying = _with_headers(send)
        try:
            received = await self._let_in(scope, receive)
        except Refusal as refusal:
            reply = JSONResponse(refusal.body, refusal.status, refusal.headers)
            await reply(scope, receive, replying)
            return
        await self._app(scope, received, replying)

    async def _let_in(self, scope: Scope, receive: Receive) -> Receive:
        host = self._check_host(scope)
        _check_origin(scope, host)
        if scope["path"] != OPEN_PATH:
            self._check_key(scope)
        if scope["method"] in READING:
            return receive
        if scope["method"] == "POST":
            _check_content_type(scope)
        return _again(await self._body(scope, receive), receive)

    def _check_host(self, scope: Scope) -> str:
        given = list(_values(scope, b"host"))
        if len(given) == 1 and (self._names is None or _name(given[0]) in self._names):
            return given[0].lower()
        raise Refusal(
            400, "this is not a host name that the server answers to", code="unknown_host"
        )

    def _check_key(self, scope: Scope) -> None:
        if self._credentials is None:
            return
        given = [value.encode("latin-1") for value in _values(scope, b"authorization")]
        if len(given) != 1 or not secrets.compare_digest(given[0], self._credentials):
            message = "the key is missing or wrong: send it as `Authorization: Bearer KEY`"
            raise Refusal(401, message, code="invalid_api_key")

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
        raise Refusal(408, f"the body took longer than {BODY_TIMEOUT_S:.0f} s")

    def _too_large(self) -> Refusal:
        return Refusal(413, f"a body has at most {self._max_body_bytes:,} bytes")


def _check_origin(scope: Scope, host: str) -> None:
    origins = [value.lower() for value in _values(scope, b"origin")]
    sites = list(_values(scope, b"sec-fetch-site"))
    if origins not in ([], [f"http://{host}"]) or any(
        site not in ("same-origin", "none") for site in sites
    ):
        raise Refusal(403, "a page of another site may not ask for this", code="foreign_origin")


def _check_content_type(scope: Scope) -> None:
    given = [value.partition(";")[0].strip().lower() for value in _values(scope, b"content-type")]
    if given != ["application/json"]:
        raise Refusal(415, "send JSON, as content type application/json")


def _name(host: str) -> str:
    """Return a host name without its port, which a tunnel may have changed."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


def _values(scope: Scope, name: bytes) -> Iterator[str]:
    return (value.decode("latin-1") for found, value in scope["headers"] if found == name)


def _length(value: str) -> int:
    return int(value) if value.isdecimal() and len(value) < 20 else 0


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, then what comes after it."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return pending.pop() if pending else await receive()

    return received


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
        await send(message)

    return sending
