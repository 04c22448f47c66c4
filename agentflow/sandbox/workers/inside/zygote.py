"""Serve one jail: confine this process, then make one confined child after the other.

Owns the life of children: a fork each, their deadlines, their end. Requests come on descriptor 0,
what children write goes out on 1 (the form is in wire.py). This process never reads what is in a request or a
result: the child reads its own request, and results pass through one buffer that is wiped, so nothing of
one trial is left in memory that the next child inherits. It has one thread.
"""

import contextlib
import gc
import importlib
import json
import linecache
import os
import select
import signal
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any, NoReturn

from agentflow.sandbox.workers.inside import lockdown
from agentflow.sandbox.workers.inside.channel import read_exactly, write_all
from agentflow.sandbox.workers.inside.examining import examine, serve_source
from agentflow.sandbox.workers.inside.filters import child_filter, jail_filter
from agentflow.sandbox.workers.inside.loop import use_for_asyncio
from agentflow.sandbox.workers.inside.module import seed
from agentflow.sandbox.workers.inside.observing import observe
from agentflow.sandbox.workers.inside.streams import Streams
from agentflow.sandbox.workers.inside.wire import (
    DATA,
    HEADER_BYTES,
    Ended,
    Header,
    end_frame,
    head,
    ready,
)

_BUFFER_BYTES = 1 << 16
_WARM_UPS = 10
_PAUSE_S = 0.01
_GRACE_S = 0.3  # what a child may be late before it is killed
_LAST = 64  # the limit of open files
# What generated code likes to use; a child inherits it. The rest of the library loads on demand.
_WARM = """
abc array ast bisect calendar cmath collections contextlib copy dataclasses datetime decimal enum
fractions functools heapq inspect io itertools json math numbers operator random re statistics string
textwrap time traceback typing
"""
for _name in _WARM.split():
    importlib.import_module(_name)


def main(settings: dict[str, Any]) -> NoReturn:
    """Confine this process as `settings` say, report that, and serve until the host goes."""
    null = os.open("/dev/null", os.O_RDWR)
    _confine(settings)
    use_for_asyncio()
    _forget_modules()
    _warm_up(null)
    zygote = _Zygote(null, lockdown.Filter(child_filter()))
    gc.collect()
    gc.freeze()
    gc.disable()
    write_all(1, ready())
    while True:
        try:
            request = Header.unpack(read_exactly(0, HEADER_BYTES))
        except EOFError:
            os._exit(0)  # the host is gone
        zygote.serve(request)


def _confine(settings: dict[str, Any]) -> None:
    lockdown.give_up_privileges()
    lockdown.die_with_parent()
    lockdown.write_nothing()
    if settings["landlock"] is not None:
        lockdown.allow_reading_only(settings["landlock"], settings["listed"])
    lockdown.Filter(jail_filter()).apply()


