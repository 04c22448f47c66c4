"""`agentflow train`: a recipe in, a small model with its card out."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console

from agentflow.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE
from agentflow.cli.words import clean
from agentflow.errors import (
    AgentflowError,
    MissingExtraError,
    TaskFileError,
    TrainingStoppedError,
)
from agentflow.recurrent.provider import NEEDED
from agentflow.training.student.recipe_file import load_recipe

THREADS = "AGENTFLOW_THREADS"


@click.command()
@click.argument("recipe", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where the model goes; a training that was stopped goes on there.",
)
@click.option("--steps", type=click.IntRange(1), help="Instead of what the recipe says.")
@click.option("--seed", type=click.IntRange(0, (1 << 31) - 1), help="Instead of the recipe's.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto is CUDA where there is one.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    envvar=THREADS,
    help=f"Cores to use; {THREADS} says it for all commands.",
)
@click.option(
    "--evaluation/--no-evaluation",
    "is_evaluated",
    default=True,
    help="Try the model as the recipe says; default.",
)
@click.option("--force", is_flag=True, help="Throw away what another recipe made in the folder.")
@click.option("--quiet", "-q", is_flag=True, help="Print the table and nothing else.")
def train(
    recipe: Path,
    output: Path,
    steps: int | None,
    seed: int | None,
    device: str,
    threads: int | None,
    is_evaluated: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Train a small model as RECIPE says: data, tokenizer, training, evaluation, card.

    Stop it at any time; the same command goes on, and does only what is missing. The model is then
    `recurrent:FOLDER` wherever a model is named. Exit codes: 0 done, 1 it could not be, 2 the recipe or the
    command is wrong, 130 stopped.

    \b
    agentflow train examples/training/sorting.yaml -o sorting
    """
    if not all(map(find_spec, NEEDED)):
        raise MissingExtraError(feature="training a model", extra="recurrent")
    console = Console(stderr=True, quiet=quiet)
    try:
        wanted = load_recipe(recipe).changed(steps=steps, seed=seed)
        _set_threads(threads)
        from agentflow_evals.cli.training import Workshop  # noqa: PLC0415 - loads torch, seconds

        workshop = Workshop(wanted, recipe.parent, output, console)
        sys.exit(workshop.carry_out(device=device, is_evaluated=is_evaluated, force=force))
    except TrainingStoppedError as error:
        _fail(error, EXIT_INTERRUPTED)
    except TaskFileError as error:
        _fail(error, EXIT_USAGE)
    except AgentflowError as error:
        _fail(error, EXIT_FAILED)


def _set_threads(threads: int | None) -> None:
    if threads is None:
        return
    import torch  # noqa: PLC0415 - of the extra, and takes seconds

    torch.set_num_threads(threads)
    os.environ[THREADS] = str(threads)  # for the processes and models of the evaluation


def _fail(error: AgentflowError, code: int) -> None:
    click.echo(f"Error: {clean(str(error), 1000)}", err=True)
    sys.exit(code)
