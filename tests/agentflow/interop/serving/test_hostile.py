"""Whatever is sent, the server stands, and tells nothing that is nobody's business."""

import json
import socket
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx2
import pytest

from tests.agentflow.interop.serving.conftest import JSON, Serve, Site

BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"1",
    b'"text"',
    b"\xff\xfe",
    b'{"flow": "echo", "input": NaN}',
    b'{"flow": "echo", "input": {"text": "\\ud800"}}',
    b'{"flow": "echo", "input": {"text": 1e999}}',
    b"[" * 100_000,
    b'{"flow": "echo", "input": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    b'{"flow": 1}',
    b'{"flow": "echo"}',
    b'{"flow": "echo", "input": {"text": {"$": "dict", "v": [[[], 1]]}}}',
    b'{"flow": "echo", "input": {"text": "a"}, "extra": 1}',
    b'{"model": "echo"}',
    b'{"model": "echo", "messages": []}',
    b'{"model": "echo", "messages": "hi"}',
    b'{"model": "echo", "messages": [{"role": "user"}]}',
    b'{"model": "echo", "messages": [{"role": "root", "content": "a"}]}',
    b'{"model": "echo", "messages": [{"role": "assistant", "content": "a"}]}',
    b'{"model": "echo", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
    b'{"model": "echo", "stream": 1, "messages": [{"role": "user", "content": "a"}]}',
    b'{"model": "echo", "ignored": [], "messages": [{"role": "user", "content": "a"}]}',
    b'{"model": "echo", "surprise": 1, "messages": [{"role": "user", "content": "a"}]}',
]


def test_no_body_breaks_it_and_none_starts_a_run(serve: Serve) -> None:
    site = serve("echo")
    for path in ("/runs", "/v1/chat/completions"):
        for body in BODIES:
            reply = site.http.post(path, content=body, headers=JSON)
            assert reply.status_code == 400, (path, body[:80], reply.text)
            error = reply.json()["error"]
            assert error["type"] == "invalid_request_error"
            assert len(error["message"]) < 700
            assert "Traceback" not in reply.text
    assert site.http.get("/runs").json()["data"] == []


def test_plain_data_that_looks_like_our_own_tags_is_plain_data(serve: Serve) -> None:
    site = serve("plan")
    inputs = {"a": {"$": "dict", "v": [[[], 1]]}, "b": {"$": "nothing"}}
    run = site.start("plan", {"task": {"goal": "g", "inputs": inputs}})["id"]
    assert site.wait(run)["answer"] == "g /  / ['a', 'b']"


@pytest.mark.parametrize("path", ["/v1/models", "/runs", "/flows", "/nothing", "/v1/../runs"])
def test_without_the_key_nothing_is_told_but_health(serve: Serve, path: str) -> None:
    site = serve("echo", "--api-key-env=FLOW_KEY")
    assert site.key == "open sesame"
    assert "sesame" not in "".join(site.told)
    for sent in ({}, {"authorization": "Bearer open"}, {"authorization": "Basic b3Blbg=="}):
        reply = httpx2.get(f"{site.origin}{path}", headers=sent)
        assert reply.status_code == 401
        assert "sesame" not in reply.text
    assert httpx2.get(f"{site.origin}/health").status_code == 200


def test_another_page_cannot_reach_it(serve: Serve) -> None:
    site = serve("echo")
    for headers, status in (
        ({"host": "evil.example"}, 400),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ):
        for path in ("/runs", "/health"):
            reply = site.http.get(path, headers=headers)
            assert reply.status_code == status
            assert "access-control-allow-origin" not in reply.headers
    reply = site.http.post("/runs", content=b"{}", headers={"content-type": "text/plain"})
    assert reply.status_code == 415
    assert site.http.options("/runs").status_code in (405, 415)


def test_a_body_beyond_the_limit_is_not_read(serve: Serve) -> None:
    site = serve("echo", "--max-body=1kB")
    big = b'{"flow": "echo", "input": {"text": "' + b"x" * 2000 + b'"}}'
    reply = site.http.post("/runs", content=big, headers=JSON)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")
    host, port = site.origin.removeprefix("http://").split(":")
    head = f"POST /runs HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {site.key}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + (b"100\r\n" + b" " * 256 + b"\r\n") * 5)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_no_run_is_found_by_what_is_no_id(serve: Serve) -> None:
    site = serve("echo")
    site.wait(site.start("echo", {"text": "a"})["id"])
    for run in ("last", "%25", "..", "a" * 999, "'--", "%00", "*", "0" * 18):
        for path in (f"/runs/{run}", f"/runs/{run}/events"):
            assert site.http.get(path).status_code == 404, path
        assert site.http.post(f"/runs/{run}/cancel", json={}).status_code == 404


