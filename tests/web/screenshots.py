"""Make the pictures of docs/viewer.md anew, from a run that is really run: `docs/images/viewer-*.png`.

    python -m tests.web.screenshots [NAME…]    # all of PICTURES, or some

Owns what is to be seen. The run is that of examples/orders, with a model that writes what a small model
wrote there, at its pace but faster; needs a Chromium, and no network. With Pillow the files are smaller.
"""

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
from agentflow_web.server.serving import serve_in_thread
from playwright.sync_api import Browser, expect, sync_playwright

from agentflow import Change, Journal, ModelSpec, Runner
from agentflow.cli.prepare import Prepared, prepare
from agentflow.models.protocol import Price, Usage
from agentflow.solving import solve_task
from tests.planners.recode_parts import WANTED
from tests.web.browser.conftest import ARGUMENTS, NAMES
from tests.web.browser.viewer import PATIENCE_MS, Viewer, opened
from tests.wire import Scripted, WireServer, says
from tests.wire.script import Seen

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
TASK = ROOT / "examples" / "orders" / "task.yaml"
SIZE = {"width": 1280, "height": 800}
MOST_BYTES = 150_000
COLOURS = 256
MODEL = "coder"
RUN, FORK = "orders", "orders-per-item"
PIECE_CHARS, PIECE_S = 8, 0.012
LOOP = "    revenue = {{}}\n    for order in orders:\n        {0} = order['{0}']\n"
ADD = "        revenue[{0}] = revenue.get({0}, 0) + order['price'] * order['quantity']\n"
BODIES = {
    "solve": (
        "    totals = calculate_totals(orders)\n"
        "    regions = calculate_regions(orders)\n"
        "    products = calculate_products(orders)\n"
        '    return {"totals": totals, "regions": regions, "products": products}'
    ),
    "calculate_totals": (
        "    # revenue (float): sum of price * quantity over all orders\n"
        "    revenue = sum_revenue(orders)\n"
        "    # average (float): revenue divided by the number of orders\n"
        "    average = divide_revenue(revenue, orders)\n"
        '    return {"revenue": revenue, "average": average}'
    ),
    "calculate_regions": (
        "    revenue = region_revenue(orders)\n"
        "    best = find_best_region(revenue)\n"
        '    return {"revenue": revenue, "best": best}'
    ),
    "calculate_products": (
        "    revenue = product_revenue(orders)\n"
        "    best = find_best_product(revenue)\n"
        '    return {"revenue": revenue, "best": best}'
    ),
    "sum_revenue": "    return sum(order['price'] * order['quantity'] for order in orders)",
    "divide_revenue": "    return revenue / len(orders)",
    "region_revenue": (LOOP + ADD + "    return revenue").format("region"),
    "product_revenue": (LOOP + ADD + "    return revenue").format("product"),
    "find_best_region": "    return max(revenue, key=revenue.get)",
    "find_best_product": "    return max(revenue, key=revenue.get)",
}
PARAMETERS = {"divide_revenue": "revenue, orders"}
WRONG = "    return max(revenue, key=revenue.value)"  # what is written first, and fails
PER_ITEM = "    return revenue / sum(order['quantity'] for order in orders)"


