"""`agentflow eval export`: an evaluation as a file, for others' viewers and tools.

The way back needs no command: every command that takes the id of an evaluation takes such a file too.
"""

from pathlib import Path

import click

from agentflow.errors import UnknownRunError
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow_evals.cli.given import evaluation_named
from agentflow_evals.formats import inspect_log, outcomes_jsonl
from agentflow_evals.formats.inspect_log import Records
from agentflow_evals.record import Evaluation


@click.command("export")
@click.argument("evaluation")
@click.option(
    "--format",
    "form",
    type=click.Choice(["inspect", "jsonl"]),
    default="jsonl",
    show_default=True,
    help="A log of Inspect for each planner and model, or JSON lines of all outcomes.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="The file; for Inspect one ending in .json or .eval, or a folder for several logs.",
)
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
def export(evaluation: str, form: str, out: Path, journal: str | None) -> None:
    """Write an evaluation for others' viewers. EVALUATION is an id, its beginning, `last`, or a file.

    \b
    agentflow eval export last --format inspect --out logs
    agentflow eval export last --out outcomes.jsonl
    """
    found = evaluation_named(evaluation, journal)
    if Path(evaluation).exists():
        paths = _write(found, form, out, lambda _run: None)
    else:
        with Journal(journal) as opened:
            paths = _write(found, form, out, _runs_of(opened))
    for path in paths:
        click.echo(f"wrote {path}")


def _write(evaluation: Evaluation, form: str, out: Path, records: Records) -> list[Path]:
    if form == "inspect":
        return inspect_log.write(evaluation, records, out)
    outcomes_jsonl.write(evaluation, out)
    return [out]


def _runs_of(journal: Journal) -> Records:
    def record(run: str) -> RunRecord | None:
        try:
            return journal.run(run)
        except UnknownRunError:  # pruned since; the outcome itself is in the evaluation
            return None

    return record
