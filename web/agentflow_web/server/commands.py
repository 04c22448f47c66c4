r"""The commands behind the buttons of the page: how they are written, run and started.

Owns the command lines. A shell is never asked: what comes from the page is one argument each, after the
options, and none is read as the name of a file. A value that a terminal could not carry safely goes into
a file of our own (`--change`). What is started outlives the viewer and writes to a log of its own.
"""

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.to_thread
from platformdirs import user_state_path

from agentflow.journal.engines import shown_url, store_url
from agentflow_web.server.replies import Refusal

# Not the folder we stand in first (-P): a file of the user's called `agentflow.py` is not us.
PROGRAM = (sys.executable, "-P", "-m", "agentflow.cli.main")
POLL_S = 0.05
START_S = 60.0  # until a run must have begun; one that takes longer is let go on
DRY_RUN_S = 120.0
MAX_CHARACTERS = 2000  # of a change that is still pleasant on a command line
LAST_LINE = 500


@dataclass(frozen=True)
class Command:
    """One command: its name, what it is about, its options as they are typed."""

    name: str
    arguments: Sequence[str]
    options: Sequence[str] = ()

    def words(self, *more: str) -> list[str]:
        """Return it with more options, as separate words; an argument is never taken for an option."""
        options = [*self.options, *more]
        if any(argument.startswith("-") for argument in self.arguments):
            return [self.name, *options, "--", *self.arguments]
        return [self.name, *self.arguments, *options]


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Where commands run: on which journal, in which folder, with which folder for their files.

    `journal` None is the user's default journal. `state` gets a folder for each command that needs one.
    """

    journal: str | None
    folder: Path
    state: Path

    @classmethod
    def here(cls, journal: str | None) -> "Commands":
        """Return those of this process: in the folder it stands in."""
        state = user_state_path("agentflow") / "view"
        return cls(journal=journal, folder=Path.cwd(), state=state)

    def written(self, command: Command) -> str:
        """Return a command line as a person would type it."""
        where = [] if self.journal is None else ["--journal", shown_url(store_url(self.journal))]
        return shlex.join(["agentflow", *command.words(*where)])

    def run(self, command: Command, *more: str, timeout_s: float = DRY_RUN_S) -> str:
        """Run a command to its end and return what it printed; blocks.

        Raises:
            Refusal: It failed, in the words of its last line, or took too long.
        """
        with subprocess.Popen(  # noqa: S603 - no shell; the words are those of this module
            [*PROGRAM, *command.words(*more)],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                printed, said = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as error:
                process.kill()
                problem = f"agentflow {command.name} took longer than {timeout_s:.0f} s"
                raise Refusal(400, "TimeoutError", problem) from error
        if process.returncode:
            raise Refusal(
                400, "CommandError", _last_line(said) or f"exit code {process.returncode}"
            )
        return printed

    async def start(self, command: Command, room: str, has_begun: Callable[[], bool]) -> None:
        """Start a command that goes on by itself, and wait until it has begun its work.

        Args:
            command: What to start.
            room: The folder for its log.
            has_begun: Whether it has; blocks, asked again and again.

        Raises:
            Refusal: It ended without having begun, in the words of its last line.
        """
        log = self.room(room) / f"{command.name}.log"
        process = await anyio.to_thread.run_sync(self._launch, log, command.words())
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            is_over = process.poll() is not None  # before looking: it may begin and end in between
            if await anyio.to_thread.run_sync(has_begun):
                return
            if is_over:
                said = _last_line(log.read_text(encoding="utf-8", errors="replace"))
                raise Refusal(400, "CommandError", said or f"exit code {process.returncode}")
            await anyio.sleep(POLL_S)

    def room(self, name: str) -> Path:
        """Return a folder that only this user may look into."""
        made = self.state / name
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        return made

    def change_options(self, change: Mapping[str, Any]) -> list[str]:
        """Return the change of a fork as options.

        Values are written as JSON, which never begins with the `@` that stands for a file. What a
        terminal could not carry as it is goes into a file, under the name of its content.
        """
        inputs: Mapping[str, Any] = change.get("input", {})
        settings = [f"input.{name}={_json(value)}" for name, value in inputs.items()]
        if "output" in change:
            settings.append(f"output={_json(change['output'])}")
        settings += [f"{name}={change[name]}" for name in ("prompt", "model") if name in change]
        if not any("=" in name for name in inputs) and _can_be_typed(settings):
            return [word for setting in settings for word in ("--set", setting)]
        data = json.dumps(change).encode()
        path = self.room("changes") / f"{sha256(data).hexdigest()[:16]}.json"
        with _private(path) as stream:
            stream.write(data)
        return ["--change", str(path)]

    def _launch(self, log: Path, words: Sequence[str]) -> "subprocess.Popen[bytes]":
        with _private(log) as output:
            process = subprocess.Popen(  # noqa: S603 - see `run`
                [*PROGRAM, *words],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C at the viewer is not meant for the run
            )
        # Whoever ends is to be waited for, or it stays in the list of processes.
        threading.Thread(target=process.wait, daemon=True).start()
        return process

    def _environment(self) -> dict[str, str]:
        # Not on the command line: every user may read those, and a database URL may hold a password.
        given = {} if self.journal is None else {"AGENTFLOW_JOURNAL": store_url(self.journal)}
        return {**os.environ, **given, "COLUMNS": "1000"}


def _can_be_typed(settings: Sequence[str]) -> bool:
    """Whether settings can be typed, read and pasted, and mean themselves."""
    values = [setting.partition("=")[2] for setting in settings]
    return (
        sum(map(len, settings)) <= MAX_CHARACTERS
        and all(setting.replace("\n", "").isprintable() for setting in settings)
        and not any(value.startswith("@") for value in values)
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ")[:LAST_LINE] if lines else ""


def _private(path: Path) -> IO[bytes]:
    """Open a new file that only this user may read."""
    return open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600))
