"""Who is let in."""

import socket
from pathlib import Path

import openai
import pytest

from agentflow.listening import ServingError
from agentflow.recurrent.server.guard import MAX_BODY_BYTES
from agentflow.recurrent.server.service import Service
from agentflow.recurrent.server.serving import serving
from tests.agentflow.recurrent.server.conftest import NAME, Serve, Served

JSON = {"content-type": "application/json"}
HOSTILE = [
    ({"host": "evil.example"}, 400),
    ({"host": "evil.example:80"}, 400),
    ({"host": "127.0.0.1.evil.example"}, 400),
    ({"host": ""}, 400),
    ({"origin": "https://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://localhost:1"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), HOSTILE)
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/metrics"])
def test_another_page_cannot_reach_it(
    server: Served, headers: dict[str, str], status: int, path: str
) -> None:
    reply = server.http.get(path, headers=headers)
    assert reply.status_code == status
    assert "access-control-allow-origin" not in reply.headers


def test_a_form_of_another_page_is_not_obeyed(server: Served) -> None:
    body = b'{"model": "small", "prompt": "a"}'
    requests = server.engine.totals.requests
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        reply = server.http.post("/v1/completions", content=body, headers={"content-type": kind})
        assert reply.status_code == 415
        assert "JSON" in reply.json()["error"]["message"]
    assert server.engine.totals.requests == requests


def test_a_name_of_this_machine_is_good_whatever_the_port(server: Served) -> None:
    for host in ("localhost", "localhost:9999", "127.0.0.1:1", "[::1]:80", "LOCALHOST:80"):
        assert server.http.get("/health", headers={"host": host}).status_code == 200


def test_a_body_beyond_the_limit_is_not_read(server: Served) -> None:
    host, port = server.origin.removeprefix("http://").split(":")
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    told = f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
    untold = b"Transfer-Encoding: chunked\r\n\r\n" + chunk * (MAX_BODY_BYTES // 2**20)
    for rest in (told, untold + b"1\r\n \r\n"):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + rest)
            assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_without_the_right_key_nothing_is_told_but_health(serve: Serve) -> None:
    server = serve(key="open sesame")
    assert [one.id for one in server.client.models.list()] == [NAME]
    for sent in ({}, {"authorization": "Basic b3Blbg=="}, {"authorization": "Bearer open sesam"}):
        for path in ("/v1/models", "/metrics", "/v1/nothing"):
            reply = server.http.get(path, headers=sent)
            assert reply.status_code == 401, path
            assert "open sesame" not in reply.text
    assert server.http.get("/health").status_code == 200
    wrong = openai.OpenAI(base_url=server.url, api_key="wrong", max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError) as refused:
        wrong.models.list()
    assert refused.value.code == "invalid_api_key"


def test_other_machines_are_let_in_only_with_a_key() -> None:
    service = Service(NAME)
    with (
        pytest.raises(ServingError, match="without a key"),
        serving(service, host="0.0.0.0", port=0),
    ):
        pass
    with serving(service, host="0.0.0.0", port=0, api_key="k") as server:
        assert server.is_open


def test_a_taken_port_and_a_foreign_address_are_said_in_a_line() -> None:
    service = Service(NAME)
    with serving(service, host="127.0.0.1", port=0) as first:
        port = int(first.origin.rpartition(":")[2])
        with (
            pytest.raises(ServingError, match="in use"),
            serving(service, host="127.0.0.1", port=port),
        ):
            pass
    with (
        pytest.raises(ServingError, match="no such address"),
        serving(service, host="203.0.113.1", port=0),
    ):
        pass


def test_while_the_model_loads_it_says_so(small: Path) -> None:
    service = Service(NAME)
    with (
        serving(service, host="127.0.0.1", port=0) as server,
        openai.OpenAI(base_url=f"{server.origin}/v1", api_key="none", max_retries=0) as client,
    ):
        with pytest.raises(openai.InternalServerError, match="loaded") as refused:
            client.completions.create(model=NAME, prompt="a")
        assert refused.value.status_code == 503
        assert "retry-after" in refused.value.response.headers
