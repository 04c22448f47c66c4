"""Where code cannot be confined it does not run, and the refusal says what to do.

The hosts here are real processes from which the kernel takes what a container's rules would: a seccomp
filter of the test's own, an empty PATH, a bwrap that confines nothing.
"""

import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from agentflow.errors import SandboxUnavailableError
from agentflow.sandbox.workers.pool import open_workers

X86_64 = os.uname().machine == "x86_64"
needs_x86_64 = pytest.mark.skipif(not X86_64, reason="the filters are written for x86_64")

OPEN = """
import anyio
from agentflow.sandbox.workers.pool import open_workers
async def main():
    workers = await open_workers()
    print(workers.launcher)
    await workers.aclose()
anyio.run(main)
"""
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
LANDLOCK_CREATE, CLONE, UNSHARE, PRCTL = 444, 56, 272, 157
NEW_USER, SET_SECCOMP = 0x10000000, 22


def step(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def refused(number: int, answer: int) -> bytes:
    return step(0x15, 0, 1, number) + step(0x06, 0, 0, answer)


def refused_if(number: int, argument: int, code: int, value: int) -> bytes:
    """Refuse a call by its argument: `code` says how it is compared with `value`."""
    return (
        step(0x15, 0, 4, number)
        + step(0x20, 0, 0, 16 + 8 * argument)
        + step(code, 0, 1, value)
        + step(0x06, 0, 0, EPERM)
        + step(0x06, 0, 0, ALLOW)
    )


NO_LANDLOCK = refused(LANDLOCK_CREATE, ENOSYS)
NO_USER_NAMESPACES = refused(UNSHARE, EPERM) + refused_if(CLONE, 0, 0x45, NEW_USER)
NO_SECCOMP = refused_if(PRCTL, 0, 0x15, SET_SECCOMP)


def opened_under(rules: bytes, folder: Path | None = None, **environment: str) -> str:
    """Return the launcher that a host under `rules` finds, or the refusal."""
    program = step(0x20, 0, 0, 0) + rules + step(0x06, 0, 0, ALLOW)
    script = f"""
from agentflow.sandbox.workers.inside import lockdown
lockdown._prctl("no_new_privs", 38, 1)
lockdown.Filter({program!r}).apply()
{OPEN}
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@needs_x86_64
def test_without_user_namespaces_landlock_takes_over() -> None:
    assert opened_under(NO_USER_NAMESPACES) == "landlock"


@needs_x86_64
def test_without_either_nothing_is_opened_and_both_reasons_are_told() -> None:
    refusal = opened_under(NO_LANDLOCK, PATH="/nowhere")
    assert "SandboxUnavailableError: no sandbox: bubblewrap: there is no bwrap on PATH" in refusal
    assert "landlock: [Errno 38] Landlock is not there" in refusal
    assert "apt install bubblewrap" in refusal


@needs_x86_64
def test_a_container_that_refuses_both_is_refused() -> None:
    refusal = opened_under(NO_LANDLOCK + NO_USER_NAMESPACES)
    assert "SandboxUnavailableError: no sandbox: bubblewrap: " in refusal
    assert "landlock: [Errno 38] Landlock is not there" in refusal


@needs_x86_64
def test_without_seccomp_no_launcher_will_do() -> None:
    refusal = opened_under(NO_SECCOMP)
    assert "SandboxUnavailableError" in refusal
    assert refusal.count("seccomp: Operation not permitted") >= 1


@pytest.mark.parametrize("launcher", ["bubblewrap"])
def test_a_bwrap_that_confines_nothing_is_found_out(tmp_path: Path, launcher: str) -> None:
    liar = tmp_path / "bwrap"
    liar.write_text('#!/bin/sh\nwhile [ "$1" != "--" ]; do shift; done\nshift\nexec "$@"\n')
    liar.chmod(liar.stat().st_mode | stat.S_IXUSR)
    path = f"{tmp_path}:{os.environ['PATH']}"
    refusal = opened_under(b"", tmp_path, PATH=path, AGENTFLOW_SANDBOX=launcher)
    assert "code in it could read a file, read /etc/passwd" in refusal


def test_a_forced_launcher_is_the_only_one_tried() -> None:
    refusal = opened_under(b"", PATH="/nowhere", AGENTFLOW_SANDBOX="bubblewrap")
    assert "there is no bwrap on PATH" in refusal
    assert "landlock" not in refusal
    assert opened_under(b"", AGENTFLOW_SANDBOX="landlock") == "landlock"


@pytest.mark.anyio
async def test_an_unknown_launcher_is_an_error_that_names_the_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AGENTFLOW_SANDBOX", "chroot")
    with pytest.raises(SandboxUnavailableError, match="one of: bubblewrap, landlock"):
        await open_workers()
