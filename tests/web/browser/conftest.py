"""A real browser, real runs, and a real server between them.

The browser's driver takes this thread's event loop as long as it lives, so the browser belongs to this
folder alone, and what needs a loop of its own gets a thread.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from agentflow_web.server.serving import serve_in_thread
from playwright.sync_api import Browser, expect, sync_playwright

from tests.web.big_run import write_big_run
from tests.web.browser import viewer as viewing
from tests.web.browser.runs import KEY, answers, make_runs
from tests.web.browser.viewer import PATIENCE_MS, Viewer
from tests.wire import WireServer

NAMES = ("chromium", "chromium-browser", "google-chrome")
BIG_STEPS = 107_000  # which the simulation takes as a hint: it makes a few less
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
T = TypeVar("T")
Opener = Callable[..., AbstractContextManager[Viewer]]


@dataclass(frozen=True)
class Site:
    """A viewer that is served, and what it shows."""

    origin: str
    token: str
    journal: str


def in_thread(work: Callable[..., T], *arguments: object) -> T:
    """Do something in a thread of its own, where it can have an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *arguments).result()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def key() -> Iterator[None]:
    """The name of a key that our model's server does not look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY, "none")
        yield


@pytest.fixture(scope="package")
def wire(key: None) -> Iterator[WireServer]:
    with WireServer(answers()) as server:
        yield server


@pytest.fixture(scope="package")
def journal(wire: WireServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A journal with every run of `runs`; for tests that change nothing."""
    path = str(tmp_path_factory.mktemp("browsed") / "journal.db")
    in_thread(make_runs, path, wire.openai_url)
    return path


@pytest.fixture(scope="package")
def site(journal: str) -> Iterator[Site]:
    with serve_in_thread(journal) as serving:
        yield Site(serving.origin, serving.token, journal)


@pytest.fixture(scope="package")
def big_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A viewer of a run of 100,000 steps, which is made once for all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    path = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "big.db"
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            in_thread(write_big_run, str(path), BIG_STEPS)
    with serve_in_thread(str(path)) as serving:
        yield Site(serving.origin, serving.token, str(path))


@pytest.fixture
def open_viewer(browser: Browser) -> Opener:
    """Give pages of contexts of their own: `with open_viewer(site.origin, site.token) as viewer:`."""
    return partial(viewing.opened, browser)


@pytest.fixture
def viewer(open_viewer: Opener, site: Site) -> Iterator[Viewer]:
    """A page of a context of its own, on the runs that no test changes."""
    with open_viewer(site.origin, site.token) as found:
        yield found
