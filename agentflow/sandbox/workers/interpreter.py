"""Which Python runs inside a jail, and which files it needs to.

Owns the search for the interpreter, its standard library and the shared libraries of its extension modules. Of
a virtual environment, the Python it was made from is taken: installed packages are not part of it.
"""

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Loads what the library can load, so that the list of mapped files is complete.
_ASK = """
import glob, importlib, json, os, sys, sysconfig
stdlib = sysconfig.get_path("stdlib")
folders = [path for path in sys.path if path.endswith("lib-dynload")]
for folder in folders:
    for file in glob.glob(os.path.join(glob.escape(folder), "*.so")):
        name = os.path.basename(file).partition(".")[0]
        if not name.startswith(("_test", "_xx", "xx")):
            try:
                importlib.import_module(name)
            except ImportError:
                pass
with open("/proc/self/maps") as maps:
    mapped = {line.split(None, 5)[5].strip() for line in maps if line.count("/")}
print(json.dumps([stdlib, folders, sorted(mapped)]))
"""
_PACKAGES = ("site-packages", "dist-packages")
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/libexec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python and its files.

    `loader` is the dynamic loader that the executable names. `libraries` are folders of the system's
    libraries and single library files from elsewhere.
    """

    executable: str
    loader: str
    stdlib: str
    dynload: tuple[str, ...]
    libraries: tuple[str, ...]

    @property
    def packages(self) -> tuple[str, ...]:
        """Folders of installed packages that lie inside the standard library's."""
        found = (Path(self.stdlib, name) for name in _PACKAGES)
        return tuple(str(path) for path in found if path.is_dir())


@cache
def find_interpreter() -> Interpreter:
    """Return the Python that this one is, or was made from.

    Raises:
        OSError: It is not on Linux, or does not run.
    """
    if platform.system() != "Linux":
        raise OSError(f"it needs Linux, this is {platform.system() or 'an unknown system'}")
    executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    command = [executable, "-I", "-S", "-c", _ASK]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command, capture_output=True, text=True, check=False, timeout=60, env={"LANG": "C.UTF-8"}
    )
    if done.returncode != 0:
        raise OSError(f"{executable} does not run: {done.stderr.strip()[-300:]}")
    stdlib, dynload, mapped = json.loads(done.stdout)
    libraries = _libraries([path for path in mapped if path.startswith("/")], stdlib, executable)
    return Interpreter(
        executable=executable,
        loader=_loader(executable),
        stdlib=stdlib,
        dynload=tuple(dynload),
        libraries=libraries,
    )


def _loader(executable: str) -> str:
    """Return the loader that the head of an ELF file names; empty for a static one."""
    with Path(executable).open("rb") as file:
        named = re.search(rb"(/[\w./+-]*/ld-[\w.+-]+)\0", file.read(8192))
    return "" if named is None else named[1].decode()


def _libraries(mapped: list[str], stdlib: str, executable: str) -> tuple[str, ...]:
    found: set[str] = set()
    for path in mapped:
        is_inside = path.startswith((f"{stdlib}/", f"{os.path.realpath(stdlib)}/"))
        if is_inside or path == executable or ".so" not in path:
            continue
        folder = str(Path(path).parent)
        if folder.startswith(_SYSTEM):
            found.add(folder)
        else:
            found.update(_names(path, folder))
    return tuple(sorted(found))


def _names(path: str, folder: str) -> list[str]:
    """Return all names in its folder under which a library can be asked for."""
    return [entry.path for entry in os.scandir(folder) if os.path.realpath(entry.path) == path]
