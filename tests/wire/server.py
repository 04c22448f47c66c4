"""A scripted HTTP server on 127.0.0.1 in a thread of its own.

Owns the sockets, the order of answers and the record of requests. `encodings` owns the events.
The server counts requests under way, and notices a client that hangs up while it waits.
"""

import json
import select
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.wire.encodings import Event, anthropic_events, chat_events, responses_events
from tests.wire.script import Api, Scripted, Seen, fails

APIS: dict[str, Api] = {
    "/v1/responses": "responses",
    "/v1/chat/completions": "chat",
    "/v1/messages": "anthropic",
}
ENCODINGS = {"responses": responses_events, "chat": chat_events, "anthropic": anthropic_events}
PATIENCE_S = 20.0  # a test that waits longer is stuck
Answers = Iterable[Scripted] | Callable[[Seen], Scripted]


class WireServer:
    """Answers requests with a script: a list, in order, or a function of the request."""

    def __init__(self, answers: Answers, *, models: tuple[str, ...] = ("wire-1",)) -> None:
        self._answer = answers if callable(answers) else _in_order(answers)
        self.models = models
        self.requests: list[Seen] = []
        self.most_in_flight = 0
        self.hang_ups = 0
        self._in_flight = 0
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = False  # closing waits for every handler: no thread is left over
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def openai_url(self) -> str:
        """The `base_url` for an OpenAI client."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """The `base_url` for an Anthropic client."""
        return self.url

    def release(self) -> None:
        """Let every held or hanging answer go on, now and later."""
        self._released.set()

    def wait_in_flight(self, count: int) -> None:
        """Wait in a thread until `count` requests are under way at once."""
        self._wait(lambda: self._in_flight >= count, f"{count} requests under way")

    def wait_hang_ups(self, count: int) -> None:
        """Wait in a thread until `count` clients have hung up on an unfinished answer."""
        self._wait(lambda: self.hang_ups >= count, f"{count} clients hung up")

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(happened, PATIENCE_S), f"never saw: {what}"

    def _began(self, seen: Seen) -> Scripted:
        with self._changed:
            self.requests.append(seen)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            self._changed.notify_all()
            return self._answer(seen)

    def _ended(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def _hung_up(self) -> None:
        with self._changed:
            self.hang_ups += 1
            self._changed.notify_all()


def _in_order(answers: Iterable[Scripted]) -> Callable[[Seen], Scripted]:
    left = iter(answers)
    return lambda _seen: next(left, fails(400, "the script has no more answers"))


def _handler(server: WireServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        wire = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    wire: WireServer
    protocol_version = "HTTP/1.1"  # chunked bodies, so that a dropped connection shows

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing: requests are in `WireServer.requests`."""

    def do_GET(self) -> None:
        """List the models."""
        if self.path != "/v1/models":
            self._send_json(404, {"error": {"message": f"no such path: {self.path}"}}, {})
            return
        listed = [
            {"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "wire"}
            for name in self.wire.models
        ]
        self._send_json(200, {"object": "list", "data": listed}, {})

    def do_POST(self) -> None:
        """Answer as scripted."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        api = APIS.get(self.path)
        if api is None or not body.get("stream"):
            problem = f"no such path, or not asked to stream: {self.path}"
            self._send_json(404, {"error": {"message": problem, "type": "not_found_error"}}, {})
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.wire._began(Seen(api, headers, body))
        try:
            self._send(answer, api, body)
        except ConnectionError:
            self.wire._hung_up()
        finally:
            self.wire._ended()
            self.close_connection = True

    def _send(self, answer: Scripted, api: Api, body: dict[str, Any]) -> None:
        if answer.hold:
            self._wait_release()
        if answer.status >= 400:
            whole = {"error": answer.error}
            self._send_json(answer.status, whole | {"type": "error"}, answer.headers)
            return
        self._start(200, "text/event-stream; charset=utf-8", answer.headers)
        for event in ENCODINGS[api](answer, body):
            self._chunk(_sse(event))
        if answer.fault is None:
            self._chunk(b"data: [DONE]\n\n" if api == "chat" else b"")
            self._end_chunks()
        else:
            self._break(answer, api)

    def _break(self, answer: Scripted, api: Api) -> None:
        name = None if api == "chat" else "error"
        match answer.fault:
            case "hang":
                self._wait_release()
            case "not_json":
                self._chunk(_raw(None if api == "chat" else "message_start", "{oops"))
            case "odd_event":
                self._chunk(_sse(ODD_EVENTS[api]))
            case "error_event":
                self._chunk(_sse((name, _error_event(answer, api))))
        if answer.fault not in ("drop", "hang"):
            self._end_chunks()

    def _wait_release(self) -> None:
        while not self.wire._released.wait(0.005):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1):
                raise ConnectionResetError

    def _send_json(self, status: int, value: dict[str, Any], headers: dict[str, str]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def _start(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in {"Content-Type": kind, **headers}.items():
            self.send_header(name, text)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        if data:  # an empty chunk would end the body
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _end_chunks(self) -> None:
        self.wfile.write(b"0\r\n\r\n")


ODD_EVENTS: dict[Api, Event] = {
    "chat": (None, {"choices": [{"delta": {"content": 5}}]}),
    "responses": ("response.output_text.delta", {"type": "response.output_text.delta", "delta": 5}),
    "anthropic": ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": 5}),
}


def _error_event(answer: Scripted, api: Api) -> dict[str, Any]:
    if api == "responses":
        return {"type": "error", "sequence_number": 9, "param": None, **_without_type(answer.error)}
    return {"type": "error", "error": answer.error}


def _without_type(error: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in error.items() if name != "type"}


def _sse(event: Event) -> bytes:
    name, data = event
    return _raw(name, json.dumps(data))


def _raw(name: str | None, data: str) -> bytes:
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {data}\n\n".encode()
