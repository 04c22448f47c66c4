"""`agentflow journal`: look after the journal."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from agentflow.cli.exits import EXIT_FAILED
from agentflow.cli.words import clean
from agentflow.journal.store import Store
from agentflow.journal.upkeep.export import export_runs
from agentflow.journal.upkeep.importing import import_runs
from agentflow.journal.upkeep.prune import STATUSES, Criteria, Pruned, compact, prune
from agentflow.journal.upkeep.stats import Stats, stats
from agentflow.journal.upkeep.verify import verify

F = TypeVar("F", bound=Callable[..., Any])

_UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Age(click.ParamType[float]):
    """A length of time such as `30d`, as seconds."""

    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"([0-9]{1,6})([mhdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is no age; write 30d, 12h, 90m or 4w", param, ctx)
        return float(found[1]) * _UNITS_S[found[2]]


class Status(click.ParamType[tuple[str, ...]]):
    """Statuses, separated by commas."""

    name = "status"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the statuses."""
        if isinstance(value, tuple):
            return value
        found = tuple(part.strip() for part in str(value).split(","))
        unknown = [part for part in found if part not in STATUSES]
        if unknown:
            self.fail(f"unknown status {unknown[0]!r}; there are {', '.join(STATUSES)}", param, ctx)
        return found


def _journal_option(command: F) -> F:
    text = "Journal file or database URL."
    return click.option("--journal", "-j", "where", help=text, envvar="AGENTFLOW_JOURNAL")(command)


@click.group()
def journal() -> None:
    """Look after the journal: prune, export, import, verify, stats.

    \b
    agentflow journal prune --older-than 30d --dry-run
    """


@journal.command("prune")
@_journal_option
@click.option("--older-than", type=Age(), help="Ended longer ago than this: 30d, 12h.")
@click.option("--status", type=Status(), help=f"Only these, with commas: {', '.join(STATUSES)}.")
@click.option("--keep", type=click.IntRange(min=0), help="Never the newest so many runs.")
@click.option("--run", "runs", multiple=True, help="This run; may be given again.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--compact", "is_compacting", is_flag=True, help="Give the space back to the disk.")
def prune_command(
    where: str | None,
    older_than: float | None,
    status: tuple[str, ...] | None,
    keep: int | None,
    runs: tuple[str, ...],
    dry_run: bool,
    is_compacting: bool,
) -> None:
    """Remove runs that meet everything given, and what only they referred to.

    A run that is being written stays. Cached answers stay.

    \b
    agentflow journal prune --older-than 30d --status failed --keep 100 --dry-run
    """
    criteria = Criteria(older_than_s=older_than, statuses=status or (), keep=keep, runs=runs)
    if criteria.is_empty:
        raise click.UsageError("say what to remove: --older-than, --status, --keep or --run")
    with _opened(where) as store:
        found = prune(store, criteria, dry_run=dry_run)
        _print_pruned(found, dry_run)
        if is_compacting and not dry_run:
            click.echo(f"the file is {_size(compact(store))} smaller", err=True)


@journal.command("export")
@click.argument("runs", nargs=-1)
@_journal_option
@click.option("--all", "is_all", is_flag=True, help="Every run of the journal.")
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE.jsonl, or FILE.jsonl.gz to pack it.",
)
def export_command(runs: tuple[str, ...], where: str | None, is_all: bool, output: Path) -> None:
    """Write runs to a file that `agentflow journal import` takes in elsewhere.

    \b
    agentflow journal export last -o run.jsonl.gz
    """
    if bool(runs) == is_all:
        raise click.UsageError("name the runs, or give --all")
    with _opened(where) as store:
        done = export_runs(store, output, None if is_all else runs)
    count = f"{_count(len(done.runs), 'run')}, {_count(done.events, 'event')}"
    click.echo(f"{output}: {count}, {_size(done.file_bytes)}", err=True)


