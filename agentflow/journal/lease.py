"""Who may write a run.

Owns the lease: a run has one writer at a time. The writer's process is named in the run's row with a
time until which it is believed alive, and an epoch that counts the claims. A process on this machine
keeps its runs as long as it lives, and loses them at once when it is gone; one on another machine loses
them when its time is over. Whoever lost a run
finds another epoch in its next commit and writes nothing (fencing).
"""

import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select, update

from agentflow.errors import RunBusyError
from agentflow.journal import tables

LEASE_S = 30.0
RENEW_S = LEASE_S / 3

_held: set[tuple[str, int, int]] = set()
_held_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a run of `store`, claimed for the `epoch`-th time."""

    store: str
    run_id: str
    run: int
    epoch: int

    def hold(self) -> None:
        """Say that somebody in this process uses the lease."""
        with _held_lock:
            _held.add((self.store, self.run, self.epoch))

    def let_go(self) -> None:
        """Say that nobody in this process uses it any more; doing it twice changes nothing."""
        with _held_lock:
            _held.discard((self.store, self.run, self.epoch))


def claim(connection: Connection, store: str, run: int) -> Lease:
    """Take run number `run` for this process, inside a transaction.

    Raises:
        RunBusyError: Another process, or another run in this one, is writing it.
    """
    columns = tables.runs.c
    query = select(columns.id, columns.owner, columns.epoch, columns.lease_until)
    row = connection.execute(query.where(columns.number == run)).one()
    now = time.time()
    if row.owner is not None:
        is_mine = row.owner == own_name()
        if (store, run, row.epoch) in _held if is_mine else _holds(row.owner, row.lease_until, now):
            raise _busy(store, row.id, row.owner)
    mine = {"owner": own_name(), "epoch": row.epoch + 1, "lease_until": now + LEASE_S}
    taken = connection.execute(
        update(tables.runs)
        .where(columns.number == run, columns.epoch == row.epoch)
        .values(**mine, status=None, ended_at=None)
    )
    if taken.rowcount != 1:  # somebody was quicker
        raise _busy(store, row.id, "another process")
    return Lease(store, row.id, run, row.epoch + 1)


def own_name() -> str:
    """Return what names this process as an owner: host, process id, and when it started."""
    pid = os.getpid()
    return f"{_host()}|{pid}|{_started(pid)}"


def is_written(owner: str | None, lease_until: float | None, *, now: float) -> bool:
    """Return whether a run whose row says this is being written, as far as one can know."""
    if owner is None:
        return False
    if owner == own_name():
        return _is_in_time(lease_until, now)
    return _holds(owner, lease_until, now)


def _holds(owner: str, lease_until: float | None, now: float) -> bool:
    """Return whether another process still has its lease.

    Here, a process that lives has it, however long it was asleep or busy; elsewhere only time tells.
    """
    host, pid, started = _parts(owner)
    if host != _host():
        return _is_in_time(lease_until, now)
    if not _is_running(pid, started):
        return False
    # Without knowing when it began, the id may belong to another process by now.
    return bool(started) or _is_in_time(lease_until, now)


def _is_in_time(lease_until: float | None, now: float) -> bool:
    return lease_until is not None and lease_until >= now


def _busy(store: str, run: str, owner: str) -> RunBusyError:
    host, pid, _started_at = _parts(owner)
    who = f"process {pid} on {host.split('/')[0]}" if pid else owner
    problem = f"run {run} is being written by {who}; wait for it or stop it"
    return RunBusyError(store=store, problem=problem)


def _parts(owner: str) -> tuple[str, int, str]:
    host, _, rest = owner.partition("|")
    pid, _, started = rest.partition("|")
    return host, int(pid) if pid.isdigit() else 0, started


def _host() -> str:
    """Return the machine and, in a container, the process namespace: ids mean something only there."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no real file
    except OSError:
        space = ""
    return f"{socket.gethostname()}/{space}"


def _is_running(pid: int, started: str) -> bool:
    if os.name == "nt":  # there, signal 0 would end the process; the lease's time decides
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _started(pid) == started


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks; empty where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return "" if state in "ZX" else ticks
