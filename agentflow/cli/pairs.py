"""`agentflow pairs`: recorded runs as data to train a model on."""

from pathlib import Path
from typing import cast, get_args

import click

from agentflow.journal.journal import Journal
from agentflow.training.collect import DataSet, Filters, Only, collect
from agentflow.training.files import refuse_overwriting, write
from agentflow.training.formats import Format


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE.jsonl; FILE.settings.json is written beside it.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(get_args(Format)),
    default="chat",
    show_default=True,
    help="How a line looks.",
)
@click.option(
    "--keep",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.4,
    show_default=True,
    help="The best fraction of the runs, by reward.",
)
@click.option("--min-reward", type=float, help="No run with less.")
@click.option("--planner", metavar="NAME", help="Only runs of this planner.")
@click.option(
    "--only",
    type=click.Choice(get_args(Only)),
    default="expansions",
    show_default=True,
    help="Which calls of a model.",
)
@click.option(
    "--failed/--no-failed", default=False, help="Also versions that did not work; not by default."
)
@click.option("--strip-examples", is_flag=True, help="Take worked examples out of the prompts.")
@click.option("--bare", is_flag=True, help="No metadata in the lines.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def pairs(
    runs: tuple[str, ...],
    journal: str | None,
    output: Path,
    form: str,
    keep: float,
    min_reward: float | None,
    planner: str | None,
    only: str,
    failed: bool,
    strip_examples: bool,
    bare: bool,
    force: bool,
) -> None:
    """Write recorded runs as training data: one pair for each expansion that worked.

    Of the runs given, or of all, the best are kept by what their checks said. RUN is an id, its
    beginning, or `last`. The file holds prompts and replies: look at it before you share it.

    \b
    agentflow pairs -o pairs.jsonl --keep 0.4 --strip-examples
    """
    filters = Filters(
        keep=keep,
        min_reward=min_reward,
        planner=planner,
        only=cast("Only", only),
        failed=failed,
        strip_examples=strip_examples,
    )
    if not force:
        refuse_overwriting(output)
    with Journal(journal) as opened:
        data = collect(opened, runs, filters)
    if not data.pairs:
        raise click.ClickException(f"no pairs, so nothing is written: {_why_none(data)}")
    write(data, output, cast("Format", form), bare=bare, force=force)
    click.echo(f"{output}: {_summary(data)}", err=True)


def _summary(data: DataSet) -> str:
    tokens = data.report()["tokens"]
    counts = data.runs
    text = f"{_count(len(data.pairs), 'pair')} of {counts['kept']} of {_count(counts['selected'], 'run')}"
    text += f", {tokens['prompt'] + tokens['completion']:,} tokens"
    return f"{text}, mean reward {data.rewards['kept']['mean']:.2f}"


def _why_none(data: DataSet) -> str:
    """Return what the filters left out, for a person who got nothing."""
    if not data.runs["kept"]:
        shown = {name.replace("_", " "): count for name, count in data.runs.items() if count}
    else:
        shown = {name.replace("_", " "): count for name, count in data.calls.items() if count}
    what = "runs" if not data.runs["kept"] else "model calls"
    said = ", ".join(f"{count} {name}" for name, count in shown.items()) or "none"
    hint = "; try --only all-model-calls" if data.calls.get("no_expansion") else ""
    return f"{what}: {said}{hint}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
