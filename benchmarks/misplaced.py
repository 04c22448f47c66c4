"""Count recorded results that come back in the wrong place when a parallel run is resumed.

python -m benchmarks.misplaced
python -m benchmarks.misplaced --engines agentflow --trials 10000
"""

import argparse
import asyncio
import os
import tempfile
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.catalogue import missing_peer
from benchmarks.schedules import CHAINS, LENGTH, Executions, Replay, misplaced

PEERS = {
    "agentflow": "agentflow_replay",
    "langgraph-functional": "langgraph_replay",
    "dbos": "dbos_replay",
}


WIDTH = 120  # of a table that goes into a file


@dataclass
class Count:
    """What happened in the trials of one engine with one kind of journal."""

    trials: int = 0
    wrong_trials: int = 0
    misplaced: int = 0
    executed: int = 0
    refused: list[str] = field(default_factory=list)

    async def trial(self, replay: Replay, *, whole: bool) -> None:
        """Run one more trial. An engine that notices and raises has not put anything anywhere."""
        self.trials += 1
        try:
            grid = await replay(whole)
        except Exception as error:  # noqa: BLE001 - shown below the table
            self.refused.append(f"{type(error).__name__}: {error}".splitlines()[0])
            return
        wrong = misplaced(grid)
        self.misplaced += wrong
        self.wrong_trials += wrong > 0
        self.executed += Executions.count


async def count(engine: str, trials: int) -> dict[str, Count]:
    """Run `trials` with the whole journal and as many with a part of it."""
    counts = {"whole": Count(), "part": Count()}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        module = import_module(f"benchmarks.peers.{PEERS[engine]}")
        async with module.opened(Path(folder)) as replay:
            for _ in range(trials):
                for journal, so_far in counts.items():
                    await so_far.trial(replay, whole=journal == "whole")
    return counts


def show(console: Console, counts: dict[tuple[str, str], Count], missing: list[str]) -> None:
    """Print the table, and under it what an engine said when it refused to go on."""
    table = Table(title=f"{CHAINS} chains of {LENGTH} steps side by side, crashed and resumed")
    table.add_column("engine")
    table.add_column("journal")
    for heading in ("trials", "from journal", "misplaced", "in trials", "run again", "refused"):
        table.add_column(heading, justify="right")
    for (engine, journal), found in counts.items():
        refused = len(found.refused)
        recorded = (found.trials - refused) * CHAINS * LENGTH - found.executed
        figures = (found.trials, recorded, found.misplaced, found.wrong_trials, found.executed)
        table.add_row(engine, journal, *(f"{figure:,}" for figure in (*figures, refused)))
    console.print(table)
    for line in missing:
        console.print(line)
    for (engine, journal), found in counts.items():
        if found.refused:
            console.print(f"{engine}, {journal}: {found.refused[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", default=",".join(PEERS), metavar="A,B")
    parser.add_argument("--trials", type=int, default=1000, help="ours, for each kind of journal")
    parser.add_argument("--peer-trials", type=int, default=25, help="the same of each peer")
    options = parser.parse_args()
    engines = options.engines.split(",")
    if unknown := [engine for engine in engines if engine not in PEERS]:
        parser.error(f"no {unknown[0]!r}; there are {', '.join(PEERS)}")
    os.environ.update({"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"})
    console = Console()
    counts: dict[tuple[str, str], Count] = {}
    missing: list[str] = []
    for engine in engines:
        trials = options.trials if engine == "agentflow" else options.peer_trials
        try:
            with console.status(f"{engine}: {trials} trials"):
                for journal, found in asyncio.run(count(engine, trials)).items():
                    counts[engine, journal] = found
        except ModuleNotFoundError as error:
            missing.append(f"{engine}: not installed ({missing_peer(error)})")
    show(console if console.is_terminal else Console(width=WIDTH), counts, missing)


if __name__ == "__main__":
    main()
