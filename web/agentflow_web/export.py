"""`agentflow export`: one run as a page to keep or to send."""

from pathlib import Path

import click

from agentflow.journal.journal import Journal
from agentflow_web.page import page


@click.command()
@click.argument("run")
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Default: RUN.html."
)
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
def export(run: str, output: Path | None, journal: str | None) -> None:
    """Write one run as a static page: no scripts, no network, opens from disk.

    The page holds the inputs and outputs of every step: look at it before you share it.

    \b
    agentflow export last -o run.html
    """
    with Journal(journal) as opened:
        record = opened.run(run)
    path = output or Path(f"{record.id}.html")
    try:
        path.write_text(page(record), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error
    click.echo(path)
