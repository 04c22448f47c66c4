"""Measure decoding against the memory: bytes that a step has to move over what a copy moves a second.

A step reads all weights once, and reads and writes the state of each row; a hybrid's keys and values
are only read. No step can be faster than that; launching kernels and temporaries make it slower.

python -m benchmarks.recurrent_decode
python -m benchmarks.recurrent_decode --models mamba2-27m --rows 1,8 --batch slots
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agentflow.recurrent.language_models.batches import StackedBatch
from agentflow.recurrent.language_models.loading import load
from agentflow.recurrent.language_models.protocol import Batch
from agentflow.recurrent.language_models.reading_model import ReadingModel
from agentflow.recurrent.language_models.slots import SlotBatch
from agentflow.recurrent.states import walk
from benchmarks.recurrent_models import DONE, MODELS, build
from benchmarks.recurrent_workloads import FIRST_TOKEN

SIZES = {
    "cuda": ("mamba2-127m", "mamba2-1300m", "deltanet-149m", "deltanet-1500m"),
    "cpu": ("mamba2-27m", "mamba2-127m", "deltanet-39m", "deltanet-149m"),
}
ROWS = {"cuda": (1, 8, 64, 256), "cpu": (1, 8, 64)}
COPIED_BYTES = {"cuda": 4 << 30, "cpu": 256 << 20}
WIDTH = 120


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """One model at one number of rows. `bytes` is what a step has to move at least."""

    model: str
    rows: int
    step_s: float
    bytes: int
    copied_bytes_s: float

    @property
    def tokens_s(self) -> float:
        return self.rows / self.step_s

    @property
    def share(self) -> float:
        """Of what the memory can do."""
        return self.bytes / self.step_s / self.copied_bytes_s


def copied_bytes_s(device: torch.device) -> float:
    """Return what a large copy reads and writes a second, the best of some."""
    source = torch.ones(COPIED_BYTES[device.type] // 4, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / min(_times_s(lambda: target.copy_(source), device, 12))


def _times_s(work: Callable[[], Any], device: torch.device, times: int) -> Iterator[float]:
    """Yield what each call takes; one thread on a CPU is timed by itself, whatever others do."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.thread_time if alone else time.perf_counter
    for _ in range(times):
        started_s = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        yield clock() - started_s


def decodings(
    model: ReadingModel, weights: int, name: str, options: argparse.Namespace
) -> Iterator[Decoding]:
    """Measure one model at each number of rows; rows have equally long prompts."""
    prompt = [FIRST_TOKEN + place % 1_000 for place in range(options.prompt)]
    _, state = model.extend(prompt, None)
    growing = sum(t.nbytes for path, t in walk.tensors(state.cache) if path in model.growing)
    fixed = walk.nbytes(state.cache) - growing
    weight_bytes = weights * model.reader.dtype.itemsize
    bandwidth = copied_bytes_s(model.device)
    for rows in options.rows:
        batch = _batch(model, options.batch)
        for _ in range(rows):
            batch.add(walk.clone(state))
        tokens = [FIRST_TOKEN + row for row in range(rows)]
        step = partial(batch.step, tokens)
        list(_times_s(step, model.device, 3))  # also captures
        steps = _times_s(step, model.device, options.steps)
        yield Decoding(
            model=name,
            rows=rows,
            step_s=statistics.median(steps),
            bytes=weight_bytes + rows * (2 * fixed + growing),
            copied_bytes_s=bandwidth,
        )


def _batch(model: ReadingModel, kind: str) -> Batch:
    if kind == "slots":
        return SlotBatch(model.reader, model.vocabulary_size)
    if kind == "stacked":
        return StackedBatch(model.reader, model.growing)
    return model.batch()


def table_of(measured: list[Decoding], title: str) -> Table:
    table = Table(title=title, caption_justify="left")
    table.add_column("model", no_wrap=True)
    for heading in ("rows", "tokens/s", "ms a step", "MB a step", "GB/s", "of a copy's"):
        table.add_column(heading, justify="right")
    for each in measured:
        table.add_row(
            each.model,
            str(each.rows),
            f"{each.tokens_s:,.0f}",
            f"{each.step_s * 1e3:,.2f}",
            f"{each.bytes / 1e6:,.0f}",
            f"{each.bytes / each.step_s / 1e9:,.1f}",
            f"{each.share:.0%}",
        )
    copies = sorted({round(each.copied_bytes_s / 1e9, 1) for each in measured})
    table.caption = f"a copy moved {' / '.join(map(str, copies))} GB/s in the same run"
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", help="comma-separated, of " + ", ".join(MODELS))
    parser.add_argument("--rows", help="comma-separated")
    parser.add_argument("--batch", choices=("default", "slots", "stacked"), default="default")
    parser.add_argument("--dtype", choices=("auto", "bf16", "fp16", "fp32"), default="auto")
    parser.add_argument("--prompt", type=int, default=128, help="tokens read before")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU")
    parser.add_argument("--folder", type=Path, help="keep the models there")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options.models = options.models.split(",") if options.models else SIZES[device]
    options.rows = [int(rows) for rows in options.rows.split(",")] if options.rows else ROWS[device]
    if options.dtype == "auto" and device == "cuda":
        options.dtype = "bf16"  # the folders are written in 32 bits
    return options


def main() -> None:
    options, console = _options(), Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    torch.set_num_threads(options.threads)
    measured: list[Decoding] = []
    with TemporaryDirectory() as temporary:
        for name in options.models:
            folder = build(name, options.folder or Path(temporary))
            weights = json.loads((folder / DONE).read_text())["parameters"]
            model = load(folder, dtype=options.dtype)
            with console.status(name):
                measured += decodings(model, weights, name, options)
            if options.json:
                told = [vars(each) | {"share": each.share} for each in measured]
                options.json.write_text(json.dumps(told, indent=1) + "\n")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    title = f"Decoding, {device}, {options.dtype}, {torch.get_num_threads()} threads"
    console.print(table_of(measured, title))


if __name__ == "__main__":
    main()
