"""A server of its own for a test, in a process that can be killed."""

import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests import warm

pytest.importorskip("starlette", reason="serving flows needs the extra `view`")

MAIN = (
    "import sys; from agentflow.cli import main; from agentflow.cli.serve_flow import serve_flow; "
    "main.commands = serve_flow; main.main()"
)
JSON = {"content-type": "application/json"}


class Site:
    """One server process in its folder, and clients of it."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        self.folder = folder
        self.process = warm.Process(
            ["-c", MAIN, *words, "--port", "0", "--journal", "journal.db"],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "FLOW_KEY": "open sesame"},
        )
        self.told: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        self.url = self.process.stdout.readline().strip()
        self.origin = self.url.removesuffix("/v1")
        assert self.origin, self._failed()
        self.key = self._key()
        headers = {"authorization": f"Bearer {self.key}"}
        self.http = httpx2.Client(base_url=self.origin, headers=headers, timeout=30)
        self.openai = openai.OpenAI(base_url=self.url, api_key=self.key, max_retries=2)

    def _read(self) -> None:
        for line in self.process.stderr:
            self.told.append(line)

    def _failed(self) -> str:
        self._reading.join()
        return "".join(self.told)

    def _key(self) -> str:
        while True:
            text = "".join(self.told)
            found = re.search(r"key: (\S+)\n", text)
            if found:
                return found[1]
            if "Ctrl-C" in text:
                return "open sesame"

    def start(self, flow: str, given: Any = None, key: str | None = None) -> dict[str, Any]:
        """Start a run and return what was answered."""
        headers = {} if key is None else {"idempotency-key": key}
        reply = self.http.post("/runs", json={"flow": flow, "input": given or {}}, headers=headers)
        assert reply.status_code == 202, reply.text
        return dict(reply.json())

    def run(self, run: str) -> dict[str, Any]:
        return dict(self.http.get(f"/runs/{run}").json())

    def wait(self, run: str, *statuses: str) -> dict[str, Any]:
        """Return a run when it has one of the statuses, or else when it has ended."""
        if not statuses:
            with self.http.stream("GET", f"/runs/{run}/events") as stream:
                for _line in stream.iter_lines():
                    pass
            return self.run(run)
        while (found := self.run(run))["status"] not in statuses:
            pass
        return found

    def wait_done(self, text: str) -> None:
        """Wait until a flow has done something."""
        while text not in self.done:
            pass

    def wait_recorded(self, run: str) -> None:
        """Wait until the journal has the result of a step: what is not recorded is done again."""
        with self.http.stream("GET", f"/runs/{run}/events") as stream:
            assert any(line == "event: step_finished" for line in stream.iter_lines())

    @property
    def done(self) -> list[str]:
        """What flows have done, in order, over every process of this folder."""
        file = self.folder / "done.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.partition(" ")[2] for line in lines]

    def open_gate(self, name: str = "gate") -> None:
        (self.folder / name).touch()

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it in good order; return its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait()
        self._reading.join()
        self.close()
        return code

    def close(self) -> None:
        self.http.close()
        self.openai.close()


Serve = Callable[..., Site]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server of flows; all of a test have one folder, and so one journal."""
    shutil.copy(Path(__file__).parent / "served.py", tmp_path / "served.py")
    with ExitStack() as stack:

        def start(*words: str) -> Site:
            targets = [
                word if word.endswith(".yaml") else f"served:{word}"
                for word in words
                if word[0] != "-"
            ]
            options = [word for word in words if word[0] == "-"]
            site = Site(tmp_path, (*targets, *options))
            stack.enter_context(site.process)
            stack.callback(site.kill)
            return site

        yield start


def events(lines: Iterator[str], *, count: int | None = None) -> list[dict[str, str]]:
    """Return the events of a stream: all of them, or the first ones."""
    found: list[dict[str, str]] = []
    event: dict[str, str] = {}
    for line in lines:
        if not line and event:
            found.append(event)
            event = {}
            if len(found) == count:
                break
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
    return found
