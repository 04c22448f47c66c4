"""`agentflow run`: a task file in, an answer out, the tree of steps in between."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import click
from rich.console import Console

from agentflow.cli.exits import (
    EXIT_BUDGET,
    EXIT_CHECK_FAILED,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
)
from agentflow.cli.people import ask_on_terminal
from agentflow.cli.prepare import Prepared, prepare
from agentflow.cli.screen import Screen
from agentflow.cli.stopping import until_stopped
from agentflow.cli.words import clean, clean_block
from agentflow.errors import AgentflowError, BudgetExceededError, TaskFileError
from agentflow.journal.records import RunRecord
from agentflow.runner import Runner, RunResult, new_run_id
from agentflow.solving import Solution, solve_task


@click.command()
@click.argument("task_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--model", "-m", help="Use this model instead of the file's, e.g. openai:gpt-5-mini.")
@click.option("--planner", "-p", help="Use this planner instead of the file's.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--quiet", "-q", is_flag=True, help="Print the answer and nothing else.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object: answer, checks, usage."
)
def run(
    task_file: Path,
    model: str | None,
    planner: str | None,
    journal: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    r"""Run a task file and print its answer.

    The live tree goes to standard error, the answer to standard output. Exit codes: 0 solved, 1 the
    run failed, 2 the task file is wrong, 3 a check failed, 4 the budget was too small, 130 stopped.

    \b
    agentflow run examples/orders/task.yaml --model gguf:qwen2.5-coder-0.5b
    """
    try:
        prepared = prepare(task_file, model=model, planner=planner, journal=journal)
    except TaskFileError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_USAGE)
    sys.exit(carry_out(prepared, quiet=quiet, as_json=as_json))


def carry_out(prepared: Prepared, *, quiet: bool, as_json: bool, resume: str | None = None) -> int:
    """Run or resume a prepared task, print what came out and return the exit code."""
    console = Console(stderr=True, quiet=quiet or as_json)
    console.print(clean(prepared.announcement), style="dim")
    screen = Screen(console, prepared.budget, record=RunRecord(id=resume or new_run_id()))
    runner = Runner(
        model=prepared.model,
        tools=prepared.tools,
        budget=prepared.budget,
        journal=prepared.journal,
        ask=ask_on_terminal(screen) if sys.stdin.isatty() else None,
        on_event=screen.hear,
    )
    try:
        with screen:
            result = _start(runner, prepared, screen.record.id, is_resume=resume is not None)
    except KeyboardInterrupt:
        screen.say(f"stopped; go on with: agentflow resume {screen.record.id}")
        return EXIT_INTERRUPTED
    except BudgetExceededError as error:
        return _give_up(screen, error, EXIT_BUDGET, as_json=as_json)
    except AgentflowError as error:
        return _give_up(screen, error, EXIT_FAILED, as_json=as_json)
    return _report(screen, result, as_json=as_json)


def _start(
    runner: Runner, prepared: Prepared, run_id: str, *, is_resume: bool
) -> RunResult[Solution]:
    arguments = (prepared.task, prepared.planner, prepared.checks)

    async def work() -> RunResult[Solution]:
        if is_resume:
            return await runner.resume(solve_task, run_id)
        return await runner.run_as(run_id, solve_task, *arguments)

    return anyio.run(until_stopped, work)


def _give_up(screen: Screen, error: AgentflowError, code: int, *, as_json: bool) -> int:
    if as_json:
        failure = {"type": type(error).__name__, "message": str(error)}
        click.echo(json.dumps(_facts(screen.record) | {"error": failure}))
    click.echo(f"Error: {clean(str(error))}", err=True)
    screen.say(f"look inside: agentflow show {screen.record.id}")
    return code


def _report(screen: Screen, result: RunResult[Solution], *, as_json: bool) -> int:
    solution = result.output
    if as_json:
        answer = solution.model_dump(mode="json")
        click.echo(json.dumps(_facts(result.record) | answer, ensure_ascii=False))
    else:
        for verdict in solution.verdicts:
            mark, style = ("✓", "green") if verdict.passed else ("✗", "red")
            screen.say(f"{mark} check {verdict.check}: {verdict.explanation}", style=style)
        screen.say(f"run {result.id}: agentflow show {result.id}")
        click.echo(clean_block(_shown(solution.output)))
    return 0 if solution.passed else EXIT_CHECK_FAILED


def _facts(record: RunRecord) -> dict[str, Any]:
    return {
        "run": record.id,
        "status": record.status,
        "steps": len(record.steps),
        "usage": record.usage.model_dump(),
        "cost_usd": record.cost_usd,
        "seconds": record.seconds,
    }


def _shown(output: Any) -> str:
    if isinstance(output, str):
        return output
    return json.dumps(output, indent=2, ensure_ascii=False, default=str)
