"""`agentflow view`: the runs of a journal as a page. Also the page of `--view`, beside a run."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

import click

from agentflow.errors import MissingExtraError
from agentflow.journal.events import Event
from agentflow.journal.journal import Journal

EXTRA = ("starlette", "uvicorn")


@click.command()
@click.argument("store", required=False, envvar="AGENTFLOW_JOURNAL")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen; any other lets other machines in, if they have the token.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--run", help="Open at this run: an id, the beginning of one, or `last`.")
def view(store: str | None, port: int, host: str, no_browser: bool, run: str | None) -> None:
    """Show the runs of a journal as a page in the browser, until Ctrl-C.

    STORE is a journal file or database URL; without one, it is the default journal. The address holds a
    token that lets whoever has it read and start runs: share it with nobody. What the page starts runs in
    the folder in which this command was started.

    \b
    agentflow view
    agentflow view runs.db --run last
    """
    _check_installed()
    from agentflow_web.server.serving import open_browser, serve_in_thread  # noqa: PLC0415 - checked

    with Journal(store) as journal:
        opened = None if run is None else journal.find(run)
    with serve_in_thread(store, host=host, port=port) as serving:
        address = serving.address if opened is None else serving.address_of(opened)
        click.echo(address)
        if serving.is_open:
            warning = (
                "other machines can reach this page; only the token in its address keeps them "
            )
            click.echo(warning + "out, and it is sent without encryption", err=True)
        if not no_browser:
            open_browser(address)
        click.echo("Ctrl-C ends it", err=True)
        serving.wait_ended()


@dataclass(frozen=True)
class PageBeside:
    """The page of one run of this process; what `--view` needs."""

    address: str
    hear: Callable[[Event], None]
    wait_ended: Callable[[], None]


@contextmanager
def page_beside(journal: str | None, run: str) -> Iterator[PageBeside]:
    """Serve a journal while a run of this process writes it.

    Raises:
        MissingExtraError: The viewer's packages are not installed.
    """
    _check_installed()
    from agentflow_web.server.serving import open_browser, serve_in_thread  # noqa: PLC0415 - checked

    with serve_in_thread(journal) as serving:
        live = serving.live.begin(run)
        address, begun = serving.address_of(run), threading.Event()

        def hear(event: Event) -> None:
            live.hear(event)
            begun.set()

        def open_when_begun() -> None:
            begun.wait()  # before that there is nothing to be seen
            open_browser(address)

        threading.Thread(target=open_when_begun, daemon=True).start()
        yield PageBeside(address, hear, serving.wait_ended)


def _check_installed() -> None:
    try:
        for name in EXTRA:
            import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(feature="the viewer", extra="view") from error
