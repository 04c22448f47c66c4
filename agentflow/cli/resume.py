"""`agentflow resume`: go on with a run that did not finish."""

import sys
from typing import Any

import click

from agentflow.cli.again import job_like, recorded_run
from agentflow.cli.carry import carry_out
from agentflow.cli.placing import on_option
from agentflow.cli.viewing import view_option
from agentflow.runner import Runner, RunResult


@click.command()
@click.argument("run")
@click.option(
    "--accept-changes",
    is_flag=True,
    help="Go on although the code has changed: what changed runs again, the rest is kept.",
)
@click.option(
    "--budget",
    "-b",
    multiple=True,
    metavar="LIMIT=VALUE",
    help="Change a limit of the run, e.g. tokens=100000; without a value it is taken away.",
)
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--quiet", "-q", is_flag=True, help="Print the answer and nothing else.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object: answer, checks, usage."
)
@on_option
@view_option
def resume(
    run: str,
    accept_changes: bool,
    budget: tuple[str, ...],
    journal: str | None,
    quiet: bool,
    as_json: bool,
    on: str | None,
    view: bool,
) -> None:
    """Go on with a run that was stopped, failed or waits for an answer; finished steps are kept.

    Runs of task files, and of flows that can be imported from here. They go on where they ran, or on
    another PLACE.

    \b
    agentflow resume last
    agentflow resume last --budget tokens=200000
    """
    record, flow = recorded_run(run, journal)
    if record.status == "succeeded":
        raise click.ClickException(
            f"run {record.id} has finished; `agentflow replay` runs it again, `agentflow fork` changes it"
        )

    async def start(runner: Runner) -> RunResult[Any]:
        return await runner.resume(flow, record.id, accept_changes=accept_changes)

    done = sum(step.status == "succeeded" for step in record.steps.values())
    announcement = f"resuming {record.id}: {done} of {len(record.steps)} steps are done"
    job = job_like(
        record, journal, start, run=record.id, announcement=announcement, budget=budget, on=on
    )
    sys.exit(carry_out(job, quiet=quiet, as_json=as_json, view=view))