def crowd(site: Site, count: int) -> list[httpx2.Response]:
    def start(number: int) -> httpx2.Response:
        body = {"flow": "gated", "input": {"text": str(number)}}
        return site.http.post("/runs", json=body)

    with ThreadPoolExecutor(50) as pool:
        return list(pool.map(start, range(count)))


def test_of_hundreds_at_once_as_many_are_taken_as_there_is_room_for(serve: Serve) -> None:
    site = serve("gated", "--max-runs=2", "--max-waiting=5")
    replies = crowd(site, 300)
    assert Counter(reply.status_code for reply in replies) == {202: 7, 429: 293}
    for reply in replies:
        if reply.status_code == 429:
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.json()["error"]["type"] == "rate_limit_error"
    assert site.http.get("/health").json() == {"status": "ready", "running": 2, "waiting": 5}
    site.open_gate()
    for reply in replies:
        if reply.status_code == 202:
            assert site.wait(reply.json()["id"])["status"] == "succeeded"
    assert len(site.done) == 14
    assert site.start("gated", {"text": "again"})


def test_clients_that_vanish_by_the_hundred_leave_no_run_behind(serve: Serve) -> None:
    site = serve("gated", "--max-runs=4", "--max-waiting=400")
    host, port = site.origin.removeprefix("http://").split(":")
    body = b'{"model": "gated", "stream": true, "messages": [{"role": "user", "content": "a"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {site.key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connections = [socket.create_connection((host, int(port))) for _ in range(150)]
    for connection in connections:
        connection.sendall(head.encode() + body)
    for connection in connections:
        assert connection.recv(15).startswith(b"HTTP/1.1 200")
        connection.close()
    while site.http.get("/health").json() != {"status": "ready", "running": 0, "waiting": 0}:
        pass
    runs = site.http.get("/runs?limit=200").json()["data"]
    assert Counter(run["status"] for run in runs) == {"cancelled": 150}


@pytest.mark.parametrize("flow", ["gives_up", "quits"])
def test_a_flow_that_ends_itself_ends_nobody_else(serve: Serve, flow: str) -> None:
    site = serve(flow, "gated")
    other = site.start("gated", {"text": "a"})["id"]
    site.wait_done("first a")
    body = {"model": flow, "messages": [{"role": "user", "content": "hunter2"}]}
    reply = site.http.post("/v1/chat/completions", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "run_failed")
    run = site.start(flow, {"text": "hunter2"})["id"]
    assert site.wait(run, "interrupted")["error"]["type"] in ("CancelledError", "KeyboardInterrupt")
    site.open_gate()
    assert site.wait(other)["status"] == "succeeded"
    assert "hunter2" not in "".join(site.told)


def test_a_stream_whose_journal_fails_ends_with_an_error(serve: Serve) -> None:
    site = serve("gated")
    body = {"model": "gated", "messages": [{"role": "user", "content": "a"}], "stream": True}
    with site.http.stream("POST", "/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()
        next(lines)
        site.wait_done("first a")
        with closing(sqlite3.connect(site.folder / "journal.db")) as journal:
            journal.execute("ALTER TABLE runs RENAME TO lost")
        site.open_gate()
        errors = [line for line in lines if "error" in line]
    assert json.loads(errors[-1].removeprefix("data: "))["error"]["code"] == "journal_unavailable"
    assert site.http.get("/health").status_code == 200
    assert "Traceback" not in "".join(site.told)


def test_what_another_process_carries_out_is_not_said_to_be_cancelled(serve: Serve) -> None:
    site = serve("gated")
    run = site.start("gated", {"text": "a"})["id"]
    site.wait_done("first a")
    other = serve("gated")  # of the same name, which is wrong
    reply = other.http.post(f"/runs/{run}/cancel")
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "run_elsewhere")
    assert site.run(run)["status"] == "running"
    assert site.http.post(f"/runs/{run}/cancel").json()["status"] == "cancelled"


def test_a_wrong_method_is_called_so(serve: Serve) -> None:
    reply = serve("echo").http.delete("/runs")
    assert (reply.status_code, reply.json()["error"]["code"]) == (405, "method_not_allowed")


def test_a_chat_is_not_kept_waiting_for_a_run_that_goes_on_nowhere(serve: Serve) -> None:
    site = serve("gated")
    site.start("gated", {"text": "a"}, "k")
    site.wait_done("first a")
    site.kill()
    site = serve("gated", "--no-resume-unfinished")
    body = {"model": "gated", "messages": [{"role": "user", "content": "a"}]}
    reply = site.http.post("/v1/chat/completions", json=body, headers={"idempotency-key": "k"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "run_not_under_way")
