"""What the machine gives: a sandbox, programs, room for the journal.

Owns these looks; none of them changes anything, and a journal of an older version stays one.
"""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from agentflow.doctor.findings import Finding, short
from agentflow.errors import JournalError, SandboxUnavailableError
from agentflow.java import java
from agentflow.journal import tables
from agentflow.journal.engines import let_go, open_engine, shown_url, store_url
from agentflow.sandbox.workers.pool import VARIABLE, open_workers

PROGRAM_TIMEOUT_S = 5.0
LOW_BYTES = 10**9
LOCK_WAIT_S = 1.0
STRENGTH = {
    "bubblewrap": "strong: namespaces without network, files or other processes, and seccomp",
    "landlock": "good: the kernel's file rules and seccomp; bubblewrap would add namespaces",
}
PROGRAMS = (
    ("chromium", ("chromium", "chromium-browser", "google-chrome"), "the environment `browser`",
     "apt install chromium, or: playwright install chromium"),
    ("node", ("node",), "MCP servers that come by npx", "apt install nodejs npm"),
    ("java", ("java",), "the extra `worlds`",
     "pip install 'agentflow[worlds]' (one comes along), or: apt install default-jre-headless"),
)  # fmt: skip


async def sandbox_finding() -> Finding:
    """Return which sandbox confines generated code; it has to show that it does."""
    forced = os.environ.get(VARIABLE, "")
    try:
        workers = await open_workers(jails=1)
    except SandboxUnavailableError as error:
        return Finding(
            area="machine",
            name="sandbox",
            status="missing",
            told=f"generated code cannot run: {short(error.problem)}",
            fix=short(error.remedy),
            is_needed=True,
        )
    name = workers.launcher
    await workers.aclose()
    by_whom = f" (chosen by {VARIABLE})" if forced else ""
    told = f"{name}{by_whom}, {STRENGTH[name]}; it was just shown to hold"
    fix = "" if name == "bubblewrap" else "apt install bubblewrap"
    return Finding(area="machine", name="sandbox", status="ok", told=told, fix=fix)


def program_findings() -> list[Finding]:
    """Return which programs that parts of the framework start are here."""
    return [_program(*program) for program in PROGRAMS]


def journal_findings(journal: str | None = None) -> list[Finding]:
    """Return whether a journal can be read by this version, and has room; None is the user's own."""
    given = journal or os.environ.get("AGENTFLOW_JOURNAL") or None
    try:
        url = store_url(given)
        return [_journal(url, shown_url(url)), *_room(url)]
    except JournalError as error:
        fix = "give a path or database URL that is right: --journal, or AGENTFLOW_JOURNAL"
        told = short(error.problem)
        return [_bad("journal", told, fix)]


def _bad(name: str, told: str, fix: str) -> Finding:
    return Finding(area="machine", name=name, status="wrong", told=told, fix=fix, is_needed=True)


def _program(name: str, programs: tuple[str, ...], use: str, fix: str) -> Finding:
    path = java() if name == "java" else next(filter(None, map(shutil.which, programs)), None)
    if path is None:
        told = f"not on the PATH; {use} needs it"
        return Finding(area="machine", name=name, status="missing", told=told, fix=fix)
    if name == "chromium":  # its version costs a second, and a profile
        return Finding(area="machine", name=name, status="ok", told=path)
    try:
        said = subprocess.run(  # noqa: S603 - a program that the framework starts as well
            [path, "-version" if name == "java" else "--version"],
            capture_output=True,
            timeout=PROGRAM_TIMEOUT_S,
            check=True,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = f"{path} is there and does not run: {type(error).__name__}"
        return Finding(area="machine", name=name, status="wrong", told=told, fix=fix)
    first = (said.stdout or said.stderr).strip().partition("\n")[0]
    return Finding(area="machine", name=name, status="ok", told=short(first))


def _journal(url: str, shown: str) -> Finding:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        path = Path(parsed.database)
        if not path.exists():
            return _to_be_made(path)
        if problem := _unwritable(path):
            told = f"{shown} cannot be written: {problem}"
            return _bad("journal", told, "let this user write it, or give another path: --journal")
    try:
        engine = open_engine(url, shown, create=False)
    except JournalError as error:
        return _bad("journal", short(f"{shown}: {error.problem}"), "see docs/journal.md")
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(tables.meta.name):
                return _bad("journal", f"{shown} is no journal", "give another path: --journal")
            wanted = select(tables.meta.c.value).where(tables.meta.c.name == "schema")
            found = str(connection.execute(wanted).scalar_one_or_none())
    except SQLAlchemyError as error:
        told = (
            f"{shown} cannot be read: {short(getattr(error, 'orig', None) or type(error).__name__)}"
        )
        return _bad("journal", told, "restore a copy, or give another path: --journal")
    finally:
        let_go(engine)
    return _by_version(shown, found)


def _unwritable(path: Path) -> str | None:
    """Return why a run could not be written to a file; None where it could, or another one is just now."""
    try:
        with closing(sqlite3.connect(path, LOCK_WAIT_S, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # takes the lock, and leaves it
            connection.execute("ROLLBACK")
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return str(error) if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) else None
    return None


def _by_version(shown: str, found: str) -> Finding:
    known = tables.SCHEMA_VERSION
    if not found.isdecimal():
        return _bad("journal", f"{shown}: its schema has no version", "restore a copy")
    if int(found) > known:
        told = f"{shown}: schema {found}, written by a newer agentflow (this one knows {known})"
        return _bad("journal", told, "pip install -U agentflow")
    older = "" if int(found) == known else f"; the next run brings it to {known}"
    told = f"{shown}: opens, schema {found}{older}"
    return Finding(area="machine", name="journal", status="ok", told=told)


def _to_be_made(path: Path) -> Finding:
    folder = _nearest(path)
    if not os.access(folder, os.W_OK):
        return _bad(
            "journal",
            f"{path} cannot be made: {folder} is not writable",
            "give another path: --journal",
        )
    told = f"{path}: none yet, the first run makes it"
    return Finding(area="machine", name="journal", status="ok", told=told)


def _room(url: str) -> list[Finding]:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return []
    free = shutil.disk_usage(_nearest(Path(parsed.database))).free
    told = f"{free / 1e9:,.1f} GB free where the journal is"
    if free < LOW_BYTES:
        return [_bad("disk", told, "make room, e.g. with: agentflow journal prune --help")]
    return [Finding(area="machine", name="disk", status="ok", told=told)]


def _nearest(path: Path) -> Path:
    """Return the nearest folder above a path that is there."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())
