"""`agentflow eval SUITE`: run a suite under planners and models, or go on with that."""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click
from rich.console import Console

from agentflow.budget import Budget
from agentflow.cli.exits import EXIT_BUDGET, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE
from agentflow.cli.placing import on_option
from agentflow.cli.stopping import until_stopped
from agentflow.cli.words import clean
from agentflow.errors import AgentflowError, BudgetExceededError
from agentflow.runner import new_run_id
from agentflow_evals.analysis.tables import summarise
from agentflow_evals.checks import check_samples
from agentflow_evals.cli.progress import EvaluationProgress
from agentflow_evals.cli.wanted import budget_of, contenders, entrants, options_of, surroundings
from agentflow_evals.opening import OpenSuite, open_suite
from agentflow_evals.plan import EvaluationPlan, picked, plan_for
from agentflow_evals.record import Evaluation
from agentflow_evals.reports.facts import size
from agentflow_evals.reports.terminal import print_report
from agentflow_evals.running.evaluator import Evaluator
from agentflow_evals.running.reading import read_evaluation

SPENDING = ("usd", "tokens")
OF_A_SAMPLE = tuple(Budget.model_fields)


@click.command(name="run")
@click.argument("suite", required=False)
@click.option(
    "--planner",
    "-p",
    "planners",
    multiple=True,
    help="Planners, by comma: NAME or NAME{option: value}; NAME may be a flow file.",
)
@click.option(
    "--model", "-m", "models", multiple=True, help="Models, by comma; default: the best you have."
)
@click.option("--limit", "-n", type=click.IntRange(1), help="Only so many samples.")
@click.option(
    "--skip", type=click.IntRange(0), default=0, help="Leave out so many at the beginning."
)
@click.option(
    "--shuffle", is_flag=True, help="In an order drawn with the seed, before --skip and --limit."
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of planners that draw, and of --shuffle.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1),
    default=1,
    help="Runs of each sample, each with the next seed.",
)
@click.option(
    "--budget", multiple=True, metavar="usd=5", help="What all of it may spend: usd=, tokens=."
)
@click.option(
    "--sample-budget",
    multiple=True,
    metavar="tokens=9000",
    help="What one sample may: usd, tokens, seconds, steps, depth, width.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="An option of the suite."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    help="The data of a suite that brings none.",
)
@click.option(
    "--cache", is_flag=True, help="Take over answers of earlier runs to the same prompts."
)
@click.option("--at-once", type=click.IntRange(1), help="How many samples are under way.")
@click.option("--resume", metavar="ID", help="Go on with an evaluation: its id, or last.")
@click.option("--accept-changes", is_flag=True, help="Go on although planners have changed.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@on_option
@click.option("--quiet", "-q", is_flag=True, help="Print the table and nothing else.")
def run(suite: str | None, resume: str | None, **given: Any) -> None:
    """Run every sample of SUITE under every planner and model, and print the table.

    SUITE is an installed suite (`agentflow eval suites`), a folder with suite.yaml, or FILE.py:CLASS.
    Every sample is a run in the journal; stop at any time and go on with --resume. Exit codes: 0 all
    samples judged, 1 some could not be, 2 wrong use, 4 the budget is spent, 130 stopped.

    \b
    agentflow eval humaneval -p direct,funcoder,"try_first{lead: 3}" -m qwen2.5-coder-0.5b -n 20
    """
    if (suite is None) == (resume is None):
        raise click.UsageError("name a suite, or an evaluation to go on with: --resume ID")
    console = Console(stderr=True, quiet=given["quiet"])
    try:
        job = _resumed(resume, given) if resume else anyio.run(_begun, suite, given, console)
    except AgentflowError as error:
        click.echo(f"Error: {clean(str(error), 1000)}", err=True)
        sys.exit(EXIT_USAGE)
    sys.exit(job.carry_out(console))


class Job:
    """An evaluation that is ready to run."""

    def __init__(
        self,
        name: str,
        plan: EvaluationPlan,
        journal: str | None,
        start: Callable[[Callable[[Any], None]], Awaitable[Evaluation]],
        known: int = 0,
    ) -> None:
        self._name, self._plan, self._journal = name, plan, journal
        self._start, self._known = start, known

    def carry_out(self, console: Console) -> int:
        """Run it, print its table and return the exit code."""
        console.print(self._announcement(), style="dim", markup=False, highlight=False)
        if self._is_unlimited:
            console.print("nothing limits what this spends: --budget usd=5 would", style="yellow")
        progress = EvaluationProgress(console, self._plan, self._known)
        code = 0
        try:
            with progress:
                anyio.run(until_stopped, partial(self._start, progress.hear))
        except KeyboardInterrupt:
            code = EXIT_INTERRUPTED
        except BudgetExceededError as error:
            code = EXIT_BUDGET
            click.echo(f"Error: the spending limit is reached: {clean(str(error))}", err=True)
        except AgentflowError as error:
            code = EXIT_FAILED
            click.echo(f"Error: {clean(str(error))}", err=True)
        return self._show(console, code)

    def _show(self, console: Console, code: int) -> int:
        try:
            found = read_evaluation(self._journal, self._name)
        except AgentflowError as error:
            if not code:
                raise
            console.print(clean(str(error)), style="dim", markup=False)
            return code
        if found.outcomes:
            print_report(Console(), summarise(found), found)
        if found.missing:
            return code or EXIT_FAILED
        console.print(f"evaluation {found.id}: agentflow eval report {found.id}", style="dim")
        return code

    @property
    def _is_unlimited(self) -> bool:
        hosted = any(
            not model.spec.is_local and model.spec.base_url is None for model in self._plan.models
        )
        limits = (self._plan.spending.usd, self._plan.spending.tokens)
        return hosted and not any(limits)

    def _announcement(self) -> str:
        plan = self._plan
        total = len(list(plan.cells()))
        suite = clean(plan.suite.shown, 60)
        return f"{suite}: {size(plan)} = {total} runs; evaluation {self._name}"


async def _begun(suite: str | None, given: dict[str, Any], console: Console) -> Job:
    assert suite is not None, "checked by the command"
    opened = open_suite(suite, options_of(given["settings"], given["data"]))
    _check(opened, console)
    seed = given["seed"]
    samples = picked(
        opened.samples,
        limit=given["limit"],
        skip=given["skip"],
        shuffled_by=seed if given["shuffle"] else None,
    )
    if not samples:
        raise click.UsageError(f"--skip leaves nothing of {len(opened.samples)} samples")
    plan = plan_for(
        opened,
        samples=samples,
        planners=contenders(given["planners"] or ("direct",)),
        models=await entrants(given["models"] or ("auto",)),
        repeat=given["repeat"],
        seed=seed,
        budget=budget_of(given["sample_budget"], "--sample-budget", OF_A_SAMPLE),
        spending=budget_of(given["budget"], "--budget", SPENDING),
        cache=given["cache"],
    )
    name = new_run_id()

    async def start(hear: Callable[[Any], None]) -> Evaluation:
        return await _evaluator(given, hear).run(plan, opened, name)

    return Job(name, plan, given["journal"], start)


def _resumed(resume: str, given: dict[str, Any]) -> Job:
    found = read_evaluation(given["journal"], resume)

    async def start(hear: Callable[[Any], None]) -> Evaluation:
        evaluator = _evaluator(given, hear)
        return await evaluator.resume(found.id, accept_changes=given["accept_changes"])

    known = sum(outcome.is_counted for outcome in found.outcomes)
    return Job(found.id, found.plan, given["journal"], start, known)


def _evaluator(given: dict[str, Any], hear: Callable[[Any], None]) -> Evaluator:
    return Evaluator(
        journal=given["journal"],
        spending=budget_of(given["budget"], "--budget", SPENDING) if given["budget"] else None,
        at_once=given["at_once"],
        labels=surroundings(),
        hear=hear,
        on=given["on"],
    )


def _check(opened: OpenSuite, console: Console) -> None:
    for finding in check_samples(opened.samples, opened.suite.training_texts()):
        text = clean(f"suite {opened.name}: sample {finding.sample}: {finding.problem}", 300)
        if finding.severity == "error":
            raise click.UsageError(text)
        console.print(text, style="yellow", markup=False)
