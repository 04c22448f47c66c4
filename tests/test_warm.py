"""A warm process is like one that `subprocess` starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm
from tests.warm import Process

SAYS = """
import os, sys
print(sys.argv, sys.path, sorted(os.environ), os.getcwd(), __name__, sorted(os.listdir("/proc/self/fd")))
"""


@pytest.fixture
def env() -> dict[str, str]:
    # With a locale: without one, Python sets a variable of its own as it starts.
    return {"PATH": "", "HOME": "/nonexistent", "PYTHONPATH": "/some", "LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize("way", ["-c", "-m", "-P -m", "script"])
def test_arguments_path_environment_folder_and_open_files_are_those_of_a_cold_one(
    way: str, tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "says.py").write_text(SAYS)
    words = {"-c": ["-c", SAYS], "script": ["says.py"]}.get(way, [*way.split(), "says"])
    env["PYTHONPATH"] += f":{tmp_path}" if "-P" in way else ""
    command = [sys.executable, *words, "a", "b"]
    cold = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    done = warm.run(*words, "a", "b", cwd=tmp_path, env=env)
    assert (done.stdout, done.stderr) == (cold.stdout, cold.stderr)


@pytest.mark.parametrize(
    ("code", "returncode", "errors"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit('no')", 1, "no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        (
            "import os, time; os.kill(os.getpid(), 2); time.sleep(60)",
            -signal.SIGINT,
            "KeyboardInterrupt\n",
        ),
    ],
)
def test_it_ends_as_a_cold_one_does(
    code: str, returncode: int, errors: str, env: dict[str, str]
) -> None:
    done = warm.run("-c", code, env=env)
    assert done.returncode == returncode
    assert done.stderr.endswith(errors)
    cold = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
    assert cold.returncode == returncode


def test_threads_and_exit_handlers_end_before_it(env: dict[str, str]) -> None:
    code = """
import atexit, threading
begin = threading.Event()
atexit.register(print, "handler")
threading.Thread(target=lambda: (begin.wait(), print("thread"))).start()
begin.set()
"""
    assert warm.run("-c", code, env=env).stdout == "thread\nhandler\n"


def test_several_live_at_once_and_keep_apart(env: dict[str, str]) -> None:
    code = "import os; print(os.getpid(), flush=True); print(input())"
    living = [Process(["-c", code], env=env, stdin=subprocess.PIPE) for _ in range(3)]
    assert [int(process.stdout.readline()) for process in living] == [one.pid for one in living]
    assert {process.poll() for process in living} == {None}
    for number, process in reversed(list(enumerate(living))):
        with process:
            assert process.communicate(f"{number}\n") == (f"{number}\n", "")
            assert process.returncode == 0


def test_a_block_that_ends_ends_its_process(env: dict[str, str]) -> None:
    with Process(["-c", "input()"], env=env, stdin=subprocess.PIPE) as process:
        os.kill(process.pid, 0)
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_what_is_not_told_apart_is_imported_by_nobody_before(env: dict[str, str]) -> None:
    code = "import sys; print(sorted({name.partition('.')[0] for name in sys.modules if 'agentflow' in name}))"
    assert warm.run("-c", code, env=env, kind="libraries").stdout == "[]\n"
