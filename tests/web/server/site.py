"""A viewer that is really served, and requests as anybody could send them.

Owns raw requests: `http.client` sends what it is told, a browser's library would tidy it up.
"""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agentflow_web.server.serving import Serving, serve_in_thread

TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Reply:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The message of an error."""
        text: str = self.json["error"]["message"]
        return text


@dataclass(frozen=True)
class Site:
    """A served viewer; every request is a connection of its own."""

    serving: Serving

    @property
    def host(self) -> str:
        return urlsplit(self.serving.origin).netloc

    def connect(self) -> socket.socket:
        """Return a connection, for what no client would send."""
        address = urlsplit(self.serving.origin)
        return socket.create_connection((str(address.hostname), int(address.port or 0)), TIMEOUT_S)

    def raw(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """Send exactly these headers."""
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def headers(self, **changes: str | None) -> dict[str, str]:
        """Return what the page sends with a call, some of it changed or left out."""
        given: dict[str, str | None] = {
            "Host": self.host,
            "Authorization": f"Bearer {self.serving.token}",
            "Origin": self.serving.origin,
            "Content-Type": "application/json",
            "Sec-Fetch-Site": "same-origin",
        }
        changed = {name.replace("_", "-"): value for name, value in changes.items()}
        return {name: value for name, value in (given | changed).items() if value is not None}

    def get(self, path: str, **changes: str | None) -> Reply:
        """Ask for something as the page does."""
        return self.raw("GET", path, self.headers(Content_Type=None, Origin=None, **changes))

    def send(self, method: str, path: str, value: Any, **changes: str | None) -> Reply:
        """Send a value as the page does."""
        body = json.dumps(value).encode()
        headers = self.headers(**changes) | {"Content-Length": str(len(body))}
        return self.raw(method, path, headers, body)

    def post(self, path: str, value: Any, **changes: str | None) -> Reply:
        """Post a value as the page does."""
        return self.send("POST", path, value, **changes)


@contextmanager
def site(journal: str | None, **options: Any) -> Iterator[Site]:
    """Serve a journal."""
    with serve_in_thread(journal, **options) as serving:
        yield Site(serving)
