"""`agentflow doctor`: what works here, what does not, and what to type."""

import json
import sys
from dataclasses import asdict

import anyio
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentflow.cli.exits import EXIT_FAILED
from agentflow.cli.words import clean
from agentflow.doctor import Finding, examine_machine, is_well

MARKS = {"ok": ("✓", "green"), "missing": ("-", "yellow"), "wrong": ("✗", "red")}


@click.command()
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(journal: str | None, as_json: bool) -> None:
    """Look at packages, keys, models, the sandbox and the journal; say what to type where one is amiss.

    Nothing that costs money is called and no key is printed. Exit codes: 0 all is well, 1 something is
    wrong, or is missing that hardly anything works without.

    \b
    agentflow doctor
    agentflow doctor --json
    """
    findings = anyio.run(examine_machine, journal)
    well = is_well(findings)
    if as_json:
        click.echo(json.dumps({"ok": well, "findings": [asdict(one) for one in findings]}))
    else:
        _print(findings)
        click.echo("all is well" if well else "not all is well: see the lines marked ✗", err=True)
    sys.exit(0 if well else EXIT_FAILED)


def _print(findings: list[Finding]) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in ("mark", "name", "told"):
        table.add_column(column, overflow="fold")
    area = ""
    for one in findings:
        if one.area != area:
            table.add_row("", Text(one.area, style="bold"), "")
            area = one.area
        mark, style = MARKS[one.status]
        needed = one.is_needed and one.status == "missing"
        table.add_row(
            Text("✗" if needed else mark, style="red" if needed else style),
            clean(one.name),
            _told(one),
        )
    console.print(table)


def _told(one: Finding) -> Text:
    text = Text(clean(one.told))
    if one.fix:
        text.append(f"\n→ {clean(one.fix)}", style="cyan")
    return text
