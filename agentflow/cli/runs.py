"""`agentflow runs`: what is in the journal."""

import json
import time
from dataclasses import asdict
from itertools import islice

import click
from rich.console import Console
from rich.table import Table

from agentflow.cli.words import clean, dollars, seconds, tokens
from agentflow.journal.journal import Journal

STYLES = {
    "succeeded": "green",
    "failed": "red",
    "interrupted": "yellow",
    "paused": "magenta",
    "stopped": "yellow",
    "running": "cyan",
}


@click.command()
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--limit", "-n", default=20, show_default=True, help="How many, newest first.")
@click.option("--flow", help="Only runs of this flow, e.g. `evaluation`.")
@click.option("--status", type=click.Choice(list(STYLES)), help="Only runs that stand like this.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def runs(
    journal: str | None, limit: int, flow: str | None, status: str | None, as_json: bool
) -> None:
    """List the runs in the journal, newest first.

    \b
    agentflow runs --limit 5
    agentflow runs --flow evaluation --status stopped
    """
    with Journal(journal) as opened:
        found = opened.heads(None if flow or status else limit)
    wanted = (head for head in found if flow in (None, head.flow) and status in (None, head.status))
    heads = list(islice(wanted, limit))
    if as_json:
        for head in heads:
            click.echo(json.dumps(asdict(head) | {"run": head.id, "seconds": head.seconds}))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "status", "started", "time", "steps", "tokens", "cost"):
        table.add_column(heading, no_wrap=True, min_width=len(heading))
    table.add_column("flow", overflow="fold")  # last, so that ids and figures keep their room
    for head in heads:
        table.add_row(
            head.id,
            f"[{STYLES[head.status]}]{head.status}[/]",
            time.strftime("%m-%d %H:%M", time.localtime(head.started_at)),
            seconds(head.seconds),
            str(head.steps),
            tokens(head.tokens),
            dollars(head.cost_usd),
            clean(head.flow, 30) + (f", fork of {head.parent[:10]}" if head.parent else ""),
        )
    Console().print(table if heads else "no runs yet")
