"""Where kept states lie: on the device, in host memory, in files; and how full each place is.

Owns the limits and the folder of files. The order is the order of giving up: what a tier has no room for goes to
the next one that is there, and from the last one nowhere.
"""

import os
import re
import shutil
import tempfile
from itertools import count
from pathlib import Path

from torch import device

from agentflow.recurrent.options import EngineOptions
from agentflow.recurrent.states.packing import Packed

DEVICE, HOST, FILE = range(3)
PREFIX = "agentflow-states-"


class Tiers:
    """The three places; `used` and `limits` are bytes."""

    def __init__(self, options: EngineOptions, on: device) -> None:
        self._options, self._on = options, on
        is_cpu = on.type == "cpu"
        files = options.spill_bytes if options.spill_folder else 0
        self.limits = [options.state_bytes, 0 if is_cpu else options.host_bytes, files]
        self.used = [0, 0, 0]
        self._names = count()
        self._folder: Path | None = None

    def add(self, tier: int, nbytes: int) -> None:
        """Count bytes that came to a tier, or left it."""
        self.used[tier] += nbytes

    def is_over(self, tier: int) -> bool:
        """Whether a tier holds more than it may."""
        return self.used[tier] > self.limits[tier]

    def lower(self, packed: Packed, tier: int, nbytes: int) -> int | None:
        """Move a state to the next tier in which it fits at all; None when there is none, or its disk is full."""
        for to in range(tier + 1, len(self.limits)):
            if nbytes > self.limits[to]:
                continue
            if to == HOST:
                packed.to_host()
                return to
            try:
                packed.to_file(self._file())
            except OSError:
                return None
            return to
        return None

    def close(self) -> None:
        """Remove all files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self) -> Path:
        if self._folder is None:
            assert self._options.spill_folder is not None
            self._folder = _own_folder(self._options.spill_folder)
        return self._folder / f"{next(self._names)}.safetensors"


def _own_folder(parent: Path) -> Path:
    """Make a folder of this process's; take away those of processes that are gone."""
    parent.mkdir(parents=True, exist_ok=True)
    for folder in parent.glob(f"{PREFIX}*"):
        match = re.fullmatch(rf"{PREFIX}(\d+)-.*", folder.name)
        if match and not _is_alive(int(match[1])):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