class Paced(tuple[str, ...]):
    """The pieces of a reply, with the time between them that a model takes."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        """Yield the pieces."""
        for piece in super().__iter__():
            time.sleep(PIECE_S)
            yield piece


def answers() -> Callable[[Seen], Scripted]:
    """Return what the model says: each function as asked for, one of them wrong at first."""
    asked = Counter[str]()

    def answer(seen: Seen) -> Scripted:
        name = WANTED.findall(seen.text)[-1]
        asked[name] += 1
        body = WRONG if name == "find_best_product" and asked[name] == 1 else BODIES[name]
        body = PER_ITEM if "per item" in seen.text else body
        parameters = "revenue" if name.startswith("find_") else "orders"
        text = f"```python\ndef {name}({PARAMETERS.get(name, parameters)}):\n{body}\n```\n"
        pieces = [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]
        usage = Usage(input_tokens=len(seen.text) // 4, output_tokens=len(text) // 4)
        return says(usage=usage).but(text=Paced(pieces))

    return answer


def _prepared(journal: str, base_url: str) -> Prepared:
    return prepare(TASK, model=f"{base_url}#{MODEL}", planner=None, journal=journal)


async def make_runs(journal: str, base_url: str) -> None:
    """Run the example, and fork it where one function is written."""
    spec = ModelSpec(
        provider="openai", name=MODEL, base_url=base_url, price=Price(input=0.25, output=2)
    )
    prepared = await anyio.to_thread.run_sync(_prepared, journal, base_url)
    runner = Runner(model=spec, journal=journal, budget=prepared.budget)
    await runner.run_as(RUN, solve_task, prepared.task, prepared.planner, prepared.checks)
    with Journal(journal) as opened_:
        steps = opened_.run(RUN).steps
        written = next(n for n, step in steps.items() if step.name == "divide_revenue")
        at = next(n for n, step in steps.items() if step.parent == written and step.kind == "model")
        wrong = next(n for n, step in steps.items() if step.name == "find_best_product")
        opened_.annotate(
            RUN, "Wrote revenue.value, read the error, wrote it anew.", step=wrong, tag="good"
        )
        prompt = json.loads(steps[at].input)["request"]["messages"][-1]["text"]
    change = Change(prompt=prompt.replace("number of orders", "number of items sold: per item"))
    await runner.fork(solve_task, RUN, at=at, change=change, new_run=FORK)


@dataclass(frozen=True)
class Desk:
    """Where pictures are taken: a browser, a served journal, and the folder they go to."""

    browser: Browser
    origin: str
    token: str
    folder: Path

    def take(self, name: str, theme: str, arrange: Callable[[Viewer], None]) -> None:
        """Open a page, arrange it, and write what is seen."""
        settings: dict[str, Any] = {"viewport": SIZE, "color_scheme": theme}
        with opened(self.browser, self.origin, self.token, **settings) as viewer:
            arrange(viewer)
            viewer.page.mouse.move(0, 0)
            viewer.page.wait_for_load_state("networkidle")
            path = self.folder / f"viewer-{name}.png"
            viewer.page.screenshot(path=path)
        _shrink(path)
        print(f"{path.name}: {path.stat().st_size:,} bytes")
        assert path.stat().st_size < MOST_BYTES, f"{path} is too large"


def _shrink(path: Path) -> None:
    """Give a picture fewer colours, where Pillow is there to do it."""
    try:
        from PIL import Image  # not a dependency
    except ImportError:
        return
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def tree(viewer: Viewer) -> None:
    """The outline, with a call of the model beside it."""
    viewer.open(RUN)
    viewer.row("divide_revenue").click()
    viewer.page.keyboard.press("ArrowDown")
    expect(viewer.panel).to_contain_text("number of orders")
    viewer.page.keyboard.press("Shift+F")


def view(name: str, step: str, viewer: Viewer) -> None:
    """One of the other views, at a step."""
    viewer.open(RUN)
    viewer.choose(step)
    shown = viewer.show(name)
    if name == "Graph":
        shown.get_by_role("button", name="Fit").click()


def moment(viewer: Viewer) -> None:
    """The run as it was at half of it."""
    viewer.open(RUN)
    viewer.choose("calculate_products")
    viewer.page.keyboard.press("Shift+F")
    last = int(viewer.playhead.get_attribute("max") or 0)
    viewer.playhead.fill(str(last // 2))
    expect(viewer.page.get_by_role("button", name="to the end")).to_have_attribute(
        "aria-pressed", "false"
    )


def compare(viewer: Viewer) -> None:
    """The run beside its fork, at a program that came out otherwise."""
    viewer.open_compared(RUN, FORK)
    rows = viewer.page.get_by_role("row").filter(has_text="divide_revenue program")
    rows.first.click()


def fork(viewer: Viewer) -> None:
    """What a fork would do, seen before it is started."""
    viewer.open(RUN)
    viewer.row("divide_revenue").click()
    viewer.page.keyboard.press("ArrowDown")
    viewer.page.keyboard.press("x")
    prompt = viewer.dialog.get_by_role("tab", name="Prompt")
    prompt.click()
    field = viewer.dialog.get_by_role("textbox").first
    field.fill(field.input_value().replace("number of orders", "number of items sold"))
    viewer.dialog.get_by_role("button", name="Dry run").click()
    told = viewer.dialog.get_by_role("region", name="dry run")
    expect(told).to_be_visible()
    told.evaluate("element => element.parentElement.scrollTo(0, 1e6)")


def share(viewer: Viewer) -> None:
    """What a file would hold, seen before it is written."""
    viewer.open(RUN)
    viewer.page.get_by_role("button", name="Share").click()
    viewer.dialog.get_by_role("textbox").fill(r"North|South")
    viewer.dialog.get_by_role("button", name="Preview").click()
    expect(viewer.dialog.get_by_role("region", name="preview")).to_be_visible()


PICTURES: tuple[tuple[str, str, Callable[[Viewer], None]], ...] = (
    ("tree", "light", tree),
    ("tree-dark", "dark", tree),
    ("flame", "dark", partial(view, "Flame", "calculate_regions")),
    ("graph", "light", partial(view, "Graph", "solve program")),
    ("transcript", "dark", partial(view, "Transcript", "find_best_product")),
    ("table", "light", partial(view, "Table", "solve program")),
    ("moment", "light", moment),
    ("compare", "dark", compare),
    ("fork", "light", fork),
    ("share", "dark", share),
)


def main(folder: Path, chosen: set[str]) -> None:
    """Make the run and take the pictures; `chosen` are names of some, or none for all."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        sys.exit(f"needs a browser: none of {', '.join(NAMES)} is installed")
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE_MS)
    with TemporaryDirectory() as temporary, WireServer(answers()) as wire:
        journal = str(Path(temporary) / "journal.db")
        with ThreadPoolExecutor(1) as thread:  # the browser's driver takes this thread's event loop
            thread.submit(anyio.run, make_runs, journal, wire.openai_url).result()
        with serve_in_thread(journal) as serving, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
            desk = Desk(browser, serving.origin, serving.token, folder)
            for name, theme, arrange in PICTURES:
                if not chosen or name in chosen:
                    desk.take(name, theme, arrange)
            browser.close()


if __name__ == "__main__":
    main(IMAGES, set(sys.argv[1:]))
