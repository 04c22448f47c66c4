"""Stand before every route of a server of ours, and let in only whom it is meant for.

Owns what a request is looked at for before any route is: its host name, the page behind it, its key, and the kind, size
and pace of its body; and one guard that puts these together for servers that programs talk to. Knows no route and no
server; in which form a refusal is told is its owner's. Needs no package beyond the typed names of ASGI.

There are no cookies and no CORS headers: a page of another site can neither read an answer nor send a request that is
obeyed, also when it has made its own name point to this machine.
"""

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
READING = ("GET", "HEAD")
HEADERS = {b"x-content-type-options": b"nosniff", b"cache-control": b"no-store"}
BODY_TIMEOUT_S = 60.0


class NotLetInError(Exception):
    """A request that is not let in: a status, a word for programs, a line for people."""

    def __init__(self, status: int, code: str, problem: str) -> None:
        self.status, self.code = status, code
        super().__init__(problem)


class Guard:
    """An ASGI application around another one, for programs that send a key.

    Args:
        app: What is guarded.
        refused: Returns how a refusal is told.
        api_key: What `Authorization: Bearer` must carry; None lets everybody in.
        names: Host names that are ours, without port; None takes any, for a server that is reached from elsewhere.
        open_path: What needs no key, for what watches the server.
        max_body_bytes: The longest body that is read.
    """

    def __init__(
        self,
        app: "ASGIApp",
        *,
        refused: Callable[[NotLetInError], "ASGIApp"],
        api_key: str | None,
        names: frozenset[str] | None,
        open_path: str,
        max_body_bytes: int,
    ) -> None:
        self._app, self._refused, self._names = app, refused, names
        self._credentials = None if api_key is None else f"Bearer {api_key}".encode()
        self._open_path, self._max_body_bytes = open_path, max_body_bytes

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            return  # nothing else is spoken here
        replying = with_headers(send, HEADERS)
        try:
            received = await self._let_in(scope, receive)
        except NotLetInError as error:
            await self._refused(error)(scope, receive, replying)
            return
        await self._app(scope, received, replying)

    async def _let_in(self, scope: "Scope", receive: "Receive") -> "Receive":
        host = self._check_host(scope)
        _check_page(scope, host)
        if scope["path"] != self._open_path:
            self._check_key(scope)
        if scope["method"] in READING:
            return receive
        if scope["method"] == "POST" and has_body(scope) and not is_json(scope):
            raise NotLetInError(
                415, "wrong_content_type", "send JSON, as content type application/json"
            )
        body = await read_body(
            scope, receive, most_bytes=self._max_body_bytes, timeout_s=BODY_TIMEOUT_S
        )
        return again(body, receive)

    def _check_host(self, scope: "Scope") -> str:
        given = list(values(scope, b"host"))
        if len(given) == 1 and (self._names is None or _name(given[0]) in self._names):
            return given[0].lower()
        problem = "this is not a host name that the server answers to"
        raise NotLetInError(400, "unknown_host", problem)

    def _check_key(self, scope: "Scope") -> None:
        if self._credentials is not None and not has_credentials(scope, self._credentials):
            problem = "the key is missing or wrong: send it as `Authorization: Bearer KEY`"
            raise NotLetInError(401, "invalid_api_key", problem)


def values(scope: "Scope", name: bytes) -> Iterator[str]:
    """Return what a request has under a header's name."""
    return (value.decode("latin-1") for found, value in scope["headers"] if found == name)


def has_credentials(scope: "Scope", credentials: bytes) -> bool:
    """Return whether a request carries them, in a time that tells nothing of them."""
    given = [value.encode("latin-1") for value in values(scope, b"authorization")]
    return len(given) == 1 and secrets.compare_digest(given[0], credentials)


def has_body(scope: "Scope") -> bool:
    """Return whether a body is announced; a request without one says nothing that could be misread."""
    lengths = list(values(scope, b"content-length"))
    return lengths not in ([], ["0"]) or any(values(scope, b"transfer-encoding"))


def is_json(scope: "Scope") -> bool:
    """Return whether a body is said to be JSON; a form of another page cannot say so."""
    given = [value.partition(";")[0].strip().lower() for value in values(scope, b"content-type")]
    return given == ["application/json"]


def is_from_sites(scope: "Scope", sites: Collection[str]) -> bool:
    """Return whether a browser, if it is one, says that a page of one of `sites` has asked."""
    return all(site in sites for site in values(scope, b"sec-fetch-site"))


async def read_body(
    scope: "Scope", receive: "Receive", *, most_bytes: int, timeout_s: float
) -> bytes:
    """Return the whole body, so that nothing behind needs to count.

    Raises:
        NotLetInError: It is too long, or comes too slowly.
    """
    parts: list[bytes] = []
    left = most_bytes
    if any(_length(value) > left for value in values(scope, b"content-length")):
        raise _too_large(most_bytes)
    with anyio.move_on_after(timeout_s):
        while True:
            message = await receive()
            part: bytes = message.get("body", b"")
            left -= len(part)
            if left < 0:
                raise _too_large(most_bytes)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)
    raise NotLetInError(408, "slow_body", f"the body took longer than {timeout_s:.0f} s")


def again(body: bytes, receive: "Receive") -> "Receive":
    """Return a `receive` that gives a body that was read already, then what comes after it."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> "Message":
        return pending.pop() if pending else await receive()

    return received


async def gone(receive: "Receive") -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def with_headers(
    send: "Send", headers: Mapping[bytes, bytes], unless_said: Mapping[bytes, bytes] | None = None
) -> "Send":
    """Return a `send` that puts `headers` on every answer, and others where it does not say its own."""

    async def sending(message: "Message") -> None:
        if message["type"] == "http.response.start":
            given = [pair for pair in message.get("headers", ()) if pair[0].lower() not in headers]
            names = {name.lower() for name, _ in given}
            missing = [pair for pair in (unless_said or {}).items() if pair[0] not in names]
            message = {**message, "headers": [*given, *headers.items(), *missing]}
        await send(message)

    return sending


def _check_page(scope: "Scope", host: str) -> None:
    origins = [value.lower() for value in values(scope, b"origin")]
    if origins not in ([], [f"http://{host}"]) or not is_from_sites(scope, ("same-origin", "none")):
        raise NotLetInError(403, "foreign_origin", "a page of another site may not ask for this")


def _name(host: str) -> str:
    """Return a host name without its port, which a tunnel may have changed."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


def _length(value: str) -> int:
    return int(value) if value.isdecimal() and len(value) < 20 else 0


def _too_large(most_bytes: int) -> NotLetInError:
    return NotLetInError(413, "body_too_large", f"a body has at most {most_bytes:,} bytes")
