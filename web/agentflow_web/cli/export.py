"""`agentflow export`: one run as a file to keep or to send. Needs none of the server's packages."""

from pathlib import Path

import click

from agentflow.cli.words import clean
from agentflow.journal.journal import Journal
from agentflow.journal.store import Store
from agentflow_web.sharing.bundle import Options, Written, export_file, write_bundle


@click.command()
@click.argument("run")
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Default: RUN.html."
)
@click.option(
    "--under", type=click.IntRange(min=1), metavar="STEP", help="Only this step's branch."
)
@click.option("--no-contents", is_flag=True, help="Names, times and figures only.")
@click.option(
    "--redact", multiple=True, metavar="REGEX", help="Replace what matches; may be repeated."
)
@click.option("--preview", is_flag=True, help="Write nothing, tell what would be in the file.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
def export(
    run: str,
    output: Path | None,
    under: int | None,
    no_contents: bool,
    redact: tuple[str, ...],
    preview: bool,
    journal: str | None,
) -> None:
    """Write one run as a page that any browser opens, from disk and without a server or network.

    The page holds the inputs and outputs of every step; keys and the values of secret environment
    variables are replaced. See with --preview what else is in it before you share it.

    \b
    agentflow export last -o run.html
    agentflow export last --under 12 --redact 'customer-\\d+' --preview
    """
    options = Options(under=under, contents=not no_contents, redact=redact)
    with Journal(journal) as opened:
        id_ = opened.find(run)
    store = Store(journal, create=False)
    try:
        if preview:
            _tell(write_bundle(len, store, id_, options))
            return
        target = output or Path(f"{id_}.html")
        written = export_file(store, id_, target, options)
    finally:
        store.close()
    found = f"{written.suspicious:,} suspicious places in it"
    hint = " (--preview lists them)" if written.suspicious else ""
    click.echo(f"wrote {target}: {written.size_bytes:,} bytes, {found}{hint}", err=True)


def _tell(written: Written) -> None:
    click.echo(f"{written.steps:,} steps, {written.size_bytes:,} bytes")
    for one in written.findings:
        word = "replaced" if one["replaced"] else "FOUND"
        steps = ", ".join(str(step) if step else "run" for step in one["steps"][:8])
        more = ", …" if len(one["steps"]) > 8 else ""
        click.echo(f"{word}  {one['rule']}: {one['count']:,} times, in step {steps}{more}")
        for example in one["examples"]:
            click.echo(f"    {clean(example)}")
    if not written.findings:
        click.echo("nothing in it looks like a secret, an address or a person")
