"""`--view`: a page that shows a run while it goes on.

Owns the option and the way to the viewer, which is found by its entry point: it stands on the SDK and
may be another package's.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import click

from agentflow import plugins
from agentflow.errors import JournalError, MissingExtraError, PluginError
from agentflow.journal.events import Event
from agentflow.journal.store import Store

VIEWER = "web"
F = TypeVar("F", bound=Callable[..., Any])


class Page(Protocol):
    """A page that is being served; leaving the context that gave it ends it."""

    @property
    def address(self) -> str:
        """What to open in a browser."""

    def hear(self, event: Event) -> None:
        """Take in one event of the run; never waits."""

    def wait_ended(self) -> None:
        """Wait until somebody presses Ctrl-C."""


def view_option(command: F) -> F:
    """Give a command the option `--view`."""
    text = "Show the run as a page while it goes on. At a terminal the page stays until Ctrl-C; "
    text += "otherwise, and with --quiet or --json, it ends with the run."
    return click.option("--view", is_flag=True, help=text)(command)


def open_page(journal: str | None, run: str) -> AbstractContextManager[Page]:
    """Serve a page about a run that is about to begin.

    Raises:
        MissingExtraError: No viewer is installed.
        JournalError: A page cannot read that journal.
    """
    try:
        viewer = plugins.load("viewer", VIEWER)
    except PluginError as error:
        raise MissingExtraError(feature="--view", extra="view") from error
    store = Store(journal)  # made now, so that the page has something to read from the start
    store.close()
    if not store.is_lasting:
        problem = "a journal in memory cannot be shown with --view; name a file"
        raise JournalError(store=store.name, problem=problem)
    page: AbstractContextManager[Page] = viewer(journal, run)
    return page


def is_attended() -> bool:
    """Whether a person is there to press Ctrl-C."""
    return sys.stdin.isatty() and sys.stderr.isatty()
