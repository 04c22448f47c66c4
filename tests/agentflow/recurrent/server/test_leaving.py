"""Clients that leave, a server that is full, and one that ends."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests import warm
from tests.agentflow.recurrent.server.conftest import NAME, Serve, Served

LONG: dict[str, Any] = {
    "model": NAME,
    "prompt": "Go on:",
    "max_tokens": 20_000,
    "extra_body": {"regex": "[a-c]{20000}"},
}


def metric(http: httpx2.Client, name: str) -> float:
    found = re.search(rf"^agentflow_recurrent_{name} ([0-9.]+)$", http.get("/metrics").text, re.M)
    assert found, name
    return float(found[1])


def test_a_client_that_leaves_a_stream_frees_its_row(server: Served) -> None:
    cancelled = server.engine.totals.cancelled
    with server.client.completions.create(**LONG, stream=True) as stream:
        assert next(iter(stream)).choices
    while metric(server.http, "cancelled_total") < cancelled + 1:
        pass
    server.wait_idle()


def test_a_client_that_leaves_before_its_whole_answer_frees_its_rows(server: Served) -> None:
    cancelled = server.engine.totals.cancelled
    host, port = server.origin.removeprefix("http://").split(":")
    body = b'{"model": "small", "prompt": "Go on:", "n": 3, "regex": "[a-c]{20000}", "max_tokens": 20000}'
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        while metric(server.http, "running") < 3:
            pass
    while metric(server.http, "cancelled_total") < cancelled + 3:
        pass
    server.wait_idle()
    while metric(server.http, "http_requests_active"):
        pass
    assert metric(server.http, "http_disconnected_total") >= 1


def test_a_full_engine_asks_to_come_back_and_takes_more_later(serve: Serve) -> None:
    server = serve(most_rows=1, most_waiting=1)
    with server.client.completions.create(**LONG, stream=True) as running:
        next(iter(running))
        with server.client.completions.create(**LONG, stream=True):
            while metric(server.http, "waiting") < 1:
                pass
            with pytest.raises(openai.RateLimitError) as refused:
                server.client.completions.create(model=NAME, prompt="a")
            assert int(refused.value.response.headers["retry-after"]) >= 1
            assert refused.value.code == "engine_full"
    server.wait_idle()
    assert server.client.completions.create(model=NAME, prompt="a", max_tokens=1).choices


def test_of_several_replies_none_goes_on_when_one_is_refused(serve: Serve) -> None:
    server = serve(most_rows=1, most_waiting=2)
    with server.client.completions.create(**LONG, stream=True) as running:
        next(iter(running))
        with pytest.raises(openai.RateLimitError):
            server.client.completions.create(**LONG, n=5)
        next(iter(running))
    server.wait_idle()
    assert server.engine.totals.running == server.engine.totals.waiting == 0


def test_what_goes_wrong_in_a_stream_is_raised_by_the_client(serve: Serve) -> None:
    server = serve()
    with server.client.completions.create(**LONG, stream=True) as stream:
        pieces = iter(stream)
        next(pieces)
        server.service.stop()
        with pytest.raises(openai.APIError, match="stopping"):
            list(pieces)
    with pytest.raises(openai.InternalServerError, match="stopping"):
        server.client.completions.create(model=NAME, prompt="a")
    assert server.http.get("/health").status_code == 503


@contextmanager
def command(folder: Path, *options: str, **env: str) -> Iterator[tuple[warm.Process, str]]:
    """Run `agentflow serve`; the second is its address."""
    words = ["-m", "agentflow.cli.main", "serve", str(folder), "--port", "0", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | env
    with warm.Process(words, env=environment, kind="libraries") as process:
        yield process, process.stdout.readline().strip()


def wait_draining(http: httpx2.Client) -> None:
    while http.get("/health").json()["status"] != "draining":
        pass


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_under_way_finish_and_takes_nothing_new(
    small: Path, number: signal.Signals
) -> None:
    with (
        command(small, "--drain", "100") as (process, url),
        openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client,
        httpx2.Client(base_url=url.removesuffix("/v1")) as http,
    ):
        more = {"max_tokens": 300, "extra_body": {"regex": "[a-c]{300}"}}
        stream = client.completions.create(**(LONG | more), stream=True)
        pieces = iter(stream)
        text = next(pieces).choices[0].text
        process.send_signal(number)
        wait_draining(http)
        with pytest.raises(openai.InternalServerError) as refused:
            client.completions.create(model=NAME, prompt="a")
        assert refused.value.status_code == 503
        assert refused.value.code == "server_stopping"
        text += "".join(piece.choices[0].text for piece in pieces)
        assert re.fullmatch("[a-c]{300}", text)
        _out, errors = process.communicate(timeout=60)
        assert process.returncode == 0
        assert errors.endswith("ended\n")
        assert f"model: {url}#{NAME}" in errors
        assert "on cpu" in errors


@pytest.mark.slow
def test_a_second_signal_ends_at_once(small: Path) -> None:
    with (
        command(small, "--drain", "100") as (process, url),
        openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client,
        httpx2.Client(base_url=url.removesuffix("/v1")) as http,
    ):
        stream = client.completions.create(**LONG, stream=True)
        next(iter(stream))
        process.send_signal(signal.SIGTERM)
        wait_draining(http)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(openai.APIError, match="stopping"):
            list(stream)
        _out, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "cut off" in errors


@pytest.mark.slow
def test_a_drain_that_takes_too_long_is_cut_off(small: Path) -> None:
    with (
        command(small, "--drain", "0.2") as (process, url),
        openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client,
    ):
        stream = client.completions.create(**LONG, stream=True)
        next(iter(stream))
        process.send_signal(signal.SIGTERM)
        with pytest.raises(openai.APIError, match="stopping"):
            list(stream)
        _out, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "cut off" in errors
