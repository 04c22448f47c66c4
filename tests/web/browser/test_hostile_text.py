"""Text of models in a real browser: nothing of it runs, nothing is fetched, all of it can be read.

The browser is told to ignore the page's content security policy, so that the cleaning stands alone.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anyio
import pytest
from agentflow_web.server.serving import serve_in_thread
from playwright.sync_api import Browser, Page

from agentflow import Runner, flow, generate, note
from tests.parts import Scripted

RUN = "hostile-run"
MARK = "**read me**"  # makes a text markdown
OUTSIDE = "https://outside.invalid"
STRINGS = (
    "<img src=x onerror='window.ran=1'>",
    f"<img src='{OUTSIDE}/beacon.png'>",
    f"![alt]({OUTSIDE}/beacon-in-markdown.png)",
    "<svg onload='window.ran=1'><script>window.ran=1</script></svg>",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "[click](javascript:window.ran=1) <a href='javascript:window.ran=1'>me</a>",
    "[click](&#106;avascript:window.ran=1) [or](data:text/html,<script>window.ran=1</script>)",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=window.ran=1&gt;'>",
    "<details open ontoggle='window.ran=1'>open</details>",
    f"<form action='{OUTSIDE}/form'><input name=attributes><button>send</button></form>",
    f"<style>@import url({OUTSIDE}/style.css); * {{ display: none }}</style>",
    f"<link rel=stylesheet href='{OUTSIDE}/link.css'><base href='{OUTSIDE}'>",
    f"<video src='{OUTSIDE}/video' poster='{OUTSIDE}/poster'></video><object data='{OUTSIDE}/object'></object>",
    "<a id=app name=body>clobber</a><img name=getElementById><p class='unseen' style='position:fixed'>over</p>",
    "```python\n</code></pre><img src=x onerror='window.ran=1'>\n```",
    "```html onload=window.ran=1\n<script>window.ran=1</script>\n```",
    '[x]: javascript:window.ran=1\n[x] and <javascript:window.ran=1> and ![a"onerror="window.ran=1](x)',
    "| a | b |\n|---|---|\n| <img src=x onerror=window.ran=1> | [c](vbscript:window.ran=1) |",
    "<template><script>window.ran=1</script></template><noscript><img src=x onerror=window.ran=1></noscript>",
    "{@html '<img src=x onerror=window.ran=1>'} {window.ran=1} ${window.ran=1}",
    "![held](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+)",
    ">" * 5000 + " deep",
    "- " * 3000 + "deep",
    "[" * 20_000,
    "*_" * 8_000 + "x",
)
FORBIDDEN = (
    "script, style, link, base, iframe, object, embed, form, input, img, svg, math, video, audio, "
    "template, noscript, details, [id], [name], [style], [srcdoc], [src]"
)


@flow
async def says(texts: Sequence[str]) -> list[str]:
    """Have a model say each text."""
    for text in texts:
        note(text, **{"<img src=x onerror=window.ran=1>": text})
    return [(await generate(f"{MARK} {text}")).text for text in texts]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    journal = str(tmp_path_factory.mktemp("hostile") / "journal.db")
    runner = Runner(journal=journal, model=Scripted(lambda prompt: f"{prompt}\n\n{MARK}"))
    work = partial(runner.run_as, RUN, says, [*STRINGS, SPOOFED, LINKS, PICTURE])
    with ThreadPoolExecutor(1) as thread:  # the browser's driver has taken this thread's loop
        thread.submit(anyio.run, work).result()
    with serve_in_thread(journal) as serving:
        yield serving.address


SPOOFED = (
    "invoice\u202efdp.exe zero\u200bwidth tag\U000e0041 \x1b[31m family \U0001f469\u200d\U0001f4bb"
)
LINKS = "[bank](https://xn--80ak6aa92e.com/) <https://example.org/> [mail](mailto:a@example.org) [here](/api/runs)"
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = f"![a dot](data:image/png;base64,{DOT})"


@pytest.fixture(scope="module")
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """A page that is loaded once: what is shown changes with the address behind its `#`."""
    context = browser.new_context(bypass_csp=True)
    found = context.new_page()
    found.goto(address)
    yield found
    context.close()


@pytest.fixture
def page(opened: Page) -> Page:
    opened.evaluate("delete window.ran")
    return opened


def _show(page: Page, step: int, view: str = "tree") -> None:
    page.goto(f"{page.url.split('#')[0]}#/run/{RUN}?s={step}&v={view}")
    page.wait_for_selector(f"section[aria-label='Selected step'] h2:has-text('#{step}')")
    page.wait_for_selector("[role=tabpanel] article:last-of-type h3:has-text('assistant')")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(STRINGS)))
def test_what_a_model_says_neither_runs_nor_fetches_and_can_be_read(
    page: Page, number: int
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    origin = page.url.split("#")[0]
    _show(page, number + 2)
    panel = page.locator("[role=tabpanel]")
    inside = panel.locator(".markdown, .plain, pre")
    assert inside.count() >= 2, "prompt and reply are shown"
    assert page.locator(f":is(.markdown, .plain, .json) :is({FORBIDDEN})").count() == 0
    for link in panel.locator("a").all():
        assert (link.get_attribute("href") or "").startswith(("https://", "http://", "mailto:"))
    if STRINGS[number].startswith("<"):
        assert STRINGS[number] in (panel.text_content() or ""), "markup is shown as the text it is"
    while panel.get_by_role("button", name="Show all").count():
        panel.get_by_role("button", name="Show all").first.click()
    for button in panel.get_by_role("button", name="raw").all():
        button.dispatch_event("click")
    assert STRINGS[number] in (panel.text_content() or "")
    page.mouse.move(700, 400)
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.getElementById('app').tagName") == "DIV"
    assert [url for url in asked if not url.startswith(origin)] == []


@pytest.mark.slow
def test_a_branch_of_hostile_texts_neither_runs_nor_fetches(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{page.url.split('#')[0]}#/run/{RUN}?s=1&v=transcript")
    page.wait_for_selector(".entry article h3:has-text('assistant')")
    page.wait_for_function("!document.querySelector('.waiting')")
    assert page.locator(".entry").count() <= 60
    assert page.locator(f":is(.markdown, .plain, .json) :is({FORBIDDEN})").count() == 0
    assert page.evaluate("window.ran") is None
    assert {url.split("/")[2] for url in asked} == {page.url.split("/")[2]}


@pytest.mark.slow
def test_what_cannot_be_seen_is_made_visible(page: Page) -> None:
    _show(page, len(STRINGS) + 2)
    text = page.locator("[role=tabpanel]").inner_text()
    for shown in ("⟦U+202E⟧fdp.exe", "zero⟦U+200B⟧width", "tag⟦U+E0041⟧", "⟦U+001B⟧[31m"):
        assert shown in text
    assert "\U0001f469\u200d\U0001f4bb" in text
    assert "\u202e" not in text


@pytest.mark.slow
def test_a_link_shows_where_it_leads_and_tells_nobody_where_from(page: Page) -> None:
    _show(page, len(STRINGS) + 3)
    reply = page.locator("[role=tabpanel] article").last
    assert "bank (https://xn--80ak6aa92e.com/)" in reply.inner_text()
    assert "here (/api/runs)" in reply.inner_text()
    links = reply.locator("a")
    assert links.count() == 3
    for link in links.all():
        assert {"noreferrer", "noopener"} <= set((link.get_attribute("rel") or "").split())
        assert link.get_attribute("target") == "_blank"


@pytest.mark.slow
def test_a_picture_in_the_text_is_shown_when_asked_for(page: Page) -> None:
    _show(page, len(STRINGS) + 4)
    reply = page.locator("[role=tabpanel] article").last
    assert reply.locator("img").count() == 0
    assert "a dot" in reply.inner_text()
    reply.get_by_role("button", name="Show image 1").click()
    assert reply.locator("img").evaluate("image => image.complete && image.naturalWidth") == 1
