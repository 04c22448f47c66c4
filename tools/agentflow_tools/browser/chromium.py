"""A Chromium of one's own: one process, one page, a thread in which it is driven.

Owns the process and what holds for every page: nothing but what `Reach` allows is loaded; no downloads, no
further windows, no dialogs that wait; a clock that only moves when it is told to and chance that is the
same every time, so that the same actions lead to the same page; and a limit of time for everything. A
page that stops answering is thrown away. The process ends with `close`, and with this one.
"""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.from_thread import start_blocking_portal
from pydantic import BaseModel, ConfigDict

from agentflow.errors import MissingExtraError, MissingProgramError
from agentflow_tools.browser.reach import Reach

if TYPE_CHECKING:
    from playwright.async_api import (
        Browser,
        BrowserContext,
        CDPSession,
        Dialog,
        Page,
        Request,
        Route,
    )

T = TypeVar("T")

FEATURE = "the environment `browser`"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
REMEDY = "install Chromium (package `chromium`), or run `playwright install chromium`"
READER = Path(__file__).with_name("reading.js").read_text()
WORLD = "agentflow"
NOON = 1_767_268_800  # the time on every page when it is opened: 2026-01-01T12:00:00Z
# What a page's own scripts get: chance that is the same every time, and no second window.
SAME_CHANCE = """(() => {
  let seed = 1;
  Math.random = () => ((seed = (seed * 48271) % 2147483647) - 1) / 2147483646;
  window.open = () => null;
})()"""
ARGUMENTS = [
    "--disable-gpu",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--js-flags=--max-old-space-size=512",
]
TICK_MS = 250  # how far a page's clock goes in one round of waiting until it is quiet
MOST_ROUNDS, QUIET_ROUNDS, PAUSE_S = 12, 2, 0.03
MOST_LOADS = 20  # pages that may follow each other within one action
MOST_DIALOGS, DIALOG_CHARS = 3, 200
END_WAIT_S = 10.0


class PageError(Exception):
    """A page, or an element of it, could not be used; says why."""


class RefusedError(PageError):
    """Something that is not allowed was asked for, by the agent or by the page."""


class NotAnsweringError(PageError):
    """The page took too long, so it was thrown away."""


class Change(BaseModel):
    """What is different since the action before; the page's own words, bounded by the reader."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    title: str
    is_new: bool
    news: tuple[str, ...]
    gone: int
    dialogs: tuple[str, ...] = ()


class Chromium:
    """A running browser; every call waits, in whatever thread it is made.

    Raises:
        MissingExtraError: The driver is not installed.
        MissingProgramError: There is no browser, or it does not start.
    """

    def __init__(self, reach: Reach, timeout_s: float) -> None:
        self._stack = ExitStack()
        try:
            self._portal = self._stack.enter_context(start_blocking_portal("asyncio"))
            opened = self._portal.wrap_async_context_manager(_opened(reach, timeout_s))
            self.tab = self._stack.enter_context(opened)
        except BaseException:
            self._stack.close()
            raise

    def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` gives, done where the browser is driven."""
        return self._portal.call(work)

    def close(self) -> None:
        """End the process; nothing of it is left when this returns."""
        self._stack.close()