def _forget_modules() -> None:
    """Keep the code from importing this package; its functions go on working."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "agentflow"]:
        del sys.modules[name]


def _warm_up(null: int) -> None:
    """Do what children do, so that they find code specialised and caches filled.

    A page that a child changes has to be copied, which is most of what a child costs.
    """
    limits = {"call_s": 9.0, "total_s": 9.0, "stdout_bytes": 99, "value_bytes": 999}
    source = "def f(x):\n    print(x)\n    return {1.5: (x, {2}, 'a')}"
    trial = {"limits": limits, "stdin": "", "source": source, "calls": ["f([1])", "f((1,))", "f("]}
    for _ in range(_WARM_UPS):
        observe(json.dumps(trial).encode(), null, Streams())
    seed()
    sys.modules.pop("solution")
    linecache.clearcache()
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__


class _Zygote:
    """Makes children and passes on what they write."""

    def __init__(self, null: int, child_filter: lockdown.Filter) -> None:
        self._null, self._filter = null, child_filter
        self._pid = os.getpid()
        self._streams = Streams()
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._kept = self._used = 0  # bytes not sent yet, bytes to wipe

    def serve(self, request: Header) -> None:
        """Do one trial or examination and report how its process ended."""
        began = monotonic()
        results, children = (
            self._examination(request) if request.tests_bytes else self._trial(request)
        )
        reason = self._pass_on(results, request, began + request.total_s + _GRACE_S)
        os.close(results)
        self._send_kept()
        status = [_end(child) for child in children][-1]
        self._buffer[: self._used] = bytes(self._used)
        self._used = 0
        write_all(1, end_frame(reason, status, monotonic() - began))

    def _trial(self, request: Header) -> tuple[int, list[int]]:
        results, writing = os.pipe()

        def work() -> None:
            observe(self._read(request.source_bytes), writing, self._streams)

        child = self._fork(work, request, [writing])
        os.close(writing)
        return results, [child]

    def _examination(self, request: Header) -> tuple[int, list[int]]:
        """Fork the source first: its process must end up without the tests, which nobody has read yet."""
        results, writing = os.pipe()
        asks_out, asks_in = os.pipe()
        answers_out, answers_in = os.pipe()

        def serve() -> None:
            source = self._read(request.source_bytes)
            serve_source(source, self._streams, asks=asks_out, answers=answers_in)

        def test() -> None:
            tests = self._read(request.tests_bytes)
            examine(tests, self._streams, results=writing, asks=asks_in, answers=answers_out)

        source = self._fork(serve, request, [asks_out, answers_in])
        os.close(asks_out)
        os.close(answers_in)
        read_exactly(answers_out, 1)  # its sign that it has read its part; EOFError ends this jail
        tests = self._fork(test, request, [writing, asks_in, answers_out])
        for descriptor in (writing, asks_in, answers_out):
            os.close(descriptor)
        return results, [source, tests]

    def _fork(self, work: Callable[[], None], request: Header, keeps: list[int]) -> int:
        child = os.fork()
        if child:
            return child
        try:
            self._become_child(request, keeps)
            work()
        except BaseException:  # noqa: BLE001 - the missing frames say it; nothing may get out of here
            os._exit(70)
        os._exit(0)

    def _become_child(self, request: Header, keeps: list[int]) -> None:
        """Take the last rights away; the request is still on descriptor 0 until it has been read."""
        lockdown.die_with_parent()
        if os.getppid() not in (self._pid, 0):
            os._exit(71)
        os.dup2(self._null, 1)
        os.dup2(self._null, 2)
        first = 3
        for descriptor in sorted([self._null, *keeps]):
            os.closerange(first, descriptor)
            first = descriptor + 1
        os.closerange(first, _LAST)
        lockdown.limit(request.memory_bytes, int(request.total_s) + 2)
        self._filter.apply()
        gc.enable()

    def _read(self, count: int) -> bytes:
        """Return a child's part of the request, and leave it nothing else to read there."""
        data = read_exactly(0, count)
        os.dup2(self._null, 0)
        return data

    def _pass_on(self, results: int, request: Header, deadline: float) -> bytes:
        """Send on what a child writes, until it closes its end, falls silent or writes too much.

        Frames that come one upon the other are sent together; a pause sends what there is.
        """
        poll = select.poll()
        poll.register(results, select.POLLIN)
        last, total = monotonic(), 0
        while True:
            left_s = min(deadline, last + request.silent_s + _GRACE_S) - monotonic()
            if left_s <= 0:
                return Ended.LATE
            if not poll.poll((_PAUSE_S if self._kept else left_s) * 1000 + 1):
                self._send_kept()
                continue
            count = os.readv(results, [self._buffer[self._kept :]])
            if count == 0:
                return Ended.CLOSED
            self._kept += count
            self._used = max(self._used, self._kept)
            total += count
            if total > request.most_bytes:
                self._kept -= count
                return Ended.FLOOD
            if self._kept == _BUFFER_BYTES:
                self._send_kept()
            last = monotonic()

    def _send_kept(self) -> None:
        if self._kept:
            write_all(1, head(DATA, self._kept))
            write_all(1, self._buffer[: self._kept])
            self._kept = 0


def _end(child: int) -> int:
    """Make sure that a child is gone; return how it ended. One that was ending keeps its status."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
