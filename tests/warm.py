"""Processes of their own that need not import everything anew.

A process that a test starts spends a second to import what every other process of the tests imports, and
eight where it is torch. Here it is forked from one that has done so (`tests.warm_server`); all else about it
is real: its arguments, folder, environment, signals, memory and exit code. What a test wants to know of
the import itself (a package that is missing, a quick `--help`) it asks of a `subprocess`, started cold.

Knows nothing of what the processes do. The two kinds differ in what is imported before.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

from agentflow.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
Kind = Literal["commands", "libraries"]
MODULES: dict[Kind, list[str]] = {
    "commands": [
        *("anyio._backends._asyncio", "doctest", "psycopg", "tenacity", "uvicorn"),
        *("httpcore2", "rich._emoji_codes", "truststore"),
        *("anthropic.resources.messages", "openai.resources.responses", "genai_prices.data"),
        *("agentflow.models.openai", "agentflow.models.openai_chat", "agentflow.models.anthropic"),
        *(f"agentflow.cli.{name}" for name in COMMANDS),
        *("agentflow.engine.generate", "agentflow.journal.upkeep", "agentflow.models.retry"),
        *("agentflow_evals.cli.main", "agentflow_evals.scorers.exact", "agentflow_planners.recode"),
        *("agentflow_web.cli.export", "agentflow_web.cli.view"),
    ],
    # Nothing of agentflow: what is run imports what it names, or fails.
    "libraries": [
        *("click", "rich.live", "yaml", "jsonschema", "sqlalchemy", "networkx", "httpx2", "openai"),
        *("starlette.applications", "uvicorn", "llguidance", "safetensors.torch", "tokenizers"),
        *("torch._dynamo", "transformers.modeling_utils", "transformers.models.auto.modeling_auto"),
    ],
}


class _Server:
    """A process that forks; it ends with the tests."""

    def __init__(self, kind: Kind) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        code = f"from tests.warm_server import main; main({theirs.fileno()}, {MODULES[kind]!r})"
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        atexit.register(self.close)

    def fork(
        self, words: Sequence[str], cwd: Path, env: Mapping[str, str], descriptors: list[int]
    ) -> None:
        """Start a process that writes to the last of `descriptors` its number and how it ended."""
        request = {"words": list(words), "cwd": str(cwd), "env": dict(env)}
        text = json.dumps(request).encode()
        with self._lock:
            socket.send_fds(self._control, [len(text).to_bytes(4, "big")], descriptors)
            self._control.sendall(text)

    def close(self) -> None:
        """Let it end."""
        self._control.close()
        self._process.communicate()


_servers: dict[Kind, _Server] = {}


def _server(kind: Kind) -> _Server:
    if kind not in _servers:
        _servers[kind] = _Server(kind)
    return _servers[kind]


class Process:
    """A Python process, as `subprocess.Popen` has it in text mode; killed when its block ends."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stderr: int | None = None,
        kind: Kind = "commands",
    ) -> None:
        out, their_out = os.pipe()
        errors, their_errors = os.pipe()
        if stderr is not None:
            os.dup2(stderr, their_errors)
        their_in, self.stdin = _input(stdin)
        report, their_report = os.pipe()
        theirs = [their_in, their_out, their_errors, their_report]
        environment = os.environ if env is None else env
        _server(kind).fork(words, cwd or Path.cwd(), environment, theirs)
        for descriptor in theirs:
            os.close(descriptor)
        self.args = words
        self.stdout: IO[str] = os.fdopen(out, encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(errors, encoding="utf-8")
        self._report = os.fdopen(report, "rb", buffering=0)
        self.returncode: int | None = None

    @cached_property
    def pid(self) -> int:
        """The number of the process."""
        return int(self._told())

    def _told(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            more = self._report.read(1)
            assert more, "the server of warm processes is gone"
            line += more
        return line

    def poll(self) -> int | None:
        """Return how it ended, if it has."""
        if self.returncode is None and self.pid and select.select([self._report], [], [], 0)[0]:
            self.returncode = int(self._told())
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended, when it has."""
        if self.returncode is None:
            assert self.pid
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._told())
        return self.returncode

    def communicate(self, text: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """Write `text`, if any; return all of its output and its errors, when it has ended."""
        if self.stdin is not None:
            self.stdin.write(text or "")
            self.stdin.close()
        errors: list[str] = []
        reading = threading.Thread(target=lambda: errors.append(self.stderr.read()))
        reading.start()
        out = self.stdout.read()
        reading.join()
        self.wait(timeout)
        self._close()
        return out, errors[0]

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
        self.wait()
        self._close()

    def _close(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr, self._report):
            if stream is not None:
                stream.close()


def _input(given: int | None) -> tuple[int, IO[str] | None]:
    if given == subprocess.PIPE:
        theirs, ours = os.pipe()
        return theirs, os.fdopen(ours, "w", encoding="utf-8", buffering=1)
    return (os.open(os.devnull, os.O_RDONLY) if given is None else os.dup(given)), None


def run(
    *words: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    kind: Kind = "commands",
) -> subprocess.CompletedProcess[str]:
    """Run `python WORDS...` to its end, without anything on standard input."""
    texts = [str(word) for word in words]
    with Process(texts, cwd=cwd, env=env, kind=kind) as process:
        out, errors = process.communicate()
        return subprocess.CompletedProcess(texts, process.wait(), out, errors)
