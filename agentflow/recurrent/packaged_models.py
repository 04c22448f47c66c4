"""Recurrent models that come with this package: a folder each in `packaged/`, found by the folder's name.

Owns the names and what is told of these models. Knows no torch: they can be named and listed without the extra
`recurrent`. A path is never a name: `./pocket` is the user's own folder, `pocket` the one that comes along.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).with_name("packaged")
LICENCE = "Apache-2.0"  # that of the distribution they are part of
CONFIG, CARD = "config.json", "card.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class PackagedModel:
    """A model that came along."""

    folder: Path

    @property
    def name(self) -> str:
        """What it is asked for by."""
        return self.folder.name

    @property
    def about(self) -> str:
        """One line of its card."""
        card = json.loads((self.folder / CARD).read_text(encoding="utf-8"))
        return str(card["about"])

    @property
    def size_bytes(self) -> int:
        """All its files together."""
        return sum(file.stat().st_size for file in self.folder.iterdir())


def packaged(root: Path | None = None) -> tuple[PackagedModel, ...]:
    """Return all, by name; `root` is where their folders are, when not in this package."""
    root = ROOT if root is None else root
    folders = sorted(config.parent for config in root.glob(f"*/{CONFIG}"))
    return tuple(PackagedModel(folder) for folder in folders)


def find_packaged(name: str, root: Path | None = None) -> PackagedModel | None:
    """Return the one of that name; None if there is none."""
    folder = (ROOT if root is None else root) / name
    is_here = _NAME.fullmatch(name) is not None and (folder / CONFIG).is_file()
    return PackagedModel(folder) if is_here else None


def folder_of(model: str) -> str:
    """Return where a model is that was asked for by name; anything else as it was given."""
    found = find_packaged(model)
    return model if found is None else str(found.folder)
