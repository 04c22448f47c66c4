"""Compare predicted with measured run times on three shapes, at three degrees of parallelism.

    python -m benchmarks.prediction
    python -m benchmarks.prediction --noise 0.3 --repeats 3 --json prediction.json

The shapes are real flows that ask a real client, over HTTP, a server in a process of its own, which takes
the time that a model would: a fixed part, one for each prompt token, one for each token it writes. With
`--noise` each call's time varies (log-normal; the figure is sigma). The figures are taken from one other
run, at parallelism 1 and with calls of other sizes; nothing that is predicted has been measured before.
"""

import argparse
import json
import math
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentflow_evals.prediction.figures import CallFigures, fit_figures
from agentflow_evals.prediction.forms import chain, map_reduce, tree
from agentflow_evals.prediction.prediction import Prediction, predict
from agentflow_evals.prediction.recorded import recorded_shape
from agentflow_evals.prediction.shape import Call, Shape
from rich.console import Console
from rich.table import Table

from agentflow import ModelSpec, Runner, flow, generate, parallel
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Price
from benchmarks.model_server import Pace, model_server

PARALLELISM = (1, 4, 16)
TARGET = 0.15
PACE = Pace(fixed_s=0.100, input_token_s=0.0001, output_token_s=0.004)
PRICE = Price(input=0.25, output=2.0)

STEP = Call(input_tokens=120, output_tokens=16)
EACH, ITEM = Call(input_tokens=60, output_tokens=4), Call(input_tokens=30, output_tokens=2)
MERGE = Call(input_tokens=40, output_tokens=24)
SPLIT, LEAF = Call(input_tokens=150, output_tokens=12), Call(input_tokens=90, output_tokens=24)
CHAIN, CARRIED, ITEMS, CHUNK, BRANCHING, DEPTH = 20, 16, 320, 4, 4, 3


async def ask(call: Call) -> int:
    """Ask for a call of that size; the server counts words as tokens."""
    reply = await generate("word " * call.input_tokens, max_tokens=call.output_tokens)
    return reply.usage.output_tokens


@flow
async def calibrate() -> int:
    """Ask calls of sizes that the measured flows do not have, one after the other."""
    written = 0
    for place in range(24):
        tokens = 20 + 25 * (place % 8)
        written += await ask(Call(input_tokens=tokens, output_tokens=2 + 10 * (place % 5)))
    return written


@flow
async def refine() -> int:
    """Ask again and again, each prompt longer by the answer before."""
    written = 0
    for place in range(CHAIN):
        size = STEP.input_tokens + place * CARRIED
        written += await ask(replace(STEP, input_tokens=size))
    return written


@flow
async def read_chunk(size: int) -> int:
    """Read one chunk of the items."""
    tokens = EACH.input_tokens + size * ITEM.input_tokens
    written = EACH.output_tokens + size * ITEM.output_tokens
    return await ask(Call(input_tokens=tokens, output_tokens=written))


@flow
async def read_all() -> int:
    """Read the items in chunks, side by side, and merge what was found."""
    sizes = [min(CHUNK, ITEMS - start) for start in range(0, ITEMS, CHUNK)]
    found = await parallel(read_chunk(size) for size in sizes)
    return await ask(replace(MERGE, input_tokens=MERGE.input_tokens + sum(found)))


@flow
async def solve(level: int) -> int:
    """Split a task, solve the parts side by side, and merge the answers."""
    if level == DEPTH:
        return await ask(LEAF)
    await ask(SPLIT)
    found = await parallel(solve(level + 1) for _ in range(BRANCHING))
    return await ask(replace(MERGE, input_tokens=MERGE.input_tokens + sum(found)))


@flow
async def recurse() -> int:
    """Solve by recursion."""
    return await solve(0)


FLOWS = {"chain": refine, "map and reduce": read_all, "tree": recurse}
SHAPES: dict[str, Shape] = {
    "chain": chain(CHAIN, STEP, carried_tokens=CARRIED),
    "map and reduce": map_reduce(ITEMS, CHUNK, each=EACH, item=ITEM, merge=MERGE),
    "tree": tree(BRANCHING, DEPTH, leaf=LEAF, split=SPLIT, merge=MERGE),
}


