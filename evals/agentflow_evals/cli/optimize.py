"""`agentflow optimize`: search for a better planner, measure what was found, write it down."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import anyio
import click
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import Case, cases_of
from rich.console import Console

from agentflow import plugins
from agentflow.budget import Budget
from agentflow.cli.carry import Job, carry_out
from agentflow.cli.environments import Tools, find_tools
from agentflow.cli.exits import EXIT_FAILED, EXIT_USAGE
from agentflow.cli.prepare import prepare
from agentflow.cli.viewing import view_option
from agentflow.cli.words import clean
from agentflow.errors import AgentflowError, EvaluationError, InputError
from agentflow.flowfile import write_flow_file
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import ModelSpec
from agentflow.runner import Runner, RunResult, new_run_id
from agentflow.solving import Named, below_root, solve_task
from agentflow.task import Task
from agentflow.taskfile import load_task_file
from agentflow_evals.cli.optimised import OF, flow_file_of, optimised, print_optimised
from agentflow_evals.cli.wanted import budget_of, contenders, entrants, options_of
from agentflow_evals.opening import FOLDER_FILE, open_suite
from agentflow_evals.plan import SuiteUsed, picked
from agentflow_evals.suite import Sample

SEARCHES = {
    "prompts": "gptswarm_prompts",
    "edges": "gptswarm_edges",
    "config": "archon_search",
    "code": "adas",
}
LIMITS = tuple(Budget.model_fields)
DEFAULT_CASES = 30


@dataclass(frozen=True, kw_only=True)
class Given:
    """The cases of a search, and what they need to run."""

    task: Task
    model: ModelSpec
    tools: Tools = field(default_factory=dict)
    base: Named | None = None
    journal: str | None = None


@click.command()
@click.argument("target", metavar="[TASK-OR-SUITE]", required=False)
@click.option("--search", "-s", type=click.Choice(list(SEARCHES)), help="What to search over.")
@click.option("--by", metavar="NAME", help="The planner that searches, instead of --search.")
@click.option(
    "--planner",
    "-p",
    help="What to begin with, if the search takes it: NAME{option: value}, or a flow file.",
)
@click.option(
    "--option", "settings", multiple=True, metavar="NAME=VALUE", help="An option of the search."
)
@click.option(
    "--set", "of_suite", multiple=True, metavar="NAME=VALUE", help="An option of the suite."
)
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="The suite's data.")
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(3),
    default=DEFAULT_CASES,
    show_default=True,
    help="So many samples, drawn with the seed; or times that a task is repeated.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
@click.option("--model", "-m", help="Default: the task file's, or the best you have.")
@click.option(
    "--budget",
    "-b",
    multiple=True,
    metavar="usd=5",
    help="What all of it may take: usd, tokens, seconds, steps, depth, width.",
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write what is found there.")
@click.option("--force", is_flag=True, help="Replace the file of --output.")
@click.option("--from", "run", metavar="RUN", help="Tell, and write, what a finished run found.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--quiet", "-q", is_flag=True, help="Print what was found and nothing else.")
@view_option
def optimize(target: str | None, run: str | None, **given: Any) -> None:
    """Search for what solves a suite better, and measure it on samples that the search never saw.

    TASK-OR-SUITE is a task file with checks, an installed suite (`agentflow eval suites`), a folder with
    suite.yaml, or FILE.py:CLASS. A third of the samples is learned from, a third chosen by, a third
    held out for the end. It is one run: stopped, it goes on with `agentflow resume`, and --from tells its
    result. Exit codes as of `agentflow run`.

    \b
    agentflow optimize gsm8k_100 --search prompts --budget tokens=2000000 -o best.flow.yaml
    agentflow run task.yaml --planner best.flow.yaml
    """
    output: Path | None = given["output"]
    try:
        _refuse_to_replace(output, force=given["force"])
        if run is not None:
            with Journal(given["journal"]) as opened:
                record = opened.run(run)
            _deliver(record, output, force=given["force"])
            return
        job = _job(target, given)
    except AgentflowError as error:
        _fail(error, EXIT_USAGE)
    code = carry_out(job, quiet=given["quiet"], as_json=False, view=given["view"])
    if code and output is not None:
        click.echo(f"when it is done: agentflow optimize --from {job.run} -o {output}", err=True)
    sys.exit(code)


def _fail(error: AgentflowError, code: int) -> NoReturn:
    click.echo(f"Error: {clean(str(error), 1000)}", err=True)
    sys.exit(code)


def _job(target: str | None, given: dict[str, Any]) -> Job:
    name = given["by"] or SEARCHES.get(given["search"] or "")
    if target is None or name is None or (given["by"] and given["search"]):
        raise click.UsageError(
            "name a task file or suite, and what to search over: --search or --by; or a run: --from"
        )
    found = (
        _of_task_file(Path(target), given) if _is_task_file(target) else _of_suite(target, given)
    )
    parts = cases_of(found.task, seed=given["seed"])
    sizes = [len(part) for part in (parts.train, parts.select, parts.held_out)]
    announcement = (
        f"{name} on {found.task.inputs[OF]}: {sizes[0]} to learn from, {sizes[1]} to choose by, "
        f"{sizes[2]} held out; model {found.model}"
    )
    return _search(
        found, Named(name=name, options=_options(name, found, given)), announcement, given
    )


def _search(found: Given, search: Named, announcement: str, given: dict[str, Any]) -> Job:
    run_id = new_run_id()

    async def start(runner: Runner) -> RunResult[Any]:
        return await runner.run_as(run_id, solve_task, found.task, search, ())

    def report(result: RunResult[Any]) -> int:
        try:
            _deliver(result.record, given["output"], force=given["force"])
        except AgentflowError as error:
            _fail(error, EXIT_FAILED)
        return 0

    return Job(
        run=run_id,
        announcement=announcement,
        start=start,
        model=found.model,
        tools=found.tools,
        budget=below_root(budget_of(given["budget"], "--budget", LIMITS)),
        journal=found.journal,
        report=report,
    )


def _deliver(record: RunRecord, output: Path | None, *, force: bool) -> None:
    found = optimised(record)
    print_optimised(Console(highlight=False), record, found)
    if output is not None:
        write_flow_file(output, flow_file_of(record, found), replace=force)
        click.echo(f"{output}: use it with --planner {output}", err=True)


def _refuse_to_replace(output: Path | None, *, force: bool) -> None:
    """Refuse what could not be written in the end, before anything is spent."""
    if output is not None and output.exists() and not force:
        raise EvaluationError(problem=f"{output} is there already; say --force to replace it")
    if output is not None and not output.absolute().parent.is_dir():
        raise EvaluationError(
            problem=f"there is no folder {output.parent} to write {output.name} in"
        )


def _is_task_file(target: str) -> bool:
    path = Path(target)
    return path.suffix in (".yaml", ".yml") and path.name != FOLDER_FILE


def _of_task_file(path: Path, given: dict[str, Any]) -> Given:
    """Return a task file's task as often as wanted, and its planner if it names one."""
    prepared = prepare(path, model=given["model"], planner=None, journal=given["journal"])
    if not prepared.checks:
        problem = f"{path}: it has no `check`, so nothing says what is better; write one"
        raise EvaluationError(problem=problem)
    task, count = prepared.task, given["limit"]
    names = [f"time {number}" for number in range(1, count + 1)]
    cases = [Case(id=name, task=task, checks=prepared.checks) for name in names]
    is_chosen = load_task_file(path).line_of("planner") is not None
    return Given(
        task=_search_task(task.goal, cases, f"{path.name}, {count} times", task.tools),
        model=prepared.model,
        tools=prepared.tools,
        base=prepared.planner if is_chosen else None,
        journal=prepared.journal,
    )


