"""One line of an examination: what was looked at, how it stands, what to type.

Owns the values. A finding never holds a key, a password or an address with one in it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Status = Literal["ok", "missing", "wrong"]
MAX_TOLD_CHARS = 300


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How one thing stands. `is_needed`: without it, hardly anything works; `fix` is what to do."""

    area: str
    name: str
    status: Status
    told: str
    fix: str = ""
    is_needed: bool = False


def is_well(findings: Iterable[Finding]) -> bool:
    """Return whether nothing is wrong and nothing that is needed is missing."""
    return not any(
        one.status == "wrong" or (one.status == "missing" and one.is_needed) for one in findings
    )


def short(text: object) -> str:
    """Return a message as one line of a sane length."""
    line = " ".join(str(text).split())
    return line if len(line) <= MAX_TOLD_CHARS else f"{line[: MAX_TOLD_CHARS - 3]}..."


def origin(url: str) -> str:
    """Return scheme, host and port of an address: what may be shown of it."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
        host = parts.hostname or "?"
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
