"""A journal in adversity: one clear error, nothing lost, and the run goes on once the cause is gone."""

import gc
import json
import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow import Journal, Runner, flow, parallel, tool
from agentflow.errors import JournalError, LeaseLostError, RunBusyError, ToolError
from agentflow.journal import commits
from agentflow.journal.events import RunStarted, StepCancelled
from agentflow.journal.store import Store
from agentflow.journal.upkeep.verify import verify
from agentflow.journal.writer import JournalWriter
from agentflow.runner import new_run_id
from tests import warm
from tests.agentflow.journal.hardship import conditions, fills

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
COUNT, SIZE = 20, 20_480


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[Path]:
    """The file where `fill` says that it was called, from this process too."""
    conditions.update(calls=str(tmp_path / "calls"), count=COUNT)
    (tmp_path / "calls").touch(mode=0o666)
    yield tmp_path / "calls"
    conditions.clear()


def start(journal: str, run: str, **more: Any) -> warm.Process:
    """Start a run under hard conditions, in a process of its own."""
    asked = json.dumps({**conditions, "journal": journal, "run": run, **more})
    words = ["-m", "tests.agentflow.journal.hardship", asked]
    return warm.Process(words, stdin=subprocess.PIPE, cwd=ROOT)


def end(process: warm.Process) -> dict[str, Any]:
    """Let a process end and return what it said last."""
    said, _ = process.communicate("\n", timeout=60)
    answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert process.returncode == 0
    return answer


def assert_intact(journal: str) -> None:
    store = Store(journal, create=False)
    assert verify(store).problems == ()
    store.close()


async def assert_goes_on(journal: str, run: str, calls: Path) -> None:
    """Resume the run: only what is not in the journal is called again."""
    assert_intact(journal)
    with Journal(journal) as opened:
        steps = opened.run(run).steps.values()
    done = {json.loads(step.input)["x"] for step in steps if step.status == "succeeded"}
    calls.write_text("")
    resumed = await Runner(journal=journal).resume(fills, run)
    assert resumed.output == COUNT * SIZE
    assert [int(line) for line in calls.read_text().split()] == sorted(set(range(COUNT)) - done)
    assert_intact(journal)


# A full disk ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"file_bytes": 150_000}, "disk I/O error: check the disk"),
        ({"pages": 40}, "database or disk is full: free some space"),
    ],
)
async def test_a_limit_of_space_is_one_error_and_the_run_resumes_without_it(
    sqlite_journal: str, calls: Path, limit: dict[str, int], words: str
) -> None:
    Store(sqlite_journal).close()
    run = new_run_id()
    answer = end(start(sqlite_journal, run, **limit))
    assert answer["error"] == "JournalError"
    assert f"{sqlite_journal}: {words}; what was committed is intact" in answer["message"]
    await assert_goes_on(sqlite_journal, run, calls)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for half a run."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    yield disk
    gc.collect()  # SQLite closes a file when the last cursor is gone, and the error holds one
    is_busy = subprocess.run(["umount", str(disk)], check=False).returncode
    if is_busy:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    assert not is_busy, "a connection was left open"


async def test_a_full_disk_is_one_error_and_the_run_resumes_when_there_is_room(
    small_disk: Path, calls: Path
) -> None:
    journal, run = str(small_disk / "j.db"), new_run_id()
    with pytest.raises(JournalError, match=r"disk/j\.db: .*; what was committed is intact"):
        await Runner(journal=journal).run_as(run, fills, COUNT)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    await assert_goes_on(journal, run, calls)


