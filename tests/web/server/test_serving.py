"""Serving begins at an address, and ends with everything it began."""

import socket
import threading
from pathlib import Path

import pytest
from agentflow_web.server.serving import serve_in_thread

from agentflow.errors import JournalError
from agentflow.listening import ServingError
from tests.web.server.conftest import RUN
from tests.web.server.site import TIMEOUT_S, Site, site


def test_every_viewer_has_a_token_and_a_port_of_its_own(greeted: str) -> None:
    with site(greeted) as one, site(greeted) as other:
        assert one.serving.token != other.serving.token
        assert one.host != other.host
        assert other.get("/api/runs", Authorization=f"Bearer {one.serving.token}").status == 401


def test_the_address_carries_the_token_where_no_server_sees_it(served: Site) -> None:
    serving = served.serving
    assert serving.address == f"{serving.origin}/#t={serving.token}"
    assert serving.address_of("a") == f"{serving.address}&run=a"
    assert serving.token not in repr(serving)
    assert serving.origin.startswith("http://127.0.0.1:")


def test_nothing_is_left_when_it_has_ended(greeted: str) -> None:
    before = set(threading.enumerate())
    with site(greeted) as found:
        assert found.get("/api/runs").status == 200
        begun = set(threading.enumerate()) - before
    assert found.serving.thread in begun
    for thread in begun:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        found.get("/api/runs")


def test_it_ends_though_somebody_is_still_reading(greeted: str) -> None:
    with site(greeted) as found, found.connect() as connection:
        found.serving.live.begin(RUN)
        lines = [f"GET /api/runs/{RUN}/live/1 HTTP/1.1", *map(": ".join, found.headers().items())]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_port_in_use_is_named(greeted: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ServingError, match=rf"127.0.0.1:{port}: the port is in use"),
            serve_in_thread(greeted, port=port),
        ):
            pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", ""])
def test_a_host_that_is_not_ours_is_refused(greeted: str, host: str) -> None:
    with pytest.raises(ServingError), serve_in_thread(greeted, host=host):
        pass


def test_a_journal_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(JournalError), serve_in_thread(str(path)):
        pass
    assert not path.exists()


def test_whoever_lets_others_in_still_has_a_list_of_hosts(greeted: str) -> None:
    with site(greeted, host="0.0.0.0") as found:
        assert found.serving.is_open
        port = found.host.rpartition(":")[2]
        assert found.get("/api/runs", Host=f"{socket.gethostname()}:{port}").status == 200
        assert found.get("/api/runs", Host=f"evil.example:{port}").status == 400
        assert found.get("/api/runs", Authorization=None).status == 401
