"""`agentflow eval compare`: two evaluations, sample by sample."""

import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from agentflow_evals.analysis.comparing import Comparison
from agentflow_evals.analysis.comparing import compare as compared
from agentflow_evals.cli.given import deliver, evaluation_named
from agentflow_evals.reports.delimited import comparison_lines, csv_text, json_lines
from agentflow_evals.reports.markdown import comparison_markdown
from agentflow_evals.reports.terminal import WIDTH, print_comparison

FORMS = ("table", "md", "csv", "json")


@click.command()
@click.argument("first")
@click.argument("second")
@click.option(
    "--planner",
    "planners",
    multiple=True,
    metavar="FIRST=SECOND",
    help="Compare this planner of FIRST with that of SECOND; default: those of the same name.",
)
@click.option(
    "--model", "models", multiple=True, metavar="FIRST=SECOND", help="The same for models."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="table",
    show_default=True,
    help="json is one object a line, with the samples that changed.",
)
@click.option("--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write a file.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
def compare(
    first: str,
    second: str,
    planners: tuple[str, ...],
    models: tuple[str, ...],
    form: str,
    out: Path | None,
    journal: str | None,
) -> None:
    """Say what changed from evaluation FIRST to SECOND, and whether it may be chance.

    Each is an id, the beginning of one, `last`, or a file: JSON lines of ours, a log of Inspect. Samples
    are found by their ids, planners and models by their labels.

    \b
    agentflow eval compare 6920a1 last
    agentflow eval compare before.jsonl last --planner direct=recode
    """
    found = compared(
        evaluation_named(first, journal),
        evaluation_named(second, journal),
        planners=_labels(planners, "--planner"),
        models=_labels(models, "--model"),
    )
    if form == "table" and out is None:
        print_comparison(Console(), found)
        return
    deliver(_written(form, found), out)


def _written(form: str, found: Comparison) -> str:
    if form == "csv":
        return csv_text(comparison_lines(found))
    if form == "json":
        lines = zip(comparison_lines(found), found.compared, strict=True)
        return json_lines(
            [line | {"changes": [asdict(item) for item in one.changes]} for line, one in lines]
        )
    if form == "md":
        return comparison_markdown(found)
    file = io.StringIO()
    print_comparison(Console(file=file, width=WIDTH), found)
    return file.getvalue()


def _labels(given: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in given:
        first, equals, second = text.partition("=")
        if not (first and equals and second):
            raise click.BadParameter(f"{text!r}: write FIRST=SECOND", param_hint=option)
        found[first] = second
    return found
