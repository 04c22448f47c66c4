"""Measure AgentFlow next to its peers: the same graphs, in one run, a process for every cell.

python -m benchmarks.engines
python -m benchmarks.engines --engines agentflow,bare --workloads chain,fan --json cells.json
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.catalogue import ENGINES, FAMILIES, OURS, Engine
from benchmarks.choices import listed
from benchmarks.workloads import BARRIER, Workload, workloads

ROOT = Path(__file__).parents[1]
QUIET = {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}
WIDTH = 120  # of tables that go into a file
Cell = dict[str, Any]


def run_cell(engine: Engine, workload: Workload, options: argparse.Namespace) -> Cell:
    """Measure in a process of its own; say in one line why there is nothing to show."""
    command = [sys.executable, "-m", "benchmarks.cell", engine.name, workload.name]
    command += ["--repeats", str(options.repeats), "--limit-s", str(options.limit_s)]
    command += ["--quick"] if options.quick else []
    command += ["--folder", str(options.folder)] if options.folder else []
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | QUIET,
            timeout=options.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"over {options.timeout_s:.0f} s"}
    if done.returncode:
        return {"problem": (done.stderr.strip().splitlines() or ["failed"])[-1]}
    cell: Cell = json.loads(done.stdout.splitlines()[-1])
    return cell


def table_of(workload: Workload, cells: dict[Engine, Cell]) -> Table:
    """Return one workload's table; `to ours` is a figure over our own with its defaults."""
    table = Table(title=workload.title)
    table.add_column("engine", no_wrap=True)
    table.add_column("a file has", no_wrap=True)
    headings = ("CPU µs", "median", "to ours", "wall µs", "to ours", "MB", "B/step")
    if workload.uneven:
        headings = ("chains", "median", "whole", "median", *headings[:3])
    for heading in headings:
        table.add_column(heading, justify="right")
    notes: list[str] = []
    for engine, cell in cells.items():
        if "missing" in cell:
            table.add_row(engine.name, f"not installed: {cell['missing']}")
        elif "problem" in cell:
            notes.append(f"{engine.name}: {cell['problem']}")
            table.add_row(engine.name, engine.stores, "-")
        else:
            shown = _row(workload, cell, cells.get(OURS, {}))
            table.add_row(engine.name, engine.stores, *shown)
    if workload.uneven:
        notes.append(
            "chains and whole call over the critical path; "
            f"an engine that waits for all chains after each step: {BARRIER:.2f} at best"
        )
    table.caption = "\n".join(notes) or None
    table.caption_justify = "left"
    return table


def _row(workload: Workload, cell: Cell, ours: Cell) -> tuple[str, ...]:
    cpu = (_us(cell["cpu_us"]), _us(cell["cpu_us_median"]), _ratio("cpu_us", cell, ours))
    if workload.uneven:
        keys = ("branches_over_critical", "whole_over_critical")
        spans = (f"{cell[key + tail]:.3f}" for key in keys for tail in ("", "_median"))
        return (*spans, *cpu)
    disk = cell["disk_bytes"]
    return (
        *cpu,
        _us(cell["wall_us"]),
        _ratio("wall_us", cell, ours),
        f"{cell['memory_mb']:.0f}",
        "" if disk is None else f"{disk:,.0f}",
    )


def _us(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _ratio(key: str, cell: Cell, ours: Cell) -> str:
    return f"{cell[key] / ours[key]:.2f}" if key in ours else ""


def measure(options: argparse.Namespace, console: Console) -> list[Cell]:
    """Measure what was asked for, show each workload as it is done, and return every cell."""
    every: list[Cell] = []
    chosen = workloads(quick=options.quick)
    for workload in (chosen[name] for name in options.workloads):
        cells: dict[Engine, Cell] = {}
        for engine in ENGINES:
            if engine.family in options.engines and engine.runs(workload):
                with console.status(f"{workload.title}: {engine.name}"):
                    cells[engine] = run_cell(engine, workload, options)
                names = {"engine": engine.name, "workload": workload.name, "stores": engine.stores}
                every.append(names | cells[engine])
        if cells:
            console.print(table_of(workload, cells))
    return every


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shapes = list(workloads(quick=True))
    parser.add_argument("--engines", type=listed(FAMILIES), default=FAMILIES, metavar="A,B")
    parser.add_argument("--workloads", type=listed(shapes), default=shapes, metavar="A,B")
    parser.add_argument("--repeats", type=int, default=5, help="runs a cell after a first one")
    parser.add_argument("--quick", action="store_true", help="small graphs, one repeat")
    parser.add_argument("--limit-s", type=float, default=30.0, help="stop repeating a cell then")
    parser.add_argument("--timeout-s", type=float, default=300.0, help="give up on a cell then")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every cell there")
    options = parser.parse_args()
    if options.quick:
        options.repeats = 1
    return options


def main() -> None:
    options, console = _options(), Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    console.print(f"Python {platform.python_version()}, {platform.system()}, {load}")
    cells = measure(options, console)
    if options.json:
        options.json.write_text(json.dumps(cells, indent=1) + "\n")


if __name__ == "__main__":
    main()
