"""`agentflow diff`: two runs, aligned step by step."""

import json
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from agentflow.cli.words import clean, dollars, seconds, tokens
from agentflow.journal.diff import StepDifference, diff_runs
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.reuse import apart

MARKS = {
    "same": (" ", "dim"),
    "changed": ("~", "yellow"),
    "removed": ("-", "red"),
    "added": ("+", "green"),
}


@click.command()
@click.argument("left")
@click.argument("right")
@click.option("--all", "show_all", is_flag=True, help="Also list the steps that are the same.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a step.")
def diff(left: str, right: str, show_all: bool, journal: str | None, as_json: bool) -> None:
    """Compare two runs: steps are aligned by identity, and what differs is shown.

    \b
    agentflow diff 6920a1 last
    """
    with Journal(journal) as opened:
        one, other = opened.run(left), opened.run(right)
    differences = diff_runs(one, other)
    if as_json:
        for difference in differences:
            click.echo(json.dumps(_facts(difference)))
        return
    console = Console()
    console.print(f"run {one.id} → run {other.id}")
    for difference in differences:
        if show_all or difference.what != "same":
            console.print(_line(difference), soft_wrap=True)
    console.print(_totals(one, other, differences), style="bold")


def _line(difference: StepDifference) -> Text:
    mark, style = MARKS[difference.what]
    step = difference.step
    text = Text(f"{mark} {step.number:>4} {clean(step.name, 40)} {step.kind}", style=style)
    if difference.what == "changed" and difference.left and difference.right:
        for name in difference.changed:
            before, after = _values(difference.left, difference.right, name)
            text.append(f"\n       {name}: {clean(before)} → {clean(after)}", style="")
    return text


def _values(left: StepRecord, right: StepRecord, name: str) -> tuple[str, str]:
    """Return what differs, from a little before where it does."""
    if name == "model":
        return str(left.details.get("model")), str(right.details.get("model"))
    before, after = getattr(left, name), getattr(right, name)
    if isinstance(before, bytes) and isinstance(after, bytes):
        return apart(before, after)
    return str(before), str(after)


def _totals(one: RunRecord, other: RunRecord, differences: list[StepDifference]) -> str:
    counts = {what: sum(item.what == what for item in differences) for what in MARKS}
    reused = sum(item.is_reused for item in differences)
    words = ", ".join(f"{count} {what}" for what, count in counts.items())
    spent = " → ".join(
        f"{tokens(run.usage.total_tokens)} {dollars(run.cost_usd)} {seconds(run.seconds)}"
        for run in (one, other)
    )
    return f"{words} ({reused} reused); {spent}"


def _facts(difference: StepDifference) -> dict[str, Any]:
    step = difference.step
    return {
        "what": difference.what,
        "changed": list(difference.changed),
        "reused": difference.is_reused,
        "key": step.key.hex(),
        "name": step.name,
        "kind": step.kind,
        "left": difference.left and difference.left.number,
        "right": difference.right and difference.right.number,
    }
