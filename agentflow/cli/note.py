"""`agentflow note`: annotate a run or a step of it, list what is written there, take it back."""

import json
import time
from dataclasses import asdict

import click

from agentflow.cli.words import clean, clean_block
from agentflow.journal.annotations import Annotation
from agentflow.journal.journal import Journal


@click.command()
@click.argument("run")
@click.argument("text", required=False)
@click.option("--step", "-s", type=int, help="This step, not the whole run.")
@click.option("--tag", "-t", help="One word to choose by.")
@click.option("--delete", "-d", "removed", type=int, metavar="ID", help="Take this one back.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def note(
    run: str,
    text: str | None,
    step: int | None,
    tag: str | None,
    removed: int | None,
    journal: str | None,
    as_json: bool,
) -> None:
    """Annotate a run or a step of it, also while it runs. Without TEXT: list what is written there.

    \b
    agentflow note last "from here on it goes in circles" --step 7 --tag bad
    """
    if removed is not None and (text is not None or step is not None or tag is not None):
        raise click.UsageError("--delete takes nothing but the run")
    with Journal(journal) as opened:
        id_ = opened.find(run)
        if removed is not None:
            opened.remove_annotation(id_, removed)
            click.echo(f"deleted note {removed} of run {id_}", err=True)
        elif text is not None:
            written = opened.annotate(id_, text, step=step, tag=tag or "")
            _report(id_, written, as_json=as_json)
        else:
            found = opened.annotations(id_, step)
            chosen = [one for one in found if tag is None or one.tag == tag]
            _list(id_, chosen, as_json=as_json)


def _report(run: str, written: Annotation, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(written), ensure_ascii=False))
    where = f"run {run}" if written.step is None else f"step {written.step} of run {run}"
    click.echo(f"wrote note {written.id} on {where}", err=True)


def _list(run: str, found: list[Annotation], *, as_json: bool) -> None:
    for one in found:
        click.echo(json.dumps(asdict(one), ensure_ascii=False) if as_json else _shown(one))
    if not found and not as_json:
        click.echo(f"no notes on run {run}", err=True)


def _shown(one: Annotation) -> str:
    """Return a heading and the text below it, moved to the right."""
    where = "run" if one.step is None else f"step {one.step}"
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.at))
    heading = "  ".join(part for part in (str(one.id), where, written, clean(one.tag)) if part)
    lines = clean_block(one.text).strip("\n").split("\n")
    return "\n".join([heading, *(f"    {line}".rstrip() for line in lines)])