class Tab:
    """The one page of a browser, and the rules that hold on it."""

    page: "Page"

    def __init__(self, browser: "Browser", reach: Reach, timeout_s: float) -> None:
        self._browser, self.reach, self._timeout_s = browser, reach, timeout_s
        self._context: BrowserContext | None = None
        self._begin()

    def _begin(self) -> None:
        self._refused, self._loads = "", 0
        self._dialogs: list[str] = []

    async def renew(self) -> None:
        """Go on with an empty page; what was there before is gone, with all that it had stored."""
        old, self._context = self._context, None
        if old is not None:
            with anyio.move_on_after(END_WAIT_S):
                await old.close()
        context = self._context = await self._browser.new_context(
            accept_downloads=False,
            service_workers="block",
            reduced_motion="reduce",
            locale="en-US",
            timezone_id="UTC",
            viewport={"width": 1280, "height": 800},
        )
        context.set_default_timeout(self._timeout_s * 500)  # half of it: the rest is to look at it
        await context.add_init_script(SAME_CHANCE)
        await context.clock.install(time=NOON)
        await context.clock.pause_at(NOON + 1)
        await context.route("**/*", self._routed)
        self.page = await context.new_page()
        context.on("page", lambda page: page.close())
        self.page.on("dialog", self._heard)
        self.page.on("request", self._sent)
        self._cdp: CDPSession = await context.new_cdp_session(self.page)
        await self._cdp.send("Page.enable")
        script = {"source": READER, "worldName": WORLD, "runImmediately": True}
        await self._cdp.send("Page.addScriptToEvaluateOnNewDocument", script)

    async def act(self, move: Callable[[], Awaitable[object]]) -> Change:
        """Do something on the page, wait until it is quiet, and return what has changed.

        Raises:
            RefusedError: The page wanted to go where it may not; it stayed where it was.
            NotAnsweringError: It took too long.
            PageError: The move failed.
        """
        from playwright.async_api import Error  # noqa: PLC0415 - an extra

        self._begin()
        failed: Error | None = None
        try:
            with anyio.fail_after(self._timeout_s):
                try:
                    await move()
                except Error as error:
                    failed = error
            with anyio.fail_after(self._timeout_s):
                change = await self._settled()
        except (TimeoutError, Error) as error:
            await self.renew()
            problem = f"the page did not answer within {self._timeout_s:g} s; the browser is at an empty page now"
            raise NotAnsweringError(problem) from error
        if self._refused:
            raise RefusedError(self._refused)
        if failed is not None or self.page.url.startswith("chrome-error:"):
            raise PageError(_words(failed)) from failed
        return change.model_copy(update={"dialogs": tuple(self._dialogs)})

    async def ask(self, call: str) -> Any:
        """Return what the reader says, as plain data.

        Raises:
            PageError: It cannot say it.
            TimeoutError: The page takes too long.
        """
        with anyio.fail_after(self._timeout_s):
            tree = await self._cdp.send("Page.getFrameTree")
            where = {"frameId": tree["frameTree"]["frame"]["id"], "worldName": WORLD}
            world = (await self._cdp.send("Page.createIsolatedWorld", where))["executionContextId"]
            asked = {"expression": f"reader.{call}", "contextId": world, "returnByValue": True}
            answer = await self._cdp.send("Runtime.evaluate", asked)
        if "exceptionDetails" in answer:
            raise PageError("the page cannot be read")
        return answer["result"].get("value")

    async def _settled(self) -> Change:
        """Wait until nothing moves any more, or a page has moved for long enough."""
        rounds, quiet, last = 0, 0, None
        while rounds < MOST_ROUNDS and quiet < QUIET_ROUNDS:
            now = await self._tick()
            quiet = quiet + 1 if now is not None and now == last else 0
            rounds += now is not None
            last = now
            await anyio.sleep(PAUSE_S)
        return Change.model_validate(await self.ask("changes()"))

    async def _tick(self) -> object:
        """Let the page's clock go on; return what tells one moment from another, None on the way."""
        from playwright.async_api import Error  # noqa: PLC0415 - an extra

        try:
            await self.page.clock.run_for(TICK_MS)
            moment = await self.ask("moment()")
        except Error:  # a new document came in between
            return None
        return None if moment is None else (self._loads, self.page.url, moment)

    async def _routed(self, route: "Route") -> None:
        request = route.request
        is_move = _is_move(request)
        why = self.reach.refusal(request.url)
        self._loads += is_move
        if is_move and self._loads > MOST_LOADS:
            self._refused = (
                f"the page went on to another page {MOST_LOADS} times, so it was stopped"
            )
            await route.abort()
            return
        if why:
            self._refused = why if is_move else self._refused
            await route.abort("aborted")  # a page that wants to leave stays as it is
        elif self.reach.is_site(request.url):
            found = self.reach.served(request.url)
            await route.fulfill(status=found.status, content_type=found.kind, body=found.body)
        else:
            await route.continue_()

    def _sent(self, request: "Request") -> None:
        """Remember where a page was sent on to by its server: nobody is asked about that, it just fails."""
        if request.redirected_from is not None and _is_move(request):
            self._refused = self._refused or self.reach.refusal(request.url)

    async def _heard(self, dialog: "Dialog") -> None:
        if len(self._dialogs) < MOST_DIALOGS:
            self._dialogs.append(" ".join(dialog.message[:DIALOG_CHARS].split()))
        await dialog.dismiss()


@asynccontextmanager
async def _opened(reach: Reach, timeout_s: float) -> AsyncIterator[Tab]:
    try:
        from playwright.async_api import Error, async_playwright  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(feature=FEATURE, extra="browser") from error
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(
                executable_path=program(),
                args=[*ARGUMENTS, f"--host-resolver-rules={_names(reach)}"],
                # Chromium refuses its own sandbox to root, and there is none to gain.
                chromium_sandbox=os.geteuid() != 0,
            )
        except Error as error:
            problem = f"it does not start: {_words(error)}"
            raise MissingProgramError(
                feature=FEATURE, program="Chromium", problem=problem, remedy=REMEDY
            ) from error
        tab = Tab(browser, reach, timeout_s)
        try:
            await tab.renew()
            yield tab
        finally:
            with anyio.move_on_after(END_WAIT_S, shield=True):
                await browser.close()


def program() -> str | None:
    """Return the path of the machine's Chromium; None if it is only the driver that may have one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def _is_move(request: "Request") -> bool:
    """Return whether the whole page goes somewhere else, not just a part of it."""
    return request.is_navigation_request() and request.frame.parent_frame is None


def _names(reach: Reach) -> str:
    """Return the rules by which no other host or port is ever found, wherever a page is sent on to."""
    kept = [f"MAP {where} {where}" for where in sorted(reach.ports)]
    return ",".join([*kept, "MAP * ~NOTFOUND"])


def _words(error: Exception | None) -> str:
    """Return the driver's first line on what went wrong."""
    return "the page could not be loaded" if error is None else str(error).partition("\n")[0][:300]
