"""One run of up to a million steps over simulated workers: `python -m benchmarks.scale --steps 1000000`.

Owns the order of measurements and their tables; every one is a process of its own (`cell.py`). The engine, the
journal and the record are the real ones. The model and the workers are simulated, and their time is skipped: see
`clock.py`. With `--latencies`, how busy the workers are as latency grows; with `--parts`, where the CPU goes;
with `--kill 0.9`, what a kill -9 after nine tenths costs.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.scale.tree import counts_of

Seen = dict[str, Any]
GROWTH = (
    *("steps", "steps/s", "CPU µs", "commits", "in commits %", "waiting for disk %"),
    *("simulated h", "busy %", "peak MB", "bytes", "read s", "read MB", "view s", "view MB"),
)


def measured(do: str, settings: Seen, **others: Any) -> Seen:
    """Measure one cell in a process of its own; of one that kills itself, there is nothing to tell."""
    cell = json.dumps({"do": do} | settings | others)
    command = [sys.executable, "-m", "benchmarks.scale.cell", cell]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == -signal.SIGKILL and others.get("kill"):
        return {}
    assert done.returncode == 0, command
    seen: Seen = json.loads(done.stdout)
    return seen


@contextmanager
def journal_at(given: str | None) -> Iterator[str]:
    """Give the journal that was named, or a file that is gone afterwards."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/journal.db"


def growth(given: argparse.Namespace, settings: Seen) -> list[Seen]:
    """Measure runs of each size, and what it takes to read them."""
    table = Table(*GROWTH)
    found = []
    for steps in given.steps:
        with journal_at(given.journal) as journal:
            one = measured("run", settings, steps=steps, journal=journal)
            if given.read:
                one["read"] = measured("read", settings, journal=journal)
                one["view"] = measured("view", settings, journal=journal)
        found.append({"steps": steps} | one)
        table.add_row(*_growth_row(steps, one))
    Console(width=160).print(table)
    return found


def _growth_row(steps: int, one: Seen) -> list[str]:
    commits, read, view = one["commits"], one.get("read"), one.get("view")
    idle_s = commits["wall_s"] - commits["cpu_s"]
    return [
        f"{steps:,}",
        f"{steps / one['wall_s']:,.0f}",
        f"{1e6 * one['cpu_s'] / steps:.0f}",
        f"{commits['count']:,}",
        f"{100 * commits['wall_s'] / one['wall_s']:.0f}",
        f"{100 * idle_s / one['wall_s']:.0f}",
        f"{one['simulated_s'] / 3600:.2f}",
        f"{100 * one['middle']:.0f}",
        f"{one['peak_mb']:,.0f}",
        f"{one.get('bytes', 0) / steps:,.0f}",
        *(["", ""] if read is None else [f"{read['wall_s']:.1f}", f"{read['peak_mb']:,.0f}"]),
        *(["", ""] if view is None else [f"{view['wall_s']:.1f}", f"{view['peak_mb']:,.0f}"]),
    ]


def latencies(given: argparse.Namespace, settings: Seen) -> list[Seen]:
    """Measure how busy the workers are at each mean latency."""
    steps = given.steps[-1]
    share = counts_of(steps, given.seed).on_workers / steps
    table = Table("latency s", "busy %", "steps/s", "steps a CPU s", "driver at work %", "load")
    found = []
    for latency_s in given.latencies:
        with journal_at(given.journal) as journal:
            one = measured("run", settings, steps=steps, journal=journal, latency_s=latency_s)
        found.append({"latency_s": latency_s, "share": share} | one)
        own_s = {"wall": one["wall_s"], "cpu": one["cpu_s"], "free": 0.0}[given.time]
        table.add_row(
            f"{latency_s:g}",
            f"{100 * one['middle']:.0f}",
            f"{steps / one['wall_s']:,.0f}",
            f"{steps / one['cpu_s']:,.0f}",
            f"{100 * own_s / one['simulated_s']:.0f}",
            f"{one['load']:.1f}",
        )
    console = Console()
    console.print(table)
    console.print(f"{100 * share:.0f} % of the steps need a worker")
    return found


def parts(given: argparse.Namespace, settings: Seen) -> list[Seen]:
    """Measure which part of the code takes the CPU."""
    with journal_at(given.journal) as journal:
        one = measured("profile", settings, steps=given.steps[-1], journal=journal)
    whole = sum(one["seconds"].values())
    table = Table("part", "%")
    for part, seconds in one["seconds"].items():
        table.add_row(part, f"{100 * seconds / whole:.0f}")
    Console().print(table)
    return [one]


def killed(given: argparse.Namespace, settings: Seen) -> list[Seen]:
    """Kill a run, go on with it, and look whether every step is there once."""
    steps = given.steps[-1]
    with journal_at(given.journal) as journal:
        settings = settings | {"steps": steps, "journal": journal}
        measured("run", settings, kill=given.kill)
        left = measured("read", settings)
        one = measured("resume", settings)
        after = measured("read", settings)
    leaves = counts_of(steps, given.seed).leaves
    again = one["leaves"] - (leaves - int(given.kill * leaves))
    assert after["keys"] == steps, after
    print(
        f"{steps:,} steps, killed after {given.kill:.0%} of the work: {left['succeeded']:,} had finished. "
        f"Gone on with in {one['wall_s']:.1f} s, the first new result after {one['first_s']:.1f} s, at most "
        f"{one['peak_mb']:,.0f} MB; {again} pieces of work done again; status {after['status']}"
    )
    return [{"steps": steps, "again": again} | one]


def main() -> None:
    given = _parser().parse_args()
    names = (
        "workers",
        "calls",
        "per_minute",
        "latency_s",
        "seed",
        "time",
        "groups",
        "chars",
        "collect",
    )
    settings = {name: getattr(given, name) for name in (*names, "durability")}
    if given.latencies:
        found = latencies(given, settings)
    elif given.parts:
        found = parts(given, settings)
    elif given.kill:
        found = killed(given, settings)
    else:
        found = growth(given, settings)
    if given.json:
        Path(given.json).write_text(json.dumps(found, indent=1))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _floats(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--steps", type=_numbers, default=[10_000], help="one size or several: 1000,10000")
    add("--workers", type=int, default=100)
    add("--calls", type=int, default=200, help="of the model at once")
    add("--per-minute", type=float, help="calls of the model a minute")
    add("--latency-s", type=float, default=1.0, help="mean of a log-normal one")
    add("--groups", type=int, default=100, help="of parts open at once; 0 for all")
    add("--chars", type=int, default=1000, help="of prompts, replies and trials")
    add("--seed", type=int, default=7)
    add(
        "--time",
        choices=["wall", "cpu", "free"],
        default="wall",
        help="what of the engine's own counts",
    )
    add("--collect", type=int, default=700, help="new objects before Python looks for garbage")
    add("--durability", choices=["results", "behind"], default="results")
    add("--journal", help="a new file or an empty database, for one run; a file that is gone then")
    add("--read", action="store_true", help="read each run, and as the viewer's server does")
    add("--latencies", type=_floats, help="such as 0.01,0.1,1: how busy the workers are")
    add("--parts", action="store_true", help="run the last size under cProfile")
    add("--kill", type=float, default=0.0, help="kill after this share, go on, and compare")
    add("--json", help="a file for all figures")
    return parser


if __name__ == "__main__":
    main()