# A journal that may not be written -----------------------------------------------------------


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that belongs to a user without rights, if we are root and can say so."""
    folder = Path(tempfile.mkdtemp(prefix="public"))
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "words"),
    [
        (0o444, 0o755, "make the file writable or choose another"),
        (0o644, 0o555, "writable"),
        (0o444, 0o555, "writable"),
    ],
)
async def test_a_journal_that_may_not_be_written_is_one_error(
    public_folder: Path, calls: Path, file_mode: int, folder_mode: int, words: str
) -> None:
    conditions["calls"] = str(public_folder / "calls")
    (public_folder / "calls").touch()
    (public_folder / "calls").chmod(0o666)
    journal, run = str(public_folder / "j.db"), new_run_id()
    assert end(start(journal, run, stop=7, user="nobody"))["error"] == "ToolError"
    before = (public_folder / "calls").read_text()
    Path(journal).chmod(file_mode)
    public_folder.chmod(folder_mode)
    answer = end(start(journal, run, resume=True, user="nobody"))
    assert answer["error"] == "JournalError"
    assert journal in answer["message"]
    assert words in answer["message"]
    assert (public_folder / "calls").read_text() == before
    public_folder.chmod(0o755)
    Path(journal).chmod(0o644)
    await assert_goes_on(journal, run, public_folder / "calls")


# A journal that is locked --------------------------------------------------------------------


async def test_a_run_waits_for_a_locked_journal_and_the_event_loop_does_not(
    sqlite_journal: str,
) -> None:
    other = sqlite3.connect(sqlite_journal, isolation_level=None)
    is_locked, is_over = anyio.Event(), False

    @tool
    async def lock() -> str:
        """Have another connection hold the journal."""
        other.execute("BEGIN EXCLUSIVE")
        is_locked.set()
        return "locked"

    async def work() -> str:
        nonlocal is_over
        said: str = await lock()
        is_over = True
        return said

    async def unlock() -> bool:
        await is_locked.wait()
        for _ in range(500):  # a loop that waits for the lock never comes to give it back
            await anyio.sleep(0)
        seen = is_over
        other.execute("ROLLBACK")
        return seen

    @flow
    async def locked_out() -> list[Any]:
        return await parallel(work(), unlock())

    result = await Runner(journal=sqlite_journal).run_async(locked_out)
    other.close()
    assert result.output == ["locked", False]
    assert_intact(sqlite_journal)


async def test_a_journal_locked_for_too_long_is_one_error(
    sqlite_journal: str, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(sqlite_journal).close()
    run, other = new_run_id(), sqlite3.connect(sqlite_journal, isolation_level=None)
    held: list[int] = []

    def lock(event: object) -> None:
        held.append(1)
        if len(held) == 9:
            other.execute("BEGIN EXCLUSIVE")

    monkeypatch.setattr(commits, "LOCK_WAIT_S", 0.05)
    with pytest.raises(JournalError, match=r"j.*\.db: database is locked: another process holds"):
        await Runner(journal=sqlite_journal, on_event=lock).run_as(run, fills, COUNT)
    other.close()
    await assert_goes_on(sqlite_journal, run, calls)


# A damaged file ------------------------------------------------------------------------------


@flow
async def marks(text: str, count: int) -> int:
    """Leave a text in the journal many times."""
    return len(await parallel(mark(f"{text} {number}" * 5) for number in range(count)))


@tool
async def mark(text: str) -> str:
    """Return the text."""
    return text


def a_page_with(text: bytes, whole: bytes) -> int:
    """Return where a page begins that holds rows with `text` and nothing else."""
    leaf = b"\x0a"  # first byte of a page that no other page of its table is found through
    starts = [at for at in range(0, len(whole), 4096) if whole[at : at + 1] == leaf]
    pages = {at: whole[at : at + 4096] for at in starts}
    return next(at for at in starts if text in pages[at] and b"sound" not in pages[at])


async def test_a_damaged_page_is_one_error_and_spoils_no_other_run(sqlite_journal: str) -> None:
    path, runner = Path(sqlite_journal), Runner(journal=sqlite_journal)
    kept = [(await runner.run_async(marks, "sound", 300)).id]
    spoiled = (await runner.run_async(marks, "needle", 300)).id
    kept.append((await runner.run_async(marks, "sound", 300)).id)
    whole = path.read_bytes()
    page = a_page_with(b"needle", whole)
    path.write_bytes(whole[:page] + b"\xff" * 64 + whole[page + 64 :])
    with Journal(sqlite_journal) as journal:
        with pytest.raises(JournalError, match=r"journal\.db: .*the file is damaged"):
            journal.run(spoiled)
        assert [journal.run(run).value() for run in kept] == [300, 300]
    shown = warm.run("-m", "agentflow.cli.main", "show", spoiled, "-j", sqlite_journal, cwd=ROOT)
    assert shown.returncode == 1
    assert shown.stderr.count("\n") == 1
    assert f"Error: journal {sqlite_journal}: " in shown.stderr
    path.write_bytes(whole)
    assert_intact(sqlite_journal)
    assert (await runner.replay(marks, spoiled)).output == 300


# Two that want the same run ------------------------------------------------------------------


async def test_of_two_processes_that_resume_a_run_one_wins(journal: str, calls: Path) -> None:
    run = new_run_id()
    conditions["stop"] = 5
    with pytest.raises(ToolError, match="far enough"):
        await Runner(journal=journal).run_as(run, fills, COUNT)
    del conditions["stop"]
    calls.write_text("")
    winner = start(journal, run, resume=True, gate=12)
    assert winner.stdout.readline() == "at the gate\n"
    with pytest.raises(RunBusyError, match=f"run {run} is being written by process {winner.pid}"):
        await Runner(journal=journal).resume(fills, run)
    refused = warm.run("-m", "agentflow.cli.main", "resume", run, "-j", journal, cwd=ROOT)
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1].startswith("Error: journal ")
    assert f"process {winner.pid}" in refused.stderr
    assert end(winner) == {"output": COUNT * SIZE}
    assert calls.read_text().split() == [str(x) for x in range(5, COUNT)]
    assert_intact(journal)


def take_over(store: Store, run: str, *, is_late: bool) -> None:
    """Have the run belong to another machine, which last gave a sign of life long ago or just now."""
    until = "0" if is_late else "9e12"
    owner = f"UPDATE runs SET owner = 'elsewhere|1|1', lease_until = {until} WHERE id = '{run}'"
    with store.writing() as connection:
        connection.exec_driver_sql(owner)


async def test_a_writer_that_was_taken_for_dead_writes_nothing_more(journal: str) -> None:
    store, other = Store(journal), Store(journal)
    run = new_run_id()
    old = JournalWriter(store, store.new_run(run))
    begun = RunStarted(number=1, at=0.0, flow="f", target="m:f", input=b"{}", settings={})
    old.append(begun)
    await old.durable()
    take_over(other, run, is_late=False)
    with pytest.raises(RunBusyError, match="is being written by process 1 on elsewhere"):
        other.claim_run(run)
    take_over(other, run, is_late=True)
    new = JournalWriter(other, other.claim_run(run))
    old.append(StepCancelled(number=2, at=0.0, step=1))
    with pytest.raises(LeaseLostError, match="another process has taken the run over"):
        await old.durable()
    with pytest.raises(LeaseLostError):
        await old.aclose()
    await new.aclose()
    assert other.events(other.find_run(run)[1]) == [begun]
    store.close()
    other.close()


async def test_a_run_that_was_taken_over_stops_and_repeats_nothing(
    journal: str, calls: Path
) -> None:
    Store(journal).close()
    run, other, heard = new_run_id(), Store(journal), 0

    def lose(_event: object) -> None:
        nonlocal heard
        heard += 1
        if heard == 12:
            take_over(other, run, is_late=True)
            other.claim_run(run)

    with pytest.raises(LeaseLostError):
        await Runner(journal=journal, on_event=lose).run_as(run, fills, COUNT)
    other.close()
    await assert_goes_on(journal, run, calls)


# A server that goes away ---------------------------------------------------------------------


async def test_a_server_that_drops_the_connection_is_one_error(
    postgres_journal: str, calls: Path
) -> None:
    run, other, heard = new_run_id(), Store(postgres_journal), 0
    drop = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def fail(_event: object) -> None:
        nonlocal heard
        heard += 1
        if heard == 12:
            with other.writing() as connection:
                connection.exec_driver_sql(drop)

    with pytest.raises(JournalError, match=r"postgresql.*: .*what was committed is intact"):
        await Runner(journal=postgres_journal, on_event=fail).run_as(run, fills, COUNT)
    other.close()
    await assert_goes_on(postgres_journal, run, calls)


async def test_a_writer_that_closes_while_its_thread_renews_the_lease_waits_for_it(
    sqlite_journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentflow.journal.commits.RENEW_S", 0.0)
    store = Store(sqlite_journal)
    writer = JournalWriter(store, store.new_run(new_run_id()))
    rival = sqlite3.connect(sqlite_journal, isolation_level=None, check_same_thread=False)
    rival.execute("BEGIN IMMEDIATE")
    writer._flush()  # the file is locked, so the renewal goes on in a thread
    assert writer._job is not None
    release = threading.Timer(0.3, rival.execute, ["COMMIT"])
    release.start()
    await writer.aclose()
    release.join()
    rival.close()
    store.close()
