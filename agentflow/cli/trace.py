"""`agentflow trace`: send one recorded run to an OpenTelemetry collector."""

import click

from agentflow.journal.journal import Journal


@click.command()
@click.argument("run")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option(
    "--endpoint",
    metavar="URL",
    help="The collector's OTLP/HTTP address; without it OTEL_EXPORTER_OTLP_* hold.",
)
@click.option(
    "--content",
    is_flag=True,
    help="Send prompts, replies, arguments, results and error messages too.",
)
def trace(run: str, journal: str | None, endpoint: str | None, content: bool) -> None:
    """Send one recorded run to an OpenTelemetry collector. RUN is an id, its beginning, or `last`.

    \b
    agentflow trace last --endpoint http://localhost:4318
    """
    # optional packages: they come with the extra `otel`
    from agentflow.interop.telemetry import send_run, trace_id_of, traces_url  # noqa: PLC0415

    if endpoint is not None:
        try:
            traces_url(endpoint)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--endpoint") from None

    with Journal(journal) as opened:
        record = opened.run(run)
    count = send_run(record, endpoint=endpoint, content=content)
    click.echo(f"run {record.id} sent: {count} spans, trace {trace_id_of(record.id)}")
    if record.status is None:
        click.echo("the run has no end on record: open steps were sent as cut short", err=True)
