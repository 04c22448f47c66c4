"""`agentflow show`: one run as a tree, or one of its steps in full."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from agentflow.budget import Budget
from agentflow.cli.tree import annotation_line, run_tree, status_line
from agentflow.cli.words import clean, clean_block, reused_tokens
from agentflow.journal.annotations import Annotation
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord, StepRecord


@click.command()
@click.argument("run")
@click.option(
    "--step",
    "-s",
    type=int,
    help="Show this step in full: input, output, expansions, notes, annotations.",
)
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as JSON, one object a line.")
def show(run: str, step: int | None, journal: str | None, as_json: bool) -> None:
    """Show one run as a tree: steps, tokens, cost and time. RUN is an id, its beginning, or `last`.

    \b
    agentflow show last
    agentflow show last --step 3
    """
    with Journal(journal) as opened:
        record = opened.run(run)
        annotations = opened.annotations(record.id)
    if as_json:
        for item in record.steps.values():
            click.echo(json.dumps(_facts(item, annotations), ensure_ascii=False))
        return
    if step is not None:
        if step not in record.steps:
            raise click.ClickException(
                f"run {record.id} has no step {step} (1 to {len(record.steps)})"
            )
        _print_step(record.steps[step], annotations)
        return
    _print_run(record, annotations)


def _print_run(record: RunRecord, annotations: list[Annotation]) -> None:
    console = Console()
    status = record.status or "unfinished"
    console.print(Text(f"run {record.id}  {clean(record.flow)}  {status}", style="bold"))
    console.print(run_tree(record, annotations=annotations))
    console.print(
        status_line(record, Budget(**record.settings.get("budget", {})), _last_moment(record))
    )
    if record.failure is not None:
        console.print(Text(f"{record.failure.name}: {clean(record.failure.message)}", style="red"))
    for line in _outside_tree(record, annotations):
        console.print(line)


def _outside_tree(record: RunRecord, annotations: list[Annotation]) -> Iterator[Text]:
    """Yield what is written on the run as a whole, and on steps of attempts before the last."""
    root = record.root
    shown = {step.number for step in root.walk()} if root and annotations else set()
    for one in annotations:
        line = annotation_line(one)
        if one.step is None:
            yield line
        elif one.step not in shown:
            yield Text.assemble((f"step {one.step} ", "dim"), line, no_wrap=True)


def _last_moment(record: RunRecord) -> float:
    """Return the last time anything is known of; an unfinished run must not seem to grow."""
    moments = [step.ended_at or step.started_at for step in record.steps.values()]
    return max(moments, default=record.started_at)


def _print_step(step: StepRecord, annotations: list[Annotation]) -> None:
    click.echo(f"step {step.number} {clean(step.name)} ({step.kind}, {step.status})")
    if step.reuse is not None:
        click.echo(f"prefix tokens reused: {reused_tokens(step.reuse)}")
    if "state" in step.details:
        click.echo(f"state: {clean(str(step.details['state']))}")
    _block("input", _pretty(step.input))
    for expansion in step.expansions:
        _block(f"expanded into a {expansion.kind}", expansion.content.decode("utf-8", "replace"))
    for note in step.notes:
        _block("note", note.text)
    if step.output is not None:
        _block("output", _pretty(step.output))
    if step.failure is not None:
        _block("error", f"{step.failure.name}: {step.failure.message}\n\n{step.failure.trace}")
    for one in (one for one in annotations if one.step == step.number):
        _block(f"annotation {one.id} {clean(one.tag)}".rstrip(), one.text)
    _block("details", json.dumps(step.details, indent=2, ensure_ascii=False))


def _block(title: str, text: str) -> None:
    click.echo(f"\n── {title}\n{clean_block(text).rstrip()}")


def _pretty(data: bytes) -> str:
    """Return JSON laid out to be read; strings with line ends keep them."""
    found = json.loads(data)
    if isinstance(found, str):
        return found
    return json.dumps(found, indent=2, ensure_ascii=False).replace("\\n", "\n")


def _facts(step: StepRecord, annotations: list[Annotation]) -> dict[str, Any]:
    return {
        "step": step.number,
        "key": step.key.hex(),
        "parent": step.parent,
        "name": step.name,
        "kind": step.kind,
        "status": step.status,
        "started_at": step.started_at,
        "seconds": step.seconds,
        "links": list(step.links),
        "details": step.details,
        "annotations": [asdict(one) for one in annotations if one.step == step.number],
        "input": json.loads(step.input),
        "output": None if step.output is None else json.loads(step.output),
        "error": None if step.failure is None else step.failure.message,
    }
