"""From what a user names on the command line to an evaluation, and from a report to a file.

Owns the rule that a name is a file where there is one, and else an evaluation in the journal.
"""

from pathlib import Path

import click

from agentflow.errors import EvaluationError
from agentflow.wholefile import whole_file
from agentflow_evals.formats.reading import read
from agentflow_evals.record import Evaluation
from agentflow_evals.running.reading import read_evaluation


def evaluation_named(given: str, journal: str | None) -> Evaluation:
    """Return an evaluation by its id, the beginning of it, `last`, or the file that it is in.

    Raises:
        UnknownRunError: There is neither such a file nor such a run.
        EvaluationError: It is no evaluation.
    """
    return read(given) if Path(given).exists() else read_evaluation(journal, given)


def deliver(text: str | bytes, out: Path | None) -> None:
    """Print a report, or write it to a file that is there whole or not at all.

    Raises:
        EvaluationError: The file cannot be written.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    if out is None:
        click.echo(data, nl=False)
        return
    with whole_file(out, lambda problem: EvaluationError(problem=f"{out}: {problem}")) as file:
        file.write(data)
    click.echo(f"{out}: {len(data):,} bytes", err=True)
