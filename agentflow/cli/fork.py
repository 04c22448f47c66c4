"""`agentflow fork`: a new run that differs from a recorded one at one step."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import click
from rich.console import Console
from rich.table import Table

from agentflow.cli.again import job_like, recorded_run
from agentflow.cli.carry import carry_out
from agentflow.cli.placing import on_option
from agentflow.cli.viewing import view_option
from agentflow.cli.words import clean, dollars
from agentflow.flows import Flow
from agentflow.forks import Change, ForkPlan
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.runner import Runner, RunResult, new_run_id

SHOWN_STEPS = 30
CHANGES: dict[str, type] = {"input": dict, "output": object, "prompt": str, "model": str}


def _run_id(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value) is None:
        raise click.BadParameter(f"{value!r}: letters, digits, _ and -, at most 64")
    return value


@click.command()
@click.argument("run")
@click.option("--at", required=True, help="The step: its number in `agentflow show`, or its name.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="WHAT=VALUE",
    help="output=JSON, input.NAME=JSON, prompt=TEXT or model=NAME; @FILE reads the value from a file. "
    "Without any, the step is done again.",
)
@click.option(
    "--change",
    "changes",
    type=click.Path(dir_okay=False, path_type=Path),
    help='A JSON file with the same: {"input": {NAME: VALUE}, "output": …, "prompt": …, "model": …}.',
)
@click.option("--as", "new_run", metavar="RUN_ID", callback=_run_id, help="The id of the new run.")
@click.option("--dry-run", is_flag=True, help="Only say what would be reused, run again and cost.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--quiet", "-q", is_flag=True, help="Print the answer and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@on_option
@view_option
def fork(
    run: str,
    at: str,
    settings: tuple[str, ...],
    changes: Path | None,
    new_run: str | None,
    dry_run: bool,
    journal: str | None,
    quiet: bool,
    as_json: bool,
    on: str | None,
    view: bool,
) -> None:
    """Start a new run from a recorded one, changed at one step.

    The step and all below it run anew; everything that the change does not touch is taken over.

    \b
    agentflow fork last --at 7 --set model=openai:gpt-5 --dry-run
    agentflow fork last --at 7 --set prompt=@better.txt
    """
    change = change_given(settings, changes)
    record, flow = recorded_run(run, journal)
    if dry_run:
        _print_plan(_plan(record, flow, at, change, journal), as_json=as_json)
        return
    name = new_run or new_run_id()

    async def start(runner: Runner) -> RunResult[Any]:
        return await runner.fork(flow, record.id, at=at, change=change, new_run=name)

    announcement = f"forking {record.id} at step {at} into {name}"
    job = job_like(record, journal, start, run=name, announcement=announcement, on=on)
    sys.exit(carry_out(job, quiet=quiet, as_json=as_json, view=view))


def _plan(
    record: RunRecord, flow: Flow[..., Any], at: str, change: Change, journal: str | None
) -> ForkPlan:
    async def plan(runner: Runner) -> ForkPlan:
        return await runner.plan_fork(flow, record.id, at=at, change=change)

    job = job_like(record, journal, _never, run=record.id, announcement="")
    return anyio.run(plan, Runner(model=job.model, tools=job.tools, journal=journal))


async def _never(_runner: Runner) -> RunResult[Any]:
    raise AssertionError("a dry run starts nothing")


def change_given(settings: Sequence[str], file: Path | None) -> Change:
    """Return the change that `--set` or `--change` describes.

    Raises:
        click.UsageError: It is none.
    """
    if file is None:
        return _change(settings)
    if settings:
        raise click.UsageError("give --set or --change, not both")
    return _change_of_file(file)


def _change(settings: Sequence[str]) -> Change:
    given: dict[str, Any] = {"input": {}}
    for setting in settings:
        what, separator, text = setting.partition("=")
        if not separator:
            raise click.BadParameter(f"write WHAT=VALUE, not {setting!r}", param_hint="--set")
        if text.startswith("@"):
            text = _read(Path(text[1:]))
        if what.startswith("input."):
            given["input"][what.removeprefix("input.")] = _value(text)
        elif what in ("output", "input"):
            given[what] = _value(text)
        elif what in ("prompt", "model"):
            given[what] = text
        else:
            problem = f"{what!r} is none of output, input.NAME, prompt, model"
            raise click.BadParameter(problem, param_hint="--set")
    if not isinstance(given["input"], dict):
        raise click.BadParameter("input is a JSON object of arguments by name", param_hint="--set")
    return Change(**given)


def _change_of_file(path: Path) -> Change:
    try:
        given = json.loads(_read(path, "--change"))
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{path}: {error}", param_hint="--change") from error
    fits = isinstance(given, dict) and all(
        name in CHANGES and isinstance(value, CHANGES[name]) for name, value in given.items()
    )
    if not fits:
        problem = f"{path}: an object with input (an object), output, prompt (text) or model (text)"
        raise click.BadParameter(problem, param_hint="--change")
    return Change(**given)


def _read(path: Path, option: str = "--set") -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path}: {error}", param_hint=option) from error


def _value(text: str) -> Any:
    """Return JSON as data; what is no JSON is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print_plan(plan: ForkPlan, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_facts(plan)))
        return
    console = Console()
    console.print(
        f"fork of run {plan.run} at step {plan.at.number} ({clean(plan.at.name)}): "
        f"{len(plan.reused)} steps reused, {len(plan.rerun)} run again, "
        f"{len(plan.open)} depend on what comes of that"
    )
    console.print(f"about {dollars(plan.cost_usd)} at most, going by what they cost before")
    table = Table(box=None, pad_edge=False)
    for heading in ("step", "name", "kind", "would"):
        table.add_column(heading)
    for step, would in [(step, "run") for step in plan.rerun] + [
        (step, "may run") for step in plan.open
    ]:
        effect = ", changes something outside" if step.details.get("effect") else ""
        if table.row_count < SHOWN_STEPS:
            table.add_row(str(step.number), clean(step.name, 40), step.kind, would + effect)
    console.print(table)
    hidden = len(plan.rerun) + len(plan.open) - table.row_count
    if hidden > 0:
        console.print(f"and {hidden} more: --json lists them all")
    if plan.failure:
        console.print(f"the flow itself fails before that: {clean(plan.failure)}", style="red")


def _facts(plan: ForkPlan) -> dict[str, Any]:
    def numbers(steps: tuple[StepRecord, ...]) -> list[int]:
        return [step.number for step in steps]

    return {
        "run": plan.run,
        "at": plan.at.number,
        "reused": numbers(plan.reused),
        "rerun": numbers(plan.rerun),
        "open": numbers(plan.open),
        "effects": numbers(plan.effects),
        "effect_names": [step.name for step in plan.effects],
        "cost_usd": plan.cost_usd,
        "failure": plan.failure,
    }
