"""`agentflow eval report`: what an evaluation found, as a table, a page or a file."""

import io
from pathlib import Path

import click
from rich.console import Console

from agentflow_evals.analysis.tables import Report, summarise
from agentflow_evals.cli.given import deliver, evaluation_named
from agentflow_evals.record import Evaluation
from agentflow_evals.reports.delimited import csv_text, json_lines, lines_of, outcome_lines
from agentflow_evals.reports.markdown import markdown
from agentflow_evals.reports.page import write_page
from agentflow_evals.reports.parquet import parquet_bytes
from agentflow_evals.reports.terminal import WIDTH, print_report

FORMS = ("table", "md", "csv", "json", "parquet", "html")
OF_LINES = ("csv", "json", "parquet")
TO_FILES = ("parquet", "html")
BY_SUFFIX = {
    ".md": "md",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".parquet": "parquet",
    ".html": "html",
}


@click.command()
@click.argument("evaluation", metavar="ID")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="Default: by the name of --out, else a table. json is one object a line.",
)
@click.option("--outcomes", is_flag=True, help="A line for each run: csv, json, parquet.")
@click.option("--by-group", is_flag=True, help="Also the groups of samples, such as levels.")
@click.option("--baseline", metavar="PLANNER", help="Test against this one; default: the first.")
@click.option("--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write a file.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
def report(
    evaluation: str,
    form: str | None,
    outcomes: bool,
    by_group: bool,
    baseline: str | None,
    out: Path | None,
    journal: str | None,
) -> None:
    """Show what an evaluation found, also while it runs.

    ID is the evaluation's, the beginning of it, `last`, or a file: JSON lines of ours, a log of Inspect.

    \b
    agentflow eval report last --by-group
    agentflow eval report last --out report.html
    """
    chosen = form or (BY_SUFFIX.get(out.suffix.lower(), "table") if out else "table")
    if outcomes and chosen not in OF_LINES:
        raise click.UsageError(f"--outcomes is for {', '.join(OF_LINES)}, not for {chosen}")
    if chosen in TO_FILES and out is None:
        raise click.UsageError(f"{chosen} goes to a file: --out FILE.{chosen}")
    found = evaluation_named(evaluation, journal)
    grouped = by_group or chosen == "html"
    tables = summarise(found, by_group=grouped, baseline=baseline)
    if chosen == "table" and out is None:
        print_report(Console(), tables, found)
        return
    deliver(_written(chosen, tables, found, outcomes=outcomes), out)


def _written(form: str, report: Report, found: Evaluation, *, outcomes: bool) -> str | bytes:
    match form:
        case "table":
            file = io.StringIO()
            print_report(Console(file=file, width=WIDTH), report, found)
            return file.getvalue()
        case "md":
            return markdown(report, found)
        case "html":
            return write_page(found, report)
    lines = outcome_lines(found) if outcomes else lines_of(report, found)
    if form == "parquet":
        return parquet_bytes(lines)
    return csv_text(lines) if form == "csv" else json_lines(lines)
