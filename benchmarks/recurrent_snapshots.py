"""Measure what keeping and restoring a state costs, next to reading its tokens again.

Times are the thread's CPU seconds on a CPU and wall seconds on a GPU, the median of some.

python -m benchmarks.recurrent_snapshots --prompt 2048
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agentflow.recurrent.language_models.loading import load
from agentflow.recurrent.language_models.protocol import State
from agentflow.recurrent.language_models.reading_model import ReadingModel
from agentflow.recurrent.states import walk
from agentflow.recurrent.states.packing import Packed
from benchmarks.recurrent_models import build
from benchmarks.recurrent_workloads import FIRST_TOKEN

DEFAULT = ("mamba2-27m", "gdn-38m", "mamba-28m", "mamba2-127m")
COSTS = ("read", "clone", "pack", "unpack", "pack int8", "unpack int8", "to a file", "from a file")
CHUNK = 256
WIDTH = 120


def costs(model: ReadingModel, prompt: int, times: int, folder: Path) -> dict[str, Any]:
    """Return megabytes and milliseconds of one state after so many tokens."""
    on_cpu = model.device.type == "cpu"

    def ms(work: Callable[[], Any], repeats: int = times) -> float:
        taken = []
        for _ in range(repeats):
            started_s = time.thread_time() if on_cpu else time.perf_counter()
            work()
            if not on_cpu:
                torch.cuda.synchronize()
            taken.append((time.thread_time() if on_cpu else time.perf_counter()) - started_s)
        return statistics.median(taken) * 1e3

    _read(model, CHUNK)  # what the first call alone takes
    read_ms = ms(lambda: _read(model, prompt), 1)
    state = _read(model, prompt)
    exact, rounded, spilled = Packed(state, "exact"), Packed(state, "int8"), Packed(state, "exact")
    file_ms = ms(lambda: spilled.to_file(folder / "state.safetensors"), 1)
    return {
        "mb": exact.nbytes / 1e6,
        "int8_mb": rounded.nbytes / 1e6,
        "read": read_ms,
        "clone": ms(lambda: walk.clone(state)),
        "pack": ms(lambda: Packed(state, "exact")),
        "unpack": ms(exact.unpack),
        "pack int8": ms(lambda: Packed(state, "int8")),
        "unpack int8": ms(rounded.unpack),
        "to a file": file_ms,
        "from a file": ms(spilled.unpack),
    }


def _read(model: ReadingModel, count: int) -> State:
    state = None
    for start in range(0, count, CHUNK):
        end = min(start + CHUNK, count)
        tokens = [FIRST_TOKEN + place % 5_000 for place in range(start, end)]
        _, state = model.extend(tokens, state)
    assert state is not None
    return state


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=",".join(DEFAULT))
    parser.add_argument("--prompt", type=int, default=2_048)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the models there")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options, console = parser.parse_args(), Console(width=WIDTH)
    torch.set_num_threads(options.threads)
    table = Table(title=f"A state after {options.prompt:,} tokens, milliseconds")
    table.add_column("model", no_wrap=True)
    for heading in ("MB", "int8", *COSTS):
        table.add_column(heading, justify="right")
    every = []
    with TemporaryDirectory() as temporary:
        for name in options.models.split(","):
            model = load(build(name, options.folder or Path(temporary)))
            told = costs(model, options.prompt, options.times, Path(temporary))
            every.append({"model": name} | told)
            sizes = (f"{told['mb']:.1f}", f"{told['int8_mb']:.1f}")
            table.add_row(name, *sizes, *(_shown(told[cost]) for cost in COSTS))
            if options.json:
                options.json.write_text(json.dumps(every, indent=1) + "\n")
    console.print(table)


def _shown(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.2f}"


if __name__ == "__main__":
    main()
