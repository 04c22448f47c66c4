"""What tests of games in Java need: a reason to skip them where they cannot run, and who is left behind."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from agentflow import Environment
from agentflow.java import java


def needs(package: str) -> pytest.MarkDecorator:
    """Return the mark that skips where the package or Java is missing."""
    missing = [] if importlib.util.find_spec(package) else [f"the package {package}"]
    missing += [] if java() else ["Java"]
    return pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}")


def do(world: Environment, action: str, **arguments: Any) -> Any:
    """Return what an action gives on the thing itself, outside of any run."""
    return getattr(world, action)(**arguments)


def machines(parent: int) -> set[int]:
    """Return the processes of games in Java that a process has started and that still run."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
            state, started_by = (place / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if b"py4j.GatewayServer" in command and state != "Z" and int(started_by) == parent:
            found.add(int(place.name))
    return found
