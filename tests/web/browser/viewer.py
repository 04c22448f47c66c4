"""The page as a person uses it: opened at an address, looked at, and watched for what must not happen.

Owns the watch: an error on the console, an exception of the page or a request to anybody but its own
server fails the test. Waiting is always for a condition.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

PATIENCE_MS = 30_000
SIZE = {"width": 1400, "height": 900}


@dataclass
class Watch:
    """What a page did that it must not do; `allowed` are patterns of what a test expects."""

    origin: str
    faults: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Begin to watch."""
        context.on("console", lambda said: self._hear(said.type, said.text))
        context.on("weberror", lambda error: self.faults.append(f"exception: {error.error}"))
        context.on("request", lambda request: self._see(request.url))

    def check(self) -> None:
        """Fail if there was anything."""
        bad = [fault for fault in self.faults if not any(re.search(p, fault) for p in self.allowed)]
        assert not bad, bad

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(f"{kind}: {text}")

    def _see(self, url: str) -> None:
        self.asked.append(url)
        if not url.startswith((f"{self.origin}/", "blob:", "data:")):
            self.faults.append(f"request to {url}")


@dataclass
class Viewer:
    """A page of the viewer in a browser."""

    page: Page
    origin: str
    token: str
    watch: Watch

    def open(self, run: str = "", **params: object) -> None:
        """Load the list of runs, or one run with these parameters of the address."""
        route = f"/run/{run}" if run else "/runs"
        search = urlencode(params)
        self.page.goto("about:blank")
        self.page.goto(f"{self.origin}/#{route}{'?' + search if search else ''}")
        if run:
            self.wait_loaded()

    def open_compared(self, one: str, other: str) -> None:
        """Load two runs compared."""
        self.page.goto(f"{self.origin}/#/compare/{one}/{other}")
        expect(self.page.get_by_role("toolbar", name="differences")).to_be_visible()

    def wait_loaded(self) -> None:
        """Wait until all events of the run are there."""
        facts = self.page.locator("header .facts span")
        expect(facts.filter(has_text=re.compile(r"^[1-9][\d,]* steps?$"))).to_be_visible()

    def show(self, view: str) -> Locator:
        """Choose a view by its tab; return where it is shown."""
        self.page.get_by_role("tablist", name="view").get_by_role("tab", name=view).click()
        return self.page.locator("main#view")

    @property
    def rows(self) -> Locator:
        """The rows of the outline that are in the document."""
        return self.page.locator("[role=treegrid] [role=row]")

    @property
    def panel(self) -> Locator:
        """The panel of the selected step."""
        return self.page.get_by_role("region", name="Selected step")

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.get_by_role("dialog")

    @property
    def playhead(self) -> Locator:
        """The slider of the moments."""
        return self.page.get_by_role("slider", name="moment")

    @property
    def selected(self) -> int:
        """The number of the selected step; 0 for none."""
        row = self.page.locator("[role=treegrid] [role=row][aria-selected=true]")
        return int(row.get_attribute("data-step") or 0) if row.count() else 0

    def row(self, name: str, nth: int = 0) -> Locator:
        """The nth row in sight of a step of this name."""
        return self.rows.filter(has=self.page.locator(".title", has_text=exactly(name))).nth(nth)

    def choose(self, name: str, nth: int = 0) -> None:
        """Select a step by its row, and wait for its contents."""
        self.row(name, nth).click()
        expect(self.panel.get_by_role("heading", level=2)).to_contain_text(name)

    def tab(self, name: str) -> Locator:
        """Choose a tab of the step panel; return what it shows."""
        tabs = self.panel.get_by_role("tablist", name="Contents of the step")
        tabs.get_by_role("tab", name=re.compile(f"^{name}")).click()
        return self.panel.get_by_role("tabpanel")

    def params(self) -> dict[str, str]:
        """Return the parameters of the address."""
        search = self.page.url.partition("?")[2]
        return {name: values[0] for name, values in parse_qs(search).items()}

    def wait_param(self, name: str, value: str | None) -> None:
        """Wait until the address holds a parameter; None: until it does not."""
        self.page.wait_for_function(
            "([name, value]) => new URLSearchParams(location.hash.split('?')[1] ?? '').get(name) === value",
            arg=[name, value],
        )


def exactly(text: str) -> re.Pattern[str]:
    """Return a pattern for this text and nothing more."""
    return re.compile(rf"^\s*{re.escape(text)}\s*$")


@contextmanager
def opened(browser: Browser, origin: str, token: str, **options: object) -> Iterator[Viewer]:
    """Give a page of a context of its own, which is watched and closed."""
    settings: dict[str, object] = {"viewport": SIZE, "reduced_motion": "reduce", **options}
    context = browser.new_context(**settings)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    if token:  # without one, it is in the address that is opened
        here = f"location.origin === {origin!r}"  # nothing can be stored for an empty page
        context.add_init_script(f"{here} && sessionStorage.setItem('agentflow-token', {token!r})")
    watch = Watch(origin)
    watch.over(context)
    try:
        yield Viewer(context.new_page(), origin, token, watch)
    finally:
        context.close()
    watch.check()
