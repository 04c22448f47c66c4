"""One jail: a confined process that makes a confined child for each request.

Owns the process and its pipes. Does one request at a time. After an error, a cancellation or a missed
deadline the jail is in no known state: whoever holds it kills it and starts another.
"""

import importlib.resources
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import anyio
from anyio.abc import Process

from agentflow.sandbox.workers.inside.boot import PACKAGE
from agentflow.sandbox.workers.inside.wire import (
    DATA,
    END,
    END_FIELDS,
    HEAD,
    READY,
    Header,
    hello,
)
from agentflow.sandbox.workers.interpreter import find_interpreter
from agentflow.sandbox.workers.launchers import ENVIRONMENT, Launcher

START_S = 20.0
LATE_S = 5.0  # behind the zygote's own deadlines
_PIECE_BYTES = 1 << 16


class JailLostError(Exception):
    """The jail has ended or says what no jail says; `data` is what a child had written before."""

    def __init__(self, problem: str, data: bytes = b"") -> None:
        self.data = data
        super().__init__(problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a child wrote, and how it ended: `reason` is one of `Ended`'s, `status` its exit status."""

    data: bytes
    reason: bytes
    status: int
    seconds: float


class Jail:
    """A running zygote."""

    def __init__(self, process: Process, name: str) -> None:
        self._process, self.name = process, name
        self._unread = bytearray()
        self.is_lost = False

    @classmethod
    async def start(cls, launcher: Launcher) -> "Jail":
        """Start a jail; it has said that it is confined when this returns.

        Raises:
            OSError: It cannot be started, or the kernel refused to confine it.
        """
        python = await anyio.to_thread.run_sync(find_interpreter)
        modules = _modules()
        launch = launcher.launch(python, modules[f"{PACKAGE}.boot"])
        with anyio.CancelScope(shield=True):  # cancelled halfway, its pipes would stay open
            process = await anyio.open_process(
                launch.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                start_new_session=True,
            )
        jail = cls(process, launcher.name)
        try:
            # Cancelled while what it starts from is still in the pipe, the pipe would stay open.
            with anyio.fail_after(START_S, shield=True):
                await jail._send(hello(modules, launch.settings))
                kind, _ = await jail._head()
        except (JailLostError, TimeoutError) as error:
            raise OSError(await jail._last_words()) from error
        except BaseException:
            await jail.aclose()
            raise
        if kind != READY:
            raise OSError(await jail._last_words())
        return jail

    async def request(self, header: Header, parts: Sequence[bytes]) -> Reply:
        """Have one child do what `parts` say, and return what it wrote.

        Raises:
            JailLostError: The jail is gone, or missed the request's deadline.
        """
        self.is_lost = True  # until it has answered
        data = bytearray()
        try:
            with anyio.fail_after(header.total_s + LATE_S):
                await self._send(b"".join((header.pack(), *parts)))
                end = await self._collect(data, header.most_bytes)
        except (TimeoutError, JailLostError) as error:
            raise JailLostError(str(error) or "no answer in time", bytes(data)) from error
        reason, status, seconds = END_FIELDS.unpack(end)
        self.is_lost = False
        return Reply(data=bytes(data), reason=reason, status=status, seconds=seconds)

    async def _collect(self, data: bytearray, most: int) -> bytes:
        """Add to `data` what a child writes; return the end."""
        while True:
            kind, size = await self._head()
            if kind == END and size == END_FIELDS.size:
                return await self._exactly(size)
            if kind != DATA or len(data) + size > most:
                raise JailLostError("not an answer")
            data += await self._exactly(size)

    async def aclose(self) -> None:
        """End the jail and everything in it."""
        self.is_lost = True
        with anyio.CancelScope(shield=True):
            self._kill()
            await self._process.aclose()

    def _kill(self) -> None:
        # Not Process.kill(): it may reap an ended process before asyncio does, which then complains.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise JailLostError("it has ended") from error

    async def _head(self) -> tuple[bytes, int]:
        kind, size = HEAD.unpack(await self._exactly(HEAD.size))
        return kind, size

    async def _exactly(self, count: int) -> bytes:
        assert self._process.stdout is not None
        while len(self._unread) < count:
            try:
                self._unread += await self._process.stdout.receive(_PIECE_BYTES)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as end:
                raise JailLostError("it has ended") from end
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    async def _last_words(self) -> str:
        """Return why the process ended, in one line; end it if it has not."""
        assert self._process.stderr is not None
        words = b""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(1.0):
                await self._process.wait()
            self._kill()
            with anyio.move_on_after(1.0):
                async for piece in self._process.stderr:
                    words += piece[:4096]
        await self.aclose()
        lines = words.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].removeprefix("OSError: ")[:300] if lines else "it ended without a word"


@cache
def _modules() -> dict[str, str]:
    """Return the text of every module that runs in a jail, by full name."""
    folder = importlib.resources.files(PACKAGE)
    found = {}
    for file in folder.iterdir():
        if file.name.endswith(".py"):
            name = file.name.removesuffix(".py")
            found[PACKAGE if name == "__init__" else f"{PACKAGE}.{name}"] = file.read_text("utf-8")
    parts = PACKAGE.split(".")
    return found | {".".join(parts[:depth]): "" for depth in range(1, len(parts))}
