"""Code that tries to get out, in every way that the trials of sandboxes in docs/sandbox.md tried.

What counts is evidence from outside: a connection, a file, a signal that arrived. Only loopback, files of
the test and processes that it started are ever at risk.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentflow.sandbox.workers.pool import TrialWorkers
from tests.agentflow.sandbox.workers.parts import SHORT, load, observe, outcomes, value

pytestmark = pytest.mark.anyio

# Runs an attempt and tells the name of the error that refused it.
TRY = """
import os, sys
def attempt(action, *arguments):
    try:
        return ["worked", repr(action(*arguments))[:80]]
    except BaseException as error:
        return [type(error).__name__]
"""


@pytest.fixture(scope="module")
def victim() -> Iterator[int]:
    """A process of the same user that waits to be attacked."""
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE) as process:
        yield process.pid
        assert process.poll() is None
        process.kill()


def told(encoded: Any) -> list[str]:
    """Return what attempts told, one word each."""
    names = []
    for item in encoded["list"]:
        first, *rest = item["list"]
        names.append(f"worked: {rest}" if first == "worked" else first)
    return names


async def test_the_network_is_refused(workers: TrialWorkers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        source = f"""{TRY}
import socket
def f(): return [
    attempt(socket.create_connection, ("127.0.0.1", {port}), 1),
    attempt(socket.socket, socket.AF_UNIX),
    attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM),
    attempt(socket.socketpair),
]
"""
        assert set(told(await value(workers, source))) == {"PermissionError"}
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_files_of_the_host_are_refused(workers: TrialWorkers, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    paths = [str(secret), "/etc/passwd", "/etc/shadow", str(Path.home() / ".ssh"), __file__]
    source = f"{TRY}\ndef f(): return [attempt(open, path) for path in {paths!r}]"
    assert set(told(await value(workers, source))) <= {"PermissionError", "FileNotFoundError"}


async def test_nothing_can_be_written(workers: TrialWorkers, tmp_path: Path) -> None:
    folders = [str(tmp_path), "/tmp", "/etc", "/usr/lib", "/dev/shm", "/dev", "/", ".", sys.prefix]
    source = f"""{TRY}
def fill(folder):
    with open(os.path.join(folder, "agentflow_attack"), "wb") as file:
        return sum(file.write(bytes(1 << 20)) for _ in range(256))
def f(): return [attempt(fill, folder) for folder in {folders!r}] + [
    attempt(os.mkdir, "/tmp/agentflow_attack"),
    attempt(os.symlink, "/etc/passwd", "/tmp/agentflow_attack"),
    attempt(os.rename, "/dev/null", "/dev/gone"),
    attempt(os.chmod, "/dev/null", 0),
    attempt(os.truncate, "/dev/null", 1),
]
"""
    refusals = {"PermissionError", "FileNotFoundError", "OSError"}
    assert set(told(await value(workers, source))) <= refusals
    for folder in folders:
        assert not Path(folder, "agentflow_attack").exists()


async def test_no_process_can_be_started(workers: TrialWorkers, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    source = f"""{TRY}
import ctypes, multiprocessing, subprocess
libc = ctypes.CDLL(None)
def bomb():
    forks = 0
    while forks < 50:
        if os.fork() == 0:
            os._exit(0)
        forks += 1
    return forks
def daemon():
    if os.fork() == 0:
        os.setsid()
def f(): return [
    attempt(bomb), attempt(daemon), attempt(os.posix_spawn, "/bin/sh", ["sh"], {{}}),
    attempt(subprocess.run, ["touch", {str(proof)!r}]),
    attempt(os.execv, sys.executable or "/bin/sh", ["x"]),
    attempt(os.setsid),
]
def shell(): return libc.system(b"touch {proof}")
def walk():
    for kind in ().__class__.__base__.__subclasses__():
        if kind.__name__ == "_wrap_close":
            return kind.__init__.__globals__["system"]("touch {proof}")
    return 1
"""
    seen, shell, walk = await observe(workers, source, "f()", "shell()", "walk()")
    refusals = {"PermissionError", "FileNotFoundError", "OSError"}
    assert set(told(seen.value)) <= refusals
    assert shell.value != 0
    assert walk.value != 0
    assert not proof.exists()


async def test_other_processes_cannot_be_touched(workers: TrialWorkers, victim: int) -> None:
    source = f"""{TRY}
import ctypes, signal
libc = ctypes.CDLL(None, use_errno=True)
def trace(pid):
    if libc.ptrace(16, pid, 0, 0) < 0:
        raise OSError(ctypes.get_errno())
