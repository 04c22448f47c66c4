"""`agentflow eval list`: the evaluations in the journal."""

import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentflow.cli.words import clean, seconds
from agentflow_evals.plan import Contender, Entrant
from agentflow_evals.running.reading import evaluations, read_evaluation


@click.command(name="list")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--limit", "-n", default=10, show_default=True, help="How many, newest first.")
def listing(journal: str | None, limit: int) -> None:
    """List the evaluations in the journal, newest first."""
    table = Table(box=None, pad_edge=False)
    for heading in ("evaluation", "status", "started", "time", "done", "suite"):
        table.add_column(heading, no_wrap=True)
    table.add_column("planners and models", overflow="fold")
    heads = evaluations(journal, limit)
    for head in heads:
        found = read_evaluation(journal, head.id)
        plan = found.plan
        total = len(list(plan.cells()))
        cells = (
            head.id,
            head.status,
            time.strftime("%m-%d %H:%M", time.localtime(head.started_at)),
            seconds(head.seconds),
            f"{total - len(found.missing)}/{total}",
            clean(plan.suite.shown, 30),
            clean(f"{_labels(plan.planners)} with {_labels(plan.models)}", 200),
        )
        table.add_row(*map(Text, cells))  # text of users, no markup
    Console().print(table if heads else "no evaluations yet")


def _labels(ones: Sequence[Contender] | Sequence[Entrant]) -> str:
    return ", ".join(one.label for one in ones)
