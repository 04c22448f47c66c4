"""`agentflow runs`: what is in the journal."""

import json
import time

import click
from rich.console import Console
from rich.table import Table

from agentflow.cli.words import clean, dollars, seconds, tokens
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord

STYLES = {"succeeded": "green", "failed": "red", "interrupted": "yellow", None: "cyan"}


@click.command()
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--limit", "-n", default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def runs(journal: str | None, limit: int, as_json: bool) -> None:
    r"""List the runs in the journal, newest first.

    \b
    agentflow runs --limit 5
    """
    with Journal(journal) as opened:
        records = list(opened.runs(limit))
    if as_json:
        for record in records:
            click.echo(json.dumps(_facts(record)))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "flow", "status", "started", "time", "steps", "tokens", "cost"):
        table.add_column(heading, no_wrap=heading != "flow")
    for record in records:
        started = time.strftime("%m-%d %H:%M", time.localtime(record.started_at))
        status = record.status or "unfinished"
        table.add_row(
            record.id,
            clean(record.flow, 30),
            f"[{STYLES[record.status]}]{status}[/]",
            started,
            seconds(record.seconds),
            str(len(record.steps)),
            tokens(record.usage.total_tokens),
            dollars(record.cost_usd),
        )
    Console().print(table if records else "no runs yet")


def _facts(record: RunRecord) -> dict[str, object]:
    return {
        "run": record.id,
        "flow": record.flow,
        "status": record.status or "unfinished",
        "started_at": record.started_at,
        "seconds": record.seconds,
        "steps": len(record.steps),
        "usage": record.usage.model_dump(),
        "cost_usd": record.cost_usd,
    }
