"""`agentflow run`: a task file in, an answer out, the tree of steps in between."""

import sys
from pathlib import Path
from typing import Any

import click

from agentflow.cli.carry import Job, carry_out
from agentflow.cli.exits import EXIT_USAGE
from agentflow.cli.placing import on_option
from agentflow.cli.prepare import Prepared, prepare
from agentflow.cli.viewing import view_option
from agentflow.errors import TaskFileError
from agentflow.runner import Runner, RunResult, new_run_id
from agentflow.solving import solve_task


@click.command()
@click.argument("task_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--model", "-m", help="Use this model instead of the file's, e.g. openai:gpt-5-mini.")
@click.option(
    "--planner", "-p", help="Use this planner instead of the file's: a name, or a flow file."
)
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--quiet", "-q", is_flag=True, help="Print the answer and nothing else.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object: answer, checks, usage."
)
@on_option
@view_option
def run(
    task_file: Path,
    model: str | None,
    planner: str | None,
    journal: str | None,
    quiet: bool,
    as_json: bool,
    on: str | None,
    view: bool,
) -> None:
    """Run a task file and print its answer.

    The live tree goes to standard error, the answer to standard output. Exit codes: 0 solved, 1 the
    run failed, 2 the task file is wrong, 3 a check failed, 4 the budget was too small, 5 paused until
    a person has answered, 130 stopped.

    \b
    agentflow run examples/orders/task.yaml --model gguf:qwen2.5-coder-0.5b
    agentflow run examples/orders/task.yaml --view
    agentflow run examples/orders/task.yaml --on ray
    """
    try:
        prepared = prepare(task_file, model=model, planner=planner, journal=journal)
    except TaskFileError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_USAGE)
    sys.exit(carry_out(_job(prepared, on), quiet=quiet, as_json=as_json, view=view))


def _job(prepared: Prepared, on: str | None) -> Job:
    run_id = new_run_id()

    async def start(runner: Runner) -> RunResult[Any]:
        task, planner, checks = prepared.task, prepared.planner, prepared.checks
        return await runner.run_as(run_id, solve_task, task, planner, checks)

    return Job(
        run=run_id,
        announcement=prepared.announcement,
        start=start,
        model=prepared.model,
        tools=prepared.tools,
        budget=prepared.budget,
        journal=prepared.journal,
        redact=prepared.redact,
        cache_models=prepared.cache_models,
        on=on,
    )
