"""`agentflow answer`: answer a question that a run asks."""

import click

from agentflow.cli.words import clean
from agentflow.journal.answering import question_text
from agentflow.journal.journal import Journal


@click.command()
@click.argument("run")
@click.argument("answer", required=False)
@click.option("--step", "-s", type=int, help="Which question, when there are several.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
def answer(run: str, answer: str | None, step: int | None, journal: str | None) -> None:
    """Answer a question of a run, whether it is under way or paused. Without an answer: list them.

    \b
    agentflow answer last yes
    """
    with Journal(journal) as opened:
        record = opened.run(run)
        if answer is None:
            for question in record.questions:
                click.echo(f"step {question.number}: {clean(question_text(question))}")
            if not record.questions:
                click.echo(f"run {record.id} asks nothing")
            return
        number = opened.answer(record.id, answer, step=step)
        status = opened.head(record.id).status
    click.echo(f"answered step {number} of run {record.id}", err=True)
    if status != "running":
        click.echo(f"go on with: agentflow resume {record.id}", err=True)
