"""`agentflow view` and `--view`, as processes of their own."""

import http.client
import json
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

from tests import warm
from tests.wire import WireServer, says

PROGRAM = ["-P", "-m", "agentflow.cli.main"]
ADDRESS = re.compile(r"(http://\S+)/#t=([\w-]{40,})(?:&run=([\w-]+))?")
TIMEOUT_S = 100.0
TASK = """
agentflow: 1
name: story
goal: Say something.
planner: direct
model: openai:wire-1
journal: j.db
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": "", "HOME": str(tmp_path), "COLUMNS": "150"}


@contextmanager
def started(folder: Path, environment: dict[str, str], *arguments: str) -> Iterator[warm.Process]:
    with warm.Process([*PROGRAM, *arguments], cwd=folder, env=environment) as process:
        yield process


def address_in(stream: IO[str] | None) -> tuple[str, str, str]:
    """Return origin, token and run of the address that is printed."""
    assert stream is not None
    for line in stream:
        if found := ADDRESS.search(line):
            return found[1], found[2], found[3]
    raise AssertionError("no address was printed")


@contextmanager
def asked(origin: str, token: str, path: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=TIMEOUT_S)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    with closing(connection), connection.getresponse() as reply:
        yield reply


def told(origin: str, token: str, path: str) -> Any:
    with asked(origin, token, path) as reply:
        return json.loads(reply.read())


def refused(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    done = warm.run(*PROGRAM, *arguments, cwd=folder, env=environment)
    assert done.returncode
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def journal_of_one(tmp_path: Path) -> Path:
    script = """
        import anyio
        from agentflow import Runner, flow
        @flow
        async def greet() -> str:
            return "Hello"
        anyio.run(Runner(journal="j.db").run_as, "one", greet)
    """
    assert warm.run("-c", textwrap.dedent(script), cwd=tmp_path).returncode == 0
    return tmp_path / "j.db"


def test_the_page_is_served_until_ctrl_c(journal_of_one: Path, environment: dict[str, str]) -> None:
    folder = journal_of_one.parent
    with started(folder, environment, "view", "j.db", "--run", "last") as process:
        origin, token, run = address_in(process.stdout)
        assert run == "one"
        assert told(origin, token, "/api/runs/one")["status"] == "succeeded"
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
        assert process.stderr.read() == "Ctrl-C ends it\n"


def test_who_lets_others_in_is_told(journal_of_one: Path, environment: dict[str, str]) -> None:
    folder = journal_of_one.parent
    with started(folder, environment, "view", "j.db", "--host", "0.0.0.0") as process:
        address_in(process.stdout)
        assert "other machines can reach this page" in process.stderr.readline()


def test_a_journal_that_is_missing_is_named(tmp_path: Path, environment: dict[str, str]) -> None:
    assert "none.db" in refused(tmp_path, environment, "view", "none.db")


def test_an_unknown_run_is_named(journal_of_one: Path, environment: dict[str, str]) -> None:
    folder = journal_of_one.parent
    assert "no run x" in refused(folder, environment, "view", "j.db", "--run", "x")


def test_a_port_in_use_is_one_line(journal_of_one: Path, environment: dict[str, str]) -> None:
    folder = journal_of_one.parent
    with started(folder, environment, "view", "j.db") as process:
        port = str(urlsplit(address_in(process.stdout)[0]).port)
        said = refused(folder, environment, "view", "j.db", "--port", port)
    assert said.startswith(f"Error: cannot serve at 127.0.0.1:{port}: the port is in use")


def test_without_the_extra_the_command_that_installs_it_is_named(
    journal_of_one: Path, environment: dict[str, str]
) -> None:
    blocked = journal_of_one.parent / "blocked"
    blocked.mkdir()
    (blocked / "starlette.py").write_text("raise ModuleNotFoundError(name='starlette')")
    environment["PYTHONPATH"] = str(blocked)
    done = subprocess.run(
        [sys.executable, *PROGRAM, "view", "j.db"],
        cwd=journal_of_one.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert "pip install 'agentflow[view]'" in done.stderr


def test_a_run_is_seen_while_it_goes_on(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "task.yaml").write_text(TASK)
    with WireServer([says("Once upon", " a time", fault="hang")]) as server:
        keys = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": "sk-test"}
        with started(tmp_path, environment | keys, "run", "task.yaml", "--view") as process:
            origin, token, run = address_in(process.stderr)
            server.wait_in_flight(1)
            shown = told(origin, token, f"/api/runs/{run}")
            assert (shown["status"], shown["is_live"]) == ("running", True)
            page = told(origin, token, f"/api/runs/{run}/changes?after=0")
            step = page["types"].count("S")  # the newest: the call of the model
            with asked(origin, token, f"/api/runs/{run}/live/{step}") as stream:
                assert stream.read(16) == b"Once upon a time"
                process.send_signal(signal.SIGINT)
                assert stream.read() == b""
            assert process.wait(TIMEOUT_S) == 130


@pytest.mark.parametrize("option", [None, "--quiet"])
def test_without_a_person_the_page_ends_with_the_run(
    tmp_path: Path, environment: dict[str, str], option: str | None
) -> None:
    (tmp_path / "task.yaml").write_text(TASK)
    with WireServer([says("Once")]) as server:
        keys = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": "sk-test"}
        arguments = ["run", "task.yaml", "--view", *([option] if option else [])]
        with started(tmp_path, environment | keys, *arguments) as process:
            printed, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, said
    assert "Once" in printed
    assert ADDRESS.search(said)


def test_at_a_terminal_the_page_stays_until_ctrl_c(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "task.yaml").write_text(TASK)
    ours, theirs = pty.openpty()
    with WireServer([says("Once")]) as server, os.fdopen(ours, "rb", buffering=0) as screen:
        keys = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": "sk-test"}
        process = warm.Process(
            [*PROGRAM, "run", "task.yaml", "--view"],
            cwd=tmp_path,
            env=environment | keys | {"TERM": "dumb"},
            stdin=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        with process:
            said = b""
            while b"the page stays open until Ctrl-C" not in said:
                said += screen.read(1000)
            found = ADDRESS.search(said.decode())
            assert found
            assert told(found[1], found[2], f"/api/runs/{found[3]}")["status"] == "succeeded"
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT_S) == 0


def test_a_journal_in_memory_cannot_be_viewed(tmp_path: Path, environment: dict[str, str]) -> None:
    with started(tmp_path, environment, "view", ":memory:", "--no-browser") as process:
        _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert "in memory" in said
