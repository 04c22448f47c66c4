"""Carry out a run in front of a person.

Owns what a command that runs something shows and returns: the live tree on standard error, the answer
on standard output, and the exit code. `run`, `resume` and `fork` differ in the `Job` they hand in.
"""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import click
from rich.console import Console

from agentflow.budget import Budget
from agentflow.cli.exits import (
    EXIT_BUDGET,
    EXIT_CHECK_FAILED,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_PAUSED,
)
from agentflow.cli.people import ask_on_terminal
from agentflow.cli.screen import Screen
from agentflow.cli.stopping import until_stopped
from agentflow.cli.viewing import is_attended, open_page
from agentflow.cli.words import clean, clean_block
from agentflow.errors import AgentflowError, BudgetExceededError, RunPausedError
from agentflow.journal.events import Event
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import ModelSpec
from agentflow.runner import Runner, RunResult
from agentflow.solving import Solution
from agentflow.tools import Tool


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run, under which settings; `start` is given the runner.

    `report` says what came out, instead of printing the answer and what checks say of it; it returns the exit code.
    """

    run: str
    announcement: str
    start: Callable[[Runner], Awaitable[RunResult[Any]]]
    model: ModelSpec | None
    tools: Mapping[str, Tool[..., Any]]
    budget: Budget
    journal: str | None
    redact: Mapping[str, str] | Sequence[str] = ()
    cache_models: bool = False
    on: str | None = None
    report: Callable[[RunResult[Any]], int] | None = None


def carry_out(job: Job, *, quiet: bool, as_json: bool, view: bool = False) -> int:
    """Run a job, print what came out and return the exit code; `view` shows it as a page as well."""
    console = Console(stderr=True, quiet=quiet or as_json)
    if not view:
        return _carry_out(job, Screen(console, job.budget, record=RunRecord(id=job.run)), as_json)
    with open_page(job.journal, job.run) as page:
        click.echo(f"the page: {page.address}", err=True)
        screen = Screen(console, job.budget, record=RunRecord(id=job.run))
        code = _carry_out(job, screen, as_json, also=page.hear)
        if code != EXIT_INTERRUPTED and not console.quiet and is_attended():
            screen.say("the page stays open until Ctrl-C")
            page.wait_ended()
    return code


def _carry_out(
    job: Job, screen: Screen, as_json: bool, also: Callable[[Event], None] | None = None
) -> int:
    screen.say(job.announcement)
    runner = Runner(
        model=job.model,
        tools=job.tools,
        budget=job.budget,
        journal=job.journal,
        ask=ask_on_terminal(screen) if sys.stdin.isatty() else None,
        on_event=screen.hear if also is None else _both(screen.hear, also),
        redact=job.redact,
        cache_models=job.cache_models,
        on=job.on,
    )

    async def work() -> RunResult[Any]:
        return await job.start(runner)

    try:
        with screen:
            result: RunResult[Any] = anyio.run(until_stopped, work)
    except KeyboardInterrupt:
        screen.say(f"stopped; go on with: agentflow resume {job.run}")
        return EXIT_INTERRUPTED
    except RunPausedError as error:
        return _pause(screen, error, as_json=as_json)
    except BudgetExceededError as error:
        return _give_up(screen, error, EXIT_BUDGET, as_json=as_json)
    except AgentflowError as error:
        return _give_up(screen, error, EXIT_FAILED, as_json=as_json)
    return _report(screen, result, as_json=as_json) if job.report is None else job.report(result)


def _both(
    first: Callable[[Event], None], second: Callable[[Event], None]
) -> Callable[[Event], None]:
    def hear(event: Event) -> None:
        first(event)
        second(event)

    return hear


def _pause(screen: Screen, error: RunPausedError, *, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(_facts(screen.record) | {"questions": error.questions}))
    for question in error.questions:
        which = f" --step {question['step']}" if len(error.questions) > 1 else ""
        screen.say(f"? {question['text']}", style="bold")
        screen.say(f"  agentflow answer {error.run}{which} ANSWER")
    screen.say(f"paused until it is answered; then go on with: agentflow resume {error.run}")
    return EXIT_PAUSED


def _give_up(screen: Screen, error: AgentflowError, code: int, *, as_json: bool) -> int:
    if as_json:
        failure = {"type": type(error).__name__, "message": str(error)}
        click.echo(json.dumps(_facts(screen.record) | {"error": failure}))
    click.echo(f"Error: {clean(str(error))}", err=True)
    if screen.record.steps:
        screen.say(f"look inside: agentflow show {screen.record.id}")
    return code


def _report(screen: Screen, result: RunResult[Any], *, as_json: bool) -> int:
    solution = result.output if isinstance(result.output, Solution) else None
    output = result.record.value() if solution is None else solution.output
    if as_json:
        answer = {"output": output} if solution is None else solution.model_dump(mode="json")
        click.echo(json.dumps(_facts(result.record) | answer, ensure_ascii=False))
    else:
        for verdict in () if solution is None else solution.verdicts:
            mark, style = ("✓", "green") if verdict.passed else ("✗", "red")
            screen.say(f"{mark} check {verdict.check}: {verdict.explanation}", style=style)
        screen.say(f"run {result.id}: agentflow show {result.id}")
        click.echo(clean_block(_shown(output)))
    return 0 if solution is None or solution.passed else EXIT_CHECK_FAILED


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