def _of_suite(target: str, given: dict[str, Any]) -> Given:
    """Return samples of a suite as cases."""
    suite = open_suite(target, options_of(given["of_suite"], given["data"]))
    samples = picked(suite.samples, limit=given["limit"], shuffled_by=given["seed"])
    for sample in samples:
        _refuse_environments(sample)
    names = tuple(dict.fromkeys(name for sample in samples for name in sample.task.tools))
    cases = [Case(id=one.id, task=one.task, checks=one.checks) for one in samples]
    shown = SuiteUsed(name=suite.name).shown
    of = f"{shown}, {len(samples)} of {len(suite.samples)} samples, seed {given['seed']}"
    return Given(
        task=_search_task(
            suite.suite.summary() or f"Solve the tasks of {shown}.", cases, of, names
        ),
        model=anyio.run(entrants, (given["model"] or "auto",))[0].spec,
        tools=find_tools(names),
        journal=given["journal"],
    )


def _search_task(goal: str, cases: list[Case], of: str, tools: tuple[str, ...]) -> Task:
    listed = [case.model_dump() for case in cases]
    return Task(goal=goal, inputs={"cases": listed, OF: of}, tools=tools)


def _refuse_environments(sample: Sample) -> None:
    if sample.environments:
        problem = (
            f"sample {sample.id} has environments of its own, which one run of a search cannot have; "
            "write a task file with `environments` and optimise that"
        )
        raise EvaluationError(problem=problem)


def _options(name: str, found: Given, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the search: those given, the base and the seed where it takes them."""
    signature = plugins.load_planner(name).signature
    options = options_of(given["settings"], None)
    base = found.base
    if given["planner"]:
        named = contenders([given["planner"]])
        if len(named) != 1:
            raise click.BadParameter("name one planner", param_hint="--planner")
        base = named[0].planner
        if "base" not in signature.parameters:
            problem = f"{name} begins with candidates of its own; change these with --option"
            raise click.BadParameter(problem, param_hint="--planner")
    if base is not None and "base" in signature.parameters:
        candidate = Candidate(planner=base.name, options=base.options)
        options = {"base": candidate.model_dump()} | options
    if "seed" in signature.parameters:
        options = {"seed": given["seed"]} | options
    try:
        signature.bind((found.task,), options)
    except InputError as error:
        raise click.BadParameter(str(error), param_hint="--option") from error
    return options