@journal.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_journal_option
@click.option("--skip-existing", is_flag=True, help="Leave out runs that are there already.")
def import_command(file: Path, where: str | None, skip_existing: bool) -> None:
    """Take in the runs of an export: all of them, or none if anything is wrong with it.

    \b
    agentflow journal import run.jsonl.gz
    """
    with _opened(where, create=True) as store:
        done = import_runs(store, file, skip_existing=skip_existing)
    for run in done.runs:
        click.echo(run)
    skipped = ""
    if done.skipped:
        were = "was" if len(done.skipped) == 1 else "were"
        skipped = f"; left out {_count(len(done.skipped), 'run')} that {were} there"
    click.echo(f"took in {_count(len(done.runs), 'run')}{skipped}", err=True)


@journal.command("verify")
@click.argument("run", required=False)
@_journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_command(run: str | None, where: str | None, as_json: bool) -> None:
    """Check the database, every run and every payload, or one run; exit code 1 for any problem.

    \b
    agentflow journal verify
    """
    with _opened(where) as store:
        found = verify(store, run)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        for problem in found.problems:
            click.echo(clean(str(problem)))
        counts = f"{_count(found.runs, 'run')}, {_count(found.events, 'event')}"
        counts += f", {_count(found.payloads, 'payload')}"
        if found.orphans:
            counts += f" ({found.orphans} unused, {_size(found.orphan_bytes)})"
        click.echo(f"{counts}: {_count(len(found.problems), 'problem')}", err=True)
    if found.problems:
        sys.exit(EXIT_FAILED)


@journal.command("stats")
@_journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def stats_command(where: str | None, as_json: bool) -> None:
    """Say what the journal holds and where its bytes are.

    \b
    agentflow journal stats
    """
    with _opened(where) as store:
        found = stats(store)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        _print_stats(found)


@contextmanager
def _opened(where: str | None, *, create: bool = False) -> Iterator[Store]:
    store = Store(where, create=create)
    try:
        yield store
    finally:
        store.close()


def _print_pruned(found: Pruned, dry_run: bool) -> None:
    for run in found.runs:
        size = _size(run.content_bytes)
        click.echo(f"{run.run}  {run.status:<11}  {size:>8}  {clean(run.flow, 40)}")
    for busy in found.busy:
        click.echo(f"run {busy} stays: it is being written", err=True)
    said = "would remove" if dry_run else "removed"
    payloads = f"{_count(found.payloads, 'payload')} ({_size(found.payload_bytes)})"
    total = _size(found.content_bytes)
    click.echo(f"{said} {_count(len(found.runs), 'run')} and {payloads}: {total}", err=True)


def _print_stats(found: Stats) -> None:
    runs = ", ".join(f"{count} {status}" for status, count in found.runs.items())
    per_step = found.bytes_per_step
    table = Table(box=None, pad_edge=False, show_header=False)
    rows = {
        "runs": runs or "none",
        "steps": f"{found.steps:,}",
        "events": f"{found.events:,}",
        "size": _size(found.file_bytes)
        + ("" if per_step is None else f", {per_step:,.0f} bytes a step"),
        "payloads": f"{found.payloads:,}, {_size(found.payload_bytes)}, "
        f"storing equal ones once saved {_size(found.saved_bytes)}",
        "cached answers": f"{found.cached_answers:,}",
        "annotations": f"{found.annotations:,}",
    }
    for name, text in rows.items():
        table.add_row(name, text)
    for number, run in enumerate(found.biggest):
        steps = _count(run.steps, "step")
        text = f"{run.run}  {_size(run.content_bytes)}, {steps}  {clean(run.flow, 40)}"
        table.add_row("biggest runs" if number == 0 else "", text)
    Console(markup=False, highlight=False).print(table)


def _size(size_bytes: float) -> str:
    """Return a size to read."""
    for unit in ("B", "kB", "MB"):
        if abs(size_bytes) < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
