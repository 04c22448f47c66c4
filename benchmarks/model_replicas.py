"""What do replicas of a model give, and what does the way to them cost? Beside the one server, in the same run.

    python -m benchmarks.model_replicas
    python -m benchmarks.model_replicas --seconds 10 --clients 16 --tokens 32 --hidden 256

Starts `agentflow serve` alone, with one replica and with two, each in processes of its own with one core for an engine,
and asks them in turns. A request is a new root; its reply has always as many tokens.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import anyio
import httpx2
from rich.console import Console
from rich.table import Table

from tests.agentflow.recurrent.folders import small_tokenizer, weights_folder

KINDS = {
    "server": [],
    "1 replica": ["--on", "ray"],
    "2 replicas": ["--on", "ray", "--replicas", "2"],
}


@contextmanager
def starting(folder: Path, given: list[str]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "agentflow.cli.main", "serve", str(folder), "--port", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    with subprocess.Popen(
        [*command, "--name", "small", *given], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def url_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url, "it did not start"
    return url


async def load(url: str, given: argparse.Namespace, *, stream: bool, number: int) -> list[float]:
    """Ask for so long, and return how long each answer took."""
    until, took, count = time.monotonic() + given.seconds, list[float](), iter(range(10**9))
    body = {"model": "small", "max_tokens": given.tokens, "stream": stream, "temperature": 0}
    body |= {"regex": f"[a-c]{{{given.tokens}}}"}

    async def ask(client: httpx2.AsyncClient) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            prompt = f"{number}.{next(count)}: tell me what comes next, and why it does."
            async with client.stream(
                "POST", f"{url}/completions", json=body | {"prompt": prompt}
            ) as reply:
                data = b"".join([part async for part in reply.aiter_bytes()])
            assert reply.status_code == 200, data
            assert b"error" not in data, data
            took.append(time.monotonic() - began)

    async with httpx2.AsyncClient(timeout=120) as client, anyio.create_task_group() as group:
        for _ in range(given.clients):
            group.start_soon(ask, client)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place) / "small"
        weights_folder(
            "mamba2",
            folder,
            head_dim=8,
            hidden_size=given.hidden,
            num_heads=given.hidden // 4,  # times 8 is twice the width
            num_hidden_layers=given.layers,
        )
        small_tokenizer(folder)
        servers = {
            name: stack.enter_context(starting(folder, more)) for name, more in KINDS.items()
        }
        urls = {name: url_of(process) for name, process in servers.items()}
        rates: dict[tuple[str, bool], list[tuple[float, float]]] = {}
        for turn in range(given.rounds + 1):
            for name, url in urls.items():
                for stream in (False, True):
                    took = anyio.run(partial(load, url, given, stream=stream, number=turn))
                    if turn:  # the first one warms up
                        found = len(took) / given.seconds, statistics.median(took)
                        rates.setdefault((name, stream), []).append(found)
    table = Table("", "requests/s", "stream: requests/s", "median s", "stream: median s")
    for name in KINDS:
        cells = [
            statistics.median(one[place] for one in rates[name, stream])
            for place in (0, 1)
            for stream in (False, True)
        ]
        table.add_row(
            name, *(f"{cell:.1f}" for cell in cells[:2]), *(f"{cell:.3f}" for cell in cells[2:])
        )
    Console().print(table)


if __name__ == "__main__":
    main()
