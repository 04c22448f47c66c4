"""Fork processes from one that has imported what they need: what `tests.warm` talks to.

Reads requests from a socket; each names a command line, a folder and an environment and brings the
standard streams. A child takes them on and then runs the command as `python` would, in a process that
is nobody else's: own arguments, path, environment, signals, exit code and end. Has no threads, no event
loop and nothing of a test's in it while it forks.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Request = dict[str, Any]


def main(control_fd: int, modules: Sequence[str]) -> None:
    """Import `modules`, then serve until the other side closes; in a child: become its command."""
    atexit.register(_leave)  # the first to be registered is the last to be called
    del sys.path[0]  # the folder we were started in
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a child that collects garbage need not copy all this
    with socket.socket(fileno=control_fd) as control:
        request = _Server(control).serve()
    if request is None:
        return
    try:
        _become(request)
        _left_with.append(0)
    except SystemExit as stop:
        _left_with.append(stop.code if isinstance(stop.code, int) else int(stop.code is not None))
        raise
    except Exception:
        _left_with.append(1)
        raise


_left_with: list[int] = []


def _leave() -> None:
    """End a child whose threads and exit handlers have ended, without taking it apart.

    That would write to every page that it shares with us, and each would be copied first.
    """
    if _left_with:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_left_with[0])


class _Server:
    """Forks, and tells how its children ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._reports: dict[int, int] = {}
        self._woken, self._wakes = os.pipe()
        for descriptor in (self._woken, self._wakes):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wakes)

    def serve(self) -> Request | None:
        """Return a request in the child that was forked for it, None at the end."""
        while True:
            ready, _, _ = select.select([self._control.fileno(), self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._control.fileno() in ready:
                header, descriptors, _flags, _address = socket.recv_fds(self._control, 4, 4)
                if not header:
                    self._end()
                    return None
                request = self._read(int.from_bytes(header, "big"))
                if self._fork(descriptors) == 0:
                    return request

    def _read(self, size: int) -> Request:
        text = b""
        while len(text) < size:
            text += self._control.recv(size - len(text))
        request: Request = json.loads(text)
        return request

    def _fork(self, descriptors: list[int]) -> int:
        child = os.fork()
        *streams, report = descriptors
        if child == 0:
            self._let_go(descriptors)
            return 0
        for stream in streams:
            os.close(stream)
        self._reports[child] = report
        os.write(report, b"%d\n" % child)
        return child

    def _let_go(self, descriptors: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, stream in enumerate(descriptors[:3]):
            os.dup2(stream, number)
        for descriptor in (*descriptors, self._woken, self._wakes, *self._reports.values()):
            os.close(descriptor)

    def _reap(self) -> None:
        for child in list(self._reports):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                report = self._reports.pop(child)
                os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
                os.close(report)

    def _end(self) -> None:
        for child in self._reports:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _become(request: Request) -> None:
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    words: list[str] = request["words"]
    is_safe = words[0] == "-P"
    words = words[is_safe:]
    sys.path[:0] = [] if is_safe else [_first_of_path(words[0])]
    sys.path[not is_safe : not is_safe] = filter(None, os.environ.get("PYTHONPATH", "").split(":"))
    main_module = sys.modules["__main__"]
    for name in [name for name in vars(main_module) if not name.startswith("__")]:
        delattr(main_module, name)
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.modules.pop(words[1], None)
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        code = compile(words[1], "<string>", "exec")
    else:
        sys.argv = words
        main_module.__file__ = words[0]
        code = compile(Path(words[0]).read_bytes(), words[0], "exec")
    exec(code, vars(main_module))


def _first_of_path(word: str) -> str:
    if word == "-c":
        return ""
    return str(Path.cwd()) if word == "-m" else str(Path(word).resolve().parent)
