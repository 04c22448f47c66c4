"""Read text files below the folder in which the run was started.

Owns the rule that a path chosen by a model never leads out of that folder, links included.
"""

from pathlib import Path

from agentflow import tool

MAX_BYTES = 200_000
MAX_ENTRIES = 500


@tool
def read_text(path: str) -> str:
    """Return the text of a file, given its path relative to the working folder."""
    file = _inside(path)
    if not file.is_file():
        raise ValueError(f"there is no file {path!r}")
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path!r} is larger than {MAX_BYTES} bytes")
    return file.read_text(encoding="utf-8", errors="replace")


@tool
def list_folder(path: str = ".") -> list[str]:
    """Return the names in a folder, given its path relative to the working folder; folders end in /."""
    folder = _inside(path)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {path!r}")
    names = sorted(item.name + ("/" if item.is_dir() else "") for item in folder.iterdir())
    return names[:MAX_ENTRIES]


def _inside(path: str) -> Path:
    root = Path.cwd().resolve()
    found = (root / path).resolve()
    if not found.is_relative_to(root):
        raise ValueError(f"{path!r} is outside the working folder")
    return found
