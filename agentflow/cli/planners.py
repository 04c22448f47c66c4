"""`agentflow planners`: which planners there are, and what is known of each."""

import json
from collections.abc import Iterator
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from agentflow import plugins
from agentflow.cli.planner_cards import Card, card_of


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per planner.")
@click.option("--markdown", "as_markdown", is_flag=True, help="One table of all, as in the docs.")
def planners(name: str | None, as_json: bool, as_markdown: bool) -> None:
    """List the planners, or tell what NAME is: its source, cost, needs, published figures, options.

    \b
    agentflow planners
    agentflow planners funcoder
    """
    if name is not None and name not in plugins.installed("planner"):
        plugins.load_planner(name)  # raises, naming what is near
    found = [card_of(each) for each in ([name] if name else plugins.installed("planner"))]
    if as_json:
        for one in found:
            click.echo(json.dumps(asdict(one) | {"options": dict(one.options)}))
    elif as_markdown:
        click.echo("\n".join(_markdown(found)))
    elif name:
        _tell(found[0])
    else:
        _list(found)


def _list(found: list[Card]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("about", ratio=3)
    table.add_column("cost", style="dim")
    table.add_column("needs", style="dim", ratio=1)
    for one in found:
        needs = ", ".join(one.needs)
        table.add_row(one.name, one.problem or one.line, one.cost_class, needs)
    Console().print(table)


def _markdown(found: list[Card]) -> Iterator[str]:
    yield "| name | what it does | cost of a task | needs | published figures |"
    yield "|---|---|---|---|---|"
    for one in found:
        facts = (one.problem or one.line, one.cost, ", ".join(one.needs), "; ".join(one.published))
        cells = " | ".join(fact.replace("|", r"\|") for fact in facts)
        yield f"| `{one.name}` | {cells} |"


def _tell(one: Card) -> None:
    if one.problem:
        raise click.ClickException(f"planner {one.name} {one.problem}")
    console = Console(highlight=False)
    console.print(one.text, markup=False, soft_wrap=True)
    facts = {
        "Source": (one.source,),
        "Cost": (one.cost,),
        "Needs": one.needs,
        "Published": one.published,
    }
    console.print()
    _rows(console, {name: "\n".join(lines) for name, lines in facts.items() if any(lines)})
    if one.options:
        console.print("\nOptions:")
        _rows(console, {f"  {option}": default for option, default in one.options})
    console.print(f"\nIn a task file: planner: {one.name}", markup=False)


def _rows(console: Console, rows: dict[str, str]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table, markup=False)