def f(): return [attempt(os.kill, pid, signal.SIGKILL) for pid in ({victim}, {os.getpid()}, -1)] + [
    attempt(os.kill, os.getppid(), signal.SIGSTOP),
    attempt(trace, {victim}), attempt(trace, os.getppid()),
    attempt(os.setpriority, os.PRIO_PROCESS, {victim}, 19),
    attempt(open, "/proc/{victim}/environ"), attempt(open, "/proc/self/mem", "r+b"),
    attempt(os.listdir, "/proc"), attempt(open, "/proc/{os.getpid()}/environ"),
]
"""
    refusals = {"PermissionError", "FileNotFoundError", "OSError", "ProcessLookupError"}
    assert set(told(await value(workers, source))) <= refusals


async def test_dangerous_system_calls_do_not_reach_the_kernel(workers: TrialWorkers) -> None:
    calls = """{"unshare": (272, 0x10000000), "mount": (165, 0, 0, 0, 0, 0), "bpf": (321, 0, 0, 72),
        "perf_event_open": (298, 0, 0, -1, -1, 0), "io_uring_setup": (425, 4, 0), "userfaultfd": (323, 0),
        "keyctl": (250, 0, -3, 0), "process_vm_readv": (310, 1, 0, 0, 0, 0, 0), "socket": (41, 2, 1, 0),
        "execve": (59, 0, 0, 0), "memfd_create": (319, 0, 0), "chroot": (161, 0), "setns": (308, 0, 0),
        "pidfd_open": (434, 1, 0), "ptrace": (101, 16, 1), "prctl": (157, 4, 1), "seccomp": (317, 1, 0, 0),
        "prlimit64": (302, 0, 9, 0, 0), "setrlimit": (160, 9, 0), "kill": (62, 0, 0), "fork": (57,),
        "vfork": (58,), "clone": (56, 17, 0, 0, 0, 0), "clone3": (435, 0, 0), "open_by_handle_at": (304, 0, 0, 0),
        "unlink": (87, 0), "fchmod": (91, 0, 0), "mknod": (133, 0, 0, 0), "setuid": (105, 0), "capset": (126, 0, 0),
        "landlock_create_ruleset": (444, 0, 0, 1), "sched_setaffinity": (203, 0, 0, 0), "mlock": (149, 0, 1)}"""
    source = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def f():
    reached = []
    for name, (number, *arguments) in {calls}.items():
        ctypes.set_errno(0)
        result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
        if result >= 0 or ctypes.get_errno() not in (1, 38):
            reached.append((name, result, ctypes.get_errno()))
    return reached
"""
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are those of x86_64")
    assert await value(workers, source) == {"list": []}


async def test_another_machines_system_calls_end_the_process(workers: TrialWorkers) -> None:
    source = "import ctypes\ndef f(): return ctypes.CDLL(None).syscall(0x40000000 | 39)"
    if os.uname().machine != "x86_64":
        pytest.skip("only x86_64 has x32")
    (seen,) = await observe(workers, source, "f()")
    assert seen.outcome == "crashed"


