"""Measure whether what does not depend on each other runs side by side, next to the authors' own ReCode.

    python -m benchmarks.branches
    python -m benchmarks.branches --recode ../ReCode --repeats 5 --json branches.json

Two workloads in which only waiting takes time. *Episodes*: four at once, each acting twice, one after
the other, a second an action. *Tree*: one run whose root is answered at once and calls four functions; each
takes the model a second to write and calls another that takes a second more. Both are 8 s of waiting with
a critical path of 2 s. The peer is a checkout of github.com/FoundationAgents/ReCode; without one it is not
measured.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from agentflow_planners.recode import recode
from rich.console import Console
from rich.table import Table

from agentflow import Reply, Runner, Task, tool
from agentflow.models.protocol import ModelSpec, OnText, Price, Request, Usage

EPISODES = 4
CRITICAL_S, WAITING_S = 2.0, 8.0  # with a latency of 1 s
TARGET_S = 2.3
TITLES = {
    "episodes": "4 episodes of 2 actions, a second an action",
    "tree": "4 branches of 2 functions, a second to write one",
}
BRANCHES = ("first", "second", "third", "fourth")
WANTED = re.compile(r"^Write (\w+)\(", re.MULTILINE)
PEER = Path(__file__).parent / "peers" / "recode_authors.py"
WIDTH = 120  # of a table that goes into a file

FUNCTIONS = {
    "act_twice": "def solve():\n    one = act('one')\n    two = act('two')\n    return [one, two]",
    "solve": "def solve():\n"
    + "".join(f"    {name} = {name}_of({place})\n" for place, name in enumerate(BRANCHES))
    + f"    return [{', '.join(BRANCHES)}]",
    **{f"{name}_of": f"def {name}_of(n):\n    return {name}_part(n)" for name in BRANCHES},
    **{f"{name}_part": f"def {name}_part(n):\n    return n + 1" for name in BRANCHES},
}


class Script:
    """A model that writes the functions above, each after the latency; the root's at once."""

    price: Price | None = None
    concurrency: int | None = None

    def __init__(self, latency_s: float, root: str) -> None:
        self.spec = ModelSpec(provider="scripted", name="branches", retries=0)
        self._latency_s, self._root = latency_s, root
        self.calls = 0

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        self.calls += 1
        name = WANTED.findall(request.messages[-1].text)[-1]
        if name != "solve":
            await anyio.sleep(self._latency_s)
        text = f"```python\n{FUNCTIONS[self._root if name == 'solve' else name]}\n```"
        on_text(text)
        return Reply(text=text, usage=Usage(input_tokens=1, output_tokens=1), model="branches")

    async def aclose(self) -> None:
        """Nothing to close."""


async def episodes(latency_s: float, journal: str) -> float:
    """Run the episodes at once, each a run of its own in one journal; return the wall time."""

    @tool(effect=True)
    async def act(what: str) -> str:
        """Act; the world takes its time."""
        await anyio.sleep(latency_s)
        return what

    results: list[Any] = []

    async def episode() -> None:
        task = Task(goal="Do both.", tools=("act",))
        done = await Runner(
            journal=journal, model=Script(latency_s, "act_twice"), tools=[act]
        ).run_async(recode, task)
        results.append(done.output.output)

    started = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(EPISODES):
            group.start_soon(episode)
    wall_s = time.perf_counter() - started
    assert results == [["one", "two"]] * EPISODES, results
    return wall_s


async def tree(latency_s: float, journal: str) -> float:
    """Run the tree; return the wall time."""
    model = Script(latency_s, "solve")
    started = time.perf_counter()
    done = await Runner(journal=journal, model=model).run_async(recode, Task(goal="Add up."))
    wall_s = time.perf_counter() - started
    assert done.output.output == [1, 2, 3, 4], done.output
    assert model.calls == 1 + 2 * len(BRANCHES), model.calls
    return wall_s


def ours(workload: str, options: argparse.Namespace) -> list[float]:
    """Measure ours, results on the disk as by default; the first run, without latency, warms up."""
    run = {"episodes": episodes, "tree": tree}[workload]
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as folder:
        journal = str(Path(folder) / "journal.db")
        anyio.run(run, 0.0, journal)
        return [anyio.run(run, options.latency_s, journal) for _ in range(options.repeats)]


def theirs(workload: str, options: argparse.Namespace) -> list[float] | str:
    """Measure the authors' code in a process of its own, or say why it is not measured."""
    if options.recode is None:
        return "not measured"
    command = [sys.executable, str(PEER), str(options.recode.resolve()), workload]
    command += [str(options.latency_s), str(options.repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
    times: list[float] = json.loads(done.stdout)
    return times


ENGINES: dict[str, Callable[[str, argparse.Namespace], list[float] | str]] = {
    "agentflow, recode": ours,
    "the authors' ReCode": theirs,
}


def show(console: Console, cells: list[dict[str, Any]], latency_s: float) -> None:
    waiting, critical = WAITING_S * latency_s, CRITICAL_S * latency_s
    title = f"{waiting:g} s of waiting, {critical:g} s on the critical path"
    table = Table(title=title)
    for heading in ("workload", "engine"):
        table.add_column(heading)
    for heading in ("best, s", "median, s", "over critical"):
        table.add_column(heading, justify="right")
    for cell in cells:
        times = cell["wall_s"]
        name = (TITLES[cell["workload"]], cell["engine"])
        if isinstance(times, str):
            table.add_row(*name, times, "", "")
            continue
        median = statistics.median(times)
        figures = (f"{min(times):.2f}", f"{median:.2f}", f"{median / critical:.2f}")
        table.add_row(*name, *figures)
    console.print(table)
    if latency_s == 1:
        console.print(f"The target is {TARGET_S} s or less.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recode", type=Path, metavar="PATH", help="a checkout of the authors'")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency-s", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, help="where the journal goes (temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time there")
    options = parser.parse_args()
    if options.recode is not None and not (options.recode / "run.py").exists():
        parser.error(f"{options.recode} holds no run.py, so it is no checkout of ReCode")
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    console.print(f"Python {platform.python_version()}, {platform.system()}, {load}")
    cells: list[dict[str, Any]] = []
    for workload in TITLES:
        for engine, measure in ENGINES.items():
            with console.status(f"{TITLES[workload]}: {engine}"):
                times = measure(workload, options)
            cells.append({"workload": workload, "engine": engine, "wall_s": times})
    show(console, cells, options.latency_s)
    if options.json:
        options.json.write_text(json.dumps(cells, indent=1) + "\n")


if __name__ == "__main__":
    main()
