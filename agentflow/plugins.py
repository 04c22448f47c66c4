"""Find planners, tools, environments, scorers, suites, traces, commands and viewers by name.

Owns the look-up through entry points, so that a third party's package is as good as ours. Nothing is
imported until it is asked for by name.
"""

import difflib
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from agentflow.errors import PluginError

PluginKind = Literal[
    "planner", "tool", "environment", "scorer", "suite", "trace", "command", "viewer"
]


@lru_cache
def _entries(kind: PluginKind) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"agentflow.{kind}s")}


def installed(kind: PluginKind) -> list[str]:
    """Return the names of the installed plugins of that kind, sorted."""
    return sorted(_entries(kind))


def load(kind: PluginKind, name: str) -> Any:
    """Return the planner, tool, environment, scorer, suite, source of traces, command or viewer called `name`.

    Raises:
        PluginError: None is installed under that name, or it cannot be imported.
    """
    entry = _entries(kind).get(name)
    if entry is None:
        near = difflib.get_close_matches(name, installed(kind), n=1)
        raise PluginError(
            kind=kind, name=name, installed=installed(kind), near=near[0] if near else None
        )
    return entry.load()


def load_planner(name: str) -> Any:
    """Return the planner called `name`: a flow `Task -> Result`.

    Raises:
        PluginError: None is installed under that name, or it cannot be imported.
    """
    return load("planner", name)