def main() -> None:
    given = _arguments()
    with (
        tempfile.TemporaryDirectory() as folder,
        model_server(replace(PACE, noise=given.noise)) as url,
    ):
        journal = str(Path(folder) / "journal.db")
        _run(calibrate, url, 1, journal)  # imports the client, opens the journal
        figures = fit_figures([_run(calibrate, url, 1, journal)])
        rows = [
            row for name in FLOWS for row in measure(name, figures, url, journal, given.repeats)
        ]
    _print(figures, rows, given.noise)
    if given.json:
        facts = {"machine": _machine(), "noise": given.noise, "rows": rows}
        Path(given.json).write_text(json.dumps(facts, indent=2) + "\n")


def measure(
    name: str, figures: CallFigures, url: str, journal: str, repeats: int
) -> Iterator[dict[str, Any]]:
    """Predict and measure one shape; the smallest run's record gives a second prediction."""
    recorded: Shape | None = None
    for permits in PARALLELISM:
        records = [_run(FLOWS[name], url, permits, journal) for _ in range(repeats)]
        recorded = recorded or recorded_shape(records[0])
        made = predict(SHAPES[name], figures, permits)
        again = predict(recorded, figures, permits)
        times = sorted(record.seconds or 0.0 for record in records)
        assert (made.calls, made.tokens) == (again.calls, records[0].usage.total_tokens)
        yield _row(name, times, made, again)


def _row(name: str, times: list[float], made: Prediction, again: Prediction) -> dict[str, Any]:
    measured_s = statistics.fmean(times)
    return {
        "shape": name,
        "parallelism": made.parallelism,
        "calls": made.calls,
        "measured_s": measured_s,
        "lowest_s": times[0],
        "highest_s": times[-1],
        "predicted_s": made.seconds,
        "error": made.seconds / measured_s - 1,
        "recorded_s": again.seconds,
        "recorded_error": again.seconds / measured_s - 1,
        "low_s": made.low_s,
        "high_s": made.high_s,
        "mean_error": made.at_mean_s / measured_s - 1,
        "naive_error": made.bound_s / measured_s - 1,
        "utilisation": made.utilisation,
    }


def _run(which: Any, url: str, permits: int, journal: str) -> RunRecord:
    spec = ModelSpec(
        provider="openai", name="timed", base_url=url, concurrency=permits, price=PRICE, retries=0
    )
    return Runner(model=spec, journal=journal).run(which).record


def _print(figures: CallFigures, rows: list[dict[str, Any]], noise: float) -> None:
    console = Console(width=100)
    machine = ", ".join(f"{name} {value}" for name, value in _machine().items())
    console.print(f"{machine}, noise {noise:g}")
    line, thread = figures.latency, figures.thread
    console.print(
        f"latency {line.fixed_s * 1e3:.1f} ms + {line.input_token_s * 1e6:.0f} us a prompt token + "
        f"{line.output_token_s * 1e3:.2f} ms a token written, spread {figures.spread:.1%}; "
        f"thread {thread.fixed_s * 1e3:.1f} ms + {thread.output_token_s * 1e3:.2f} ms a token; "
        f"commit {figures.overhead_s * 1e3:.1f} ms, gap {figures.gap_s * 1e3:.1f} ms, "
        f"opening {figures.opening_s * 1e3:.0f} ms"
    )
    heads = (
        "shape",
        "p",
        "calls",
        "measured s",
        "range",
        "predicted s",
        "error",
        "from record",
        "at mean",
        "bound",
    )
    table = Table(*heads)
    for row in rows:
        table.add_row(
            row["shape"],
            str(row["parallelism"]),
            str(row["calls"]),
            f"{row['measured_s']:.2f}",
            f"{row['lowest_s']:.2f}-{row['highest_s']:.2f}",
            f"{row['predicted_s']:.2f}",
            f"{row['error']:+.1%}",
            f"{row['recorded_error']:+.1%}",
            f"{row['mean_error']:+.1%}",
            f"{row['naive_error']:+.1%}",
        )
    console.print(table)
    worst = max(abs(row["error"]) for row in rows)
    console.print(f"largest error {worst:.1%} (target {TARGET:.0%})")


def _machine() -> dict[str, Any]:
    load = math.floor(os.getloadavg()[0] * 10) / 10
    return {"python": platform.python_version(), "cpus": os.cpu_count(), "load": load}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--noise", type=float, default=0.0, help="Sigma of each call's time.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="Write the rows to this file.")
    return parser.parse_args()


if __name__ == "__main__":
    main()