async def test_packages_and_environment_of_the_host_are_not_there(
    workers: TrialWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTFLOW_TEST_SECRET", "the secret")
    (tmp_path / "hostsecret.py").write_text("x = 1")
    site = Path(pytest.__file__).parents[1]
    source = f"""{TRY}
sys.path[:0] = [{str(site)!r}, {str(tmp_path)!r}]
def f(): return [attempt(__import__, name) for name in ("pydantic", "pytest", "hostsecret", "pip", "agentflow")]
def g(): return [sorted(os.environ), sys.argv, os.getcwd() == {str(Path.cwd())!r} and os.listdir()]
"""
    packages, rest = await observe(workers, source, "f()", "g()")
    assert set(told(packages.value)) == {"ModuleNotFoundError"}
    assert "SECRET" not in str(rest.value)
    assert "the secret" not in str(rest.value)


async def test_threads_are_bounded_and_end_with_the_call(workers: TrialWorkers) -> None:
    source = """
import threading, time
def f():
    count = 0
    try:
        for _ in range(2000):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            count += 1
    except (RuntimeError, MemoryError):
        pass
    return count
def g():
    results = []
    threads = [threading.Thread(target=results.append, args=(n,)) for n in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return sorted(results)
"""
    some, bomb = await observe(workers, source, "g()", "f()")
    assert some.value == {"list": [0, 1, 2, 3]}
    assert bomb.outcome in ("returned", "memory", "crashed", "timeout")
    if bomb.outcome == "returned":
        assert bomb.value < 200


FORGERIES = {
    "ends well": "os._exit(0)",
    "a frame and an end": "write(frame); os._exit(0)",
    "garbage": 'write(b\'{"outcome": "returned"}\\n\' * 9)',
    "a long frame": "write(b'\\xff' * 4)",
    "half a frame": "write(b'\\0\\0\\0'); os._exit(0)",
    "deep JSON": "write(struct.pack('!I', 10**5) + b'[' * 10**5)",
    "a number that is none": 'write(framed(b\'{"outcome":"returned","value":NaN}\'))',
    "an unknown outcome": 'write(framed(b\'{"outcome":"passed"}\'))',
    "a value that is none": 'write(framed(b\'{"outcome":"returned","value":{"list":[[1]]}}\'))',
    "a raw list": 'write(framed(b\'{"outcome":"returned","value":[1]}\'))',
    "a lone surrogate": 'write(framed(b\'{"outcome":"returned","stdout":"\\\\ud800"}\'))',
    "a closed channel": "os.closerange(0, 64)",
    "a channel to nowhere": "[os.dup2(os.open('/dev/null', 0), d) for d in range(3, 20)]",
    "an abort": "os.abort()",
    "a bad access": "ctypes.string_at(1)",
}


@pytest.mark.parametrize("body", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_call_that_spoils_its_channel_has_crashed_and_loses_no_other(
    workers: TrialWorkers, body: str
) -> None:
    source = f"""
import ctypes, os, signal, struct
def framed(data): return struct.pack("!I", len(data)) + data
frame = b"{{"
def write(data):
    for descriptor in range(3, 30):
        try: os.write(descriptor, data)
        except OSError: pass
def f(): {body}
def g(): return 1
"""
    before, spoilt, after = await observe(workers, source, "g()", "f()", "g()", limits=SHORT)
    assert before.value == after.value == 1
    assert spoilt.outcome == "crashed"


async def test_a_forged_frame_is_at_most_a_lie_of_the_code_about_itself(
    workers: TrialWorkers,
) -> None:
    source = """
import os, struct
data = b'{"outcome":"returned","value":42}'
def f():
    for descriptor in range(3, 30):
        try: os.write(descriptor, struct.pack("!I", len(data)) + data)
        except OSError: pass
    return 1
"""
    first, second = await observe(workers, source, "f()", "f()")
    assert {first.value, second.value} <= {1, 42}


@pytest.mark.parametrize(
    "body",
    [
        "__import__('os')._exit(0)",
        "__import__('os').closerange(0, 64)",
        "__import__('ctypes').string_at(1)",
        "while True: pass",
        "x = [0] * 10**10",
        "exit()",
        "raise KeyboardInterrupt",
    ],
)
async def test_trouble_while_loading_is_a_failure_to_load(workers: TrialWorkers, body: str) -> None:
    observed = await load(workers, f"print('x')\n{body}\ndef f(): return 1", SHORT, "f()")
    assert observed.failure is not None
    assert observed.observations == ()


async def test_hostile_methods_do_not_break_the_telling(workers: TrialWorkers) -> None:
    source = """
def boom(*_): raise SystemError("boom")
class Meta(type):
    __repr__ = __eq__ = __instancecheck__ = __getattribute__ = boom
    __hash__ = type.__hash__
class Nasty(metaclass=Meta):
    __repr__ = __str__ = __eq__ = __iter__ = __len__ = __bool__ = __getattr__ = __hash__ = boom
    __class__ = property(boom)
    __dict__ = property(boom)
class List(list):
    __iter__ = __len__ = __getitem__ = __class__ = boom
class Dict(dict):
    items = keys = __iter__ = __len__ = boom
class Text(str):
    __str__ = __len__ = __getitem__ = __repr__ = boom
class Int(int):
    __int__ = __index__ = __repr__ = __add__ = bit_length = boom
class Error(Exception):
    __str__ = __repr__ = boom
    args = property(boom)
class Endless:
    def __iter__(self): return self
    def __next__(self): return self
def f(x): return x
def g(): raise Error("x")
def h():
    class Deep(Exception):
        def __str__(self): return "x" * 10**7
    raise Deep
"""
    calls = ["f(Nasty())", "f([Nasty(), 1])", "f(List([1]))", "f(Dict(a=1))", "f(Text('a'))"]
    calls += ["f(Int(5))", "f(Error(1))", "f(Endless())", "g()", "h()", "f(1)"]
    seen = await observe(workers, source, *calls)
    assert outcomes(seen) == ["returned"] * 8 + ["raised"] * 2 + ["returned"]
    assert [one.value for one in seen[2:6]] == [
        {"list": [1], "type": "List"},
        {"dict": [["a", 1]], "type": "Dict"},
        {"str": "a", "type": "Text"},
        {"int": "0x5", "type": "Int"},
    ]
    failures = [one.failure for one in seen if one.failure is not None]
    assert [failure.type for failure in failures] == ["Error", "Deep"]
    assert len(failures[1].message) < 5_000
    assert len(failures[1].report) < 10_000
