"""A server of the protocol over HTTP that has sessions, and does wrong when it is asked to.

Its arguments: a file for the calls that it carries out, and how it refuses a session that it has forgotten: as the
protocol says (`standard`), or as official servers have done it (`told`, `loose`). It prints its address.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

CALLS = Path(sys.argv[1])
LOOSE = {"jsonrpc": "2.0", "error": {"code": -32000, "message": "Bad Request: No valid session ID"}}
REFUSALS: dict[str, tuple[int, Any]] = {
    "standard": (404, None),
    "told": (404, {"jsonrpc": "2.0", "error": {"code": -32001, "message": "gone"}, "id": None}),
    "loose": (400, LOOSE),
}
REFUSAL = REFUSALS[sys.argv[2]]
SESSIONS: set[str] = set()
NAMES = ("write", "forget", "die", "overloaded", "out_of_paper", "no_answer")
ERRORS = {"out_of_paper": (-32000, "out of paper"), "no_answer": (-32001, "the printer is off")}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method, number = asked["method"], asked.get("id")
        if method == "server/discover":
            error = {"code": -32601, "message": "Method not found"}
            self.send(400, {"jsonrpc": "2.0", "id": number, "error": error})
        elif method == "initialize":
            SESSIONS.add(session := uuid4().hex)
            info = {"name": "sessions", "version": "1"}
            version = asked["params"]["protocolVersion"]
            known = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            self.answer(number, known, session)
        elif self.headers.get("mcp-session-id") not in SESSIONS:
            self.send(*REFUSAL)
        elif number is None:
            self.send(202)
        elif method == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]
            self.answer(number, {"tools": tools})
        else:
            self.call(number, asked["params"]["name"])

    def call(self, number: Any, name: str) -> None:
        with CALLS.open("a") as file:
            file.write(json.dumps([name]) + "\n")
        if name == "die":
            os._exit(1)
        if name == "forget":
            SESSIONS.clear()
        if name == "overloaded":
            self.send(503)
        elif name in ERRORS:
            code, message = ERRORS[name]
            error = {"code": code, "message": message}
            self.send(200, {"jsonrpc": "2.0", "id": number, "error": error})
        else:
            self.answer(number, {"content": [{"type": "text", "text": f"{name} is done"}]})

    def answer(self, number: Any, result: Any, session: str = "") -> None:
        self.send(200, {"jsonrpc": "2.0", "id": number, "result": result}, session)

    def send(self, status: int, message: Any = None, session: str = "") -> None:
        body = b"" if message is None else json.dumps(message).encode()
        self.send_response(status)
        if session:
            self.send_header("mcp-session-id", session)
        if body:
            self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send(405)

    def do_DELETE(self) -> None:
        SESSIONS.discard(self.headers.get("mcp-session-id", ""))
        self.send(204)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/mcp", flush=True)
    server.serve_forever()
