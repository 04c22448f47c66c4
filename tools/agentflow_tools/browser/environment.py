"""A browser as an environment: a real Chromium that is read as text and acted on by numbers.

Owns the actions and their words. A page is distilled to its text and its elements, each of which has a
number (mmid) as long as its document lives. Every action says what has changed. What a page says is data of
a stranger: it is bounded, and marked as the page's words. Source of the idea: Abuelsaad et al., Agent-E,
arXiv:2407.13032.
"""

from collections.abc import Awaitable, Callable
from typing import Literal

from agentflow import Environment, action
from agentflow_tools.browser.chromium import Change, Chromium, PageError, RefusedError, Tab
from agentflow_tools.browser.reach import Reach

Content = Literal["text_only", "input_fields", "all_fields"]
Key = Literal[
    "Enter",
    "Tab",
    "Escape",
    "Space",
    "Backspace",
    "Delete",
    "ArrowUp",
    "ArrowDown",
    "ArrowLeft",
    "ArrowRight",
    "PageUp",
    "PageDown",
    "Home",
    "End",
]
PART_CHARS = 6_000
MOST_PARTS = 50
MAX_TEXT_CHARS = 4_000
MOST_NEWS = 12


class Browser(Environment):
    """One page in a headless Chromium.

    `site` is a folder of pages, which is served as http://site.test/ without a port; `hosts` are hosts that may
    be visited, as `example.org` or `127.0.0.1:8000`. Nothing else is loaded. `start` is the first page.
    `timeout_s` is the limit for what an action does, and again for the page to become quiet after it.

    Raises:
        MissingExtraError: The driver is not installed.
        MissingProgramError: There is no Chromium.
        InputError: The options allow nothing, or the wrong things.
        RefusedError: The first page may not be visited.
        PageError: The first page cannot be loaded.
    """

    def __init__(
        self,
        site: str = "",
        hosts: tuple[str, ...] = (),
        start: str = "",
        timeout_s: float = 30,
    ) -> None:
        self._reach = Reach(site, list(hosts))
        first = self._reach.whole(start, "") if start else self._reach.start
        self._chromium = Chromium(self._reach, timeout_s)
        try:
            self._at = self._seen(lambda: self._go(first)) if first != "about:blank" else None
        except BaseException:
            self._chromium.close()
            raise

    def opening(self) -> str:
        """Return which page is open, and how to look at it."""
        where = "an empty page" if self._at is None else f"{self._at.url} {self._at.title!r}"
        return (
            f"A browser, at {where}. get_dom tells what is on it; elements are named by their mmid."
        )

    def close(self) -> None:
        """End the browser."""
        self._chromium.close()

    @action
    def open_url(self, url: str) -> str:
        """Open an address, or a link's address of this page; returns where you are then."""
        return self._told("Opened.", lambda: self._go(self._reach.whole(url, self._tab.page.url)))

    @action
    def get_dom(self, content: Content = "all_fields", part: int = 1) -> str:
        """Read the page: `text_only`, `input_fields` (with buttons), or `all_fields` (text, fields and links). Elements begin with their mmid in brackets. A long page has further parts."""
        if not 1 <= part <= MOST_PARTS:
            raise PageError(f"part is from 1 to {MOST_PARTS}, not {part}")
        change = self._seen(_nothing)
        limit = part * PART_CHARS
        read = self._chromium.do(lambda: self._tab.ask(f"distilled({content!r}, {limit})"))
        text = str(read["text"])[:limit][limit - PART_CHARS :]
        more = f"\n(There is more: part={part + 1}.)" if read["is_cut"] else ""
        return f"{_where(change)} The page's own words:\n{text or '(nothing)'}{more}"

    @action
    def click(self, mmid: int) -> str:
        """Click on the element with this mmid; returns what changed."""

        async def click() -> None:
            await self._tab.ask(f"stay({mmid})")
            await self._tab.page.locator(await self._found(mmid)).click()

        return self._told(f"Clicked [{mmid}].", click)

    @action
    def enter_text(self, mmid: int, text: str) -> str:
        """Put this text into the field with this mmid, in place of what it holds, or choose the option of this name; returns what changed."""

        async def enter() -> None:
            element = self._tab.page.locator(await self._found(mmid))
            if await element.evaluate("element => element.tagName") == "SELECT":
                await element.select_option(label=text)
            else:
                await element.fill(text[:MAX_TEXT_CHARS])

        return self._told(f"Entered the text into [{mmid}].", enter)

    @action
    def press_key(self, key: Key) -> str:
        """Press a key where the cursor is, such as Enter in a field; returns what changed."""
        return self._told(f"Pressed {key}.", lambda: self._tab.page.keyboard.press(key))

    @action
    def go_back(self) -> str:
        """Go back to the page before; returns where you are then."""
        return self._told("Went back.", lambda: self._tab.page.go_back(wait_until="commit"))

    @property
    def _tab(self) -> Tab:
        return self._chromium.tab

    async def _go(self, url: str) -> None:
        why = self._reach.refusal(url)
        if why:
            raise RefusedError(why)
        await self._tab.page.goto(url, wait_until="commit")

    async def _found(self, mmid: int) -> str:
        selector = f'[mmid="{mmid}"]'
        if not await self._tab.page.locator(selector).count():
            raise PageError(f"there is no element {mmid} on this page; get_dom lists them")
        return f"{selector} >> nth=0"

    def _seen(self, move: Callable[[], Awaitable[object]]) -> Change:
        return self._chromium.do(lambda: self._tab.act(move))

    def _told(self, done: str, move: Callable[[], Awaitable[object]]) -> str:
        return f"{done} {_words(self._seen(move))}"


async def _nothing() -> None:
    """Only look."""


def _where(change: Change) -> str:
    return f"You are at {change.url} {change.title!r}."


def _words(change: Change) -> str:
    said = [_where(change)]
    said += [f"A dialog said {text!r} and was closed." for text in change.dialogs]
    if change.is_new:
        return " ".join([*said, "It is a new page."])
    if change.news:
        said.append("New or changed on it:\n" + "\n".join(change.news[:MOST_NEWS]))
    elif change.gone:
        said.append("Something on it is gone.")
    else:
        said.append("Nothing else on it has changed.")
    return " ".join(said)
