"""`agentflow planners`: which planners there are, and what is known of each.

Owns no knowledge of planners: the line, the source and the published figures are each one's own docstring, the
options its signature.
"""

import inspect
import json
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table

from agentflow import plugins
from agentflow.flows import Flow

GIVEN = "task"  # the argument that a run fills in


@dataclass(frozen=True)
class About:
    """One planner. `problem` says why it cannot be imported; then the rest is empty."""

    name: str
    line: str = ""
    text: str = ""
    options: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per planner.")
def planners(name: str | None, as_json: bool) -> None:
    """List the planners, or tell what NAME is: its source, published figures and options.

    \b
    agentflow planners
    agentflow planners funcoder
    """
    if name is not None and name not in plugins.installed("planner"):
        plugins.load("planner", name)  # raises, naming what is near
    found = [about(each) for each in ([name] if name else plugins.installed("planner"))]
    if as_json:
        for one in found:
            click.echo(json.dumps(one.__dict__ | {"options": dict(one.options)}))
    elif name:
        _tell(found[0])
    else:
        _list(found)


def about(name: str) -> About:
    """Return what a planner says of itself; one that cannot be imported says that."""
    try:
        planner = plugins.load("planner", name)
    except Exception as error:  # noqa: BLE001 - a broken third-party planner must not hide the others
        return About(name, problem=f"cannot be imported: {error}")
    module = inspect.getmodule(planner.function if isinstance(planner, Flow) else planner)
    text = inspect.cleandoc((module.__doc__ if module else None) or planner.__doc__ or "")
    parameters = inspect.signature(planner).parameters.values()
    options = tuple((one.name, _default(one)) for one in parameters if one.name != GIVEN)
    return About(name, text.partition("\n")[0], text, options)


def _default(parameter: inspect.Parameter) -> str:
    return "required" if parameter.default is parameter.empty else repr(parameter.default)


def _list(found: list[About]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("about")
    for one in found:
        table.add_row(one.name, one.problem or one.line)
    Console().print(table)


def _tell(one: About) -> None:
    if one.problem:
        raise click.ClickException(f"planner {one.name} {one.problem}")
    console = Console(highlight=False)
    console.print(one.text, markup=False, soft_wrap=True)
    if one.options:
        console.print("\nOptions:")
        table = Table(box=None, pad_edge=False, show_header=False)
        for option, default in one.options:
            table.add_row(f"  {option}", default)
        console.print(table, markup=False)
    console.print(f"\nIn a task file: planner: {one.name}", markup=False)
