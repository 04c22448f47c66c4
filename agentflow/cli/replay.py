"""`agentflow replay`: run a recorded run again from its record alone."""

import json
import sys

import anyio
import click
from rich.console import Console

from agentflow.budget import Budget
from agentflow.cli.again import recorded_run
from agentflow.cli.environments import recorded_tools
from agentflow.cli.exits import EXIT_FAILED
from agentflow.cli.tree import run_tree, status_line
from agentflow.cli.words import clean_block
from agentflow.journal.records import RunRecord
from agentflow.runner import Runner


@click.command()
@click.argument("run")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--quiet", "-q", is_flag=True, help="Print the answer and nothing else.")
def replay(run: str, journal: str | None, quiet: bool) -> None:
    """Run a recorded run again: no model, tool or network call is made.

    The flows run; every answer of a model, a tool or a person comes from the journal. The tree and
    the output are compared with the recorded ones.

    \b
    agentflow replay last
    """
    record, flow = recorded_run(run, journal)
    runner = Runner(journal=journal, tools=recorded_tools(record.settings))
    replayed = anyio.run(runner.replay, flow, record.id)
    console = Console(stderr=True, quiet=quiet)
    console.print(run_tree(record))
    console.print(status_line(record, Budget()))
    difference = _difference(record, replayed.record)
    if difference:
        click.echo(f"Error: the replay differs: {difference}", err=True)
        sys.exit(EXIT_FAILED)
    console.print(f"replayed {len(record.steps)} steps: same tree, same output", style="green")
    click.echo(clean_block(json.dumps(record.value(), indent=2, ensure_ascii=False, default=str)))


def _difference(recorded: RunRecord, replayed: RunRecord) -> str:
    """Return the first difference between two trees of steps, in words; empty if there is none."""
    before = {step.key: step for step in recorded.steps.values()}
    after = {step.key: step for step in replayed.steps.values()}
    for key, step in before.items():
        if key not in after:
            return f"step {step.number} ({step.name}) did not happen"
        if after[key].output != step.output:
            return f"step {step.number} ({step.name}) gave another output"
    for key, step in after.items():
        if key not in before:
            return f"step {step.number} ({step.name}) is new"
    return "" if recorded.output == replayed.output else "the output is another one"
