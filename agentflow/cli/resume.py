"""`agentflow resume`: go on with a run that did not finish."""

import sys

import click

from agentflow.budget import Budget
from agentflow.cli.again import recorded_run
from agentflow.cli.prepare import Prepared, find_tools
from agentflow.cli.run import carry_out
from agentflow.models.registry import parse_spec
from agentflow.solving import solve_task


@click.command()
@click.argument("run")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--quiet", "-q", is_flag=True, help="Print the answer and nothing else.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object: answer, checks, usage."
)
def resume(run: str, journal: str | None, quiet: bool, as_json: bool) -> None:
    r"""Go on with a run that was stopped or failed; finished steps are not repeated.

    Only runs of task files: a flow of your own is resumed with `Runner.resume` in your own code.

    \b
    agentflow resume last
    """
    record, flow = recorded_run(run, journal)
    if flow is not solve_task:
        problem = f"run {record.id} is no run of a task file; resume it with Runner.resume"
        raise click.ClickException(problem)
    if record.status == "succeeded":
        raise click.ClickException(
            f"run {record.id} has finished; `agentflow replay` runs it again"
        )
    arguments = solve_task.signature.read_input(record.input)
    settings = record.settings
    prepared = Prepared(
        **arguments,
        tools=find_tools(settings["tools"]),
        model=parse_spec(settings["model"]),
        budget=Budget(**settings["budget"]),
        journal=journal,
        announcement=f"resuming {record.id} with model {settings['model']['provider']}",
    )
    sys.exit(carry_out(prepared, quiet=quiet, as_json=as_json, resume=record.id))
