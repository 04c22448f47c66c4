"""`agentflow serve-flow`: flows behind an HTTP API, their runs durable."""

import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import click

from agentflow.cli.again import changed_budget
from agentflow.cli.exits import EXIT_INTERRUPTED, EXIT_USAGE
from agentflow.cli.prepare import prepare
from agentflow.cli.serve import size
from agentflow.errors import MissingExtraError, TaskFileError
from agentflow.flows import Flow
from agentflow.models.auto import find_model
from agentflow.models.protocol import ModelSpec
from agentflow.solving import below_root, solve_task

if TYPE_CHECKING:
    from agentflow.interop.serving.offers import Offer
    from agentflow.interop.serving.server import Begun

EXTRA = ("starlette", "uvicorn")
TASK_FILES = (".yaml", ".yml")
MOST_DESCRIBED = 200  # characters
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"


@click.command(name="serve-flow")
@click.argument("targets", nargs=-1, required=True, metavar="[NAME=]TARGET...")
@click.option("--model", "-m", help="The model of every flow, instead of the files'.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option(
    "--name",
    default="flows",
    show_default=True,
    help="Whose the runs are: a server goes on with those of its name. One server, one name.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option(
    "--api-key-env",
    metavar="NAME",
    help="The variable that holds the key clients send. Default: a new key, printed once.",
)
@click.option(
    "--budget",
    "-b",
    multiple=True,
    metavar="LIMIT=VALUE",
    help="Change a limit of every run, e.g. tokens=100000.",
)
@click.option("--max-runs", type=click.IntRange(1, 256), default=4, show_default=True)
@click.option(
    "--max-waiting",
    type=click.IntRange(0, 100_000),
    default=64,
    show_default=True,
    help="Runs that may wait; a client that asks for one more is told to come back later.",
)
@click.option("--max-body", type=size, metavar="SIZE", default="1MiB", show_default=True)
@click.option(
    "--message-input",
    multiple=True,
    metavar="[FLOW=]INPUT",
    help="What a chat's last message fills. Default: the task's goal, or the flow's only text.",
)
@click.option(
    "--live",
    multiple=True,
    metavar="STEP",
    help="The step whose model writes the answer: its text is streamed while it is written.",
)
@click.option(
    "--resume-unfinished/--no-resume-unfinished",
    default=True,
    show_default=True,
    help="Go on with the runs that a server of this name has left.",
)
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds that runs get to finish when the server is to end.",
)
def serve_flow(
    targets: tuple[str, ...],
    api_key_env: str | None,
    name: str,
    journal: str | None,
    resume_unfinished: bool,
    **given: Any,
) -> None:
    """Serve flows as an HTTP API, until Ctrl-C: Chat Completions, and runs that outlive the server.

    A TARGET is a task file or `module:flow`; clients call it by its name, or by NAME. A run that was
    accepted is in the journal: killed and started again, the server goes on with it, and no finished
    step is repeated.

    \b
    agentflow serve-flow examples/orders/task.yaml
    agentflow serve-flow summarise=texts:summarise --max-runs 8 --api-key-env FLOW_KEY
    """
    if not all(map(find_spec, EXTRA)):
        raise MissingExtraError(feature="serving flows", extra="view")
    from agentflow.interop.serving.server import (  # noqa: PLC0415 - needs the extra
        ServerSettings,
        serve,
    )

    _check_name("--name", name)
    key = _key(api_key_env)
    try:
        offers, files = _offers(targets, journal, given)
    except TaskFileError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_USAGE)
    settings = ServerSettings(
        name=name,
        api_key=key,
        journal=journal or _one_journal(files),
        host=given["host"],
        port=given["port"],
        most_running=given["max_runs"],
        most_waiting=given["max_waiting"],
        max_body_bytes=given["max_body"],
        drain_s=given["drain_s"],
        resumes=resume_unfinished,
    )
    shown_key = key if api_key_env is None else None
    is_clean = serve(offers, settings, _Terminal(list(offers), shown_key, settings.drain_s))
    click.echo("ended" if is_clean else "ended; the next start goes on with the rest", err=True)
    if not is_clean:
        sys.exit(EXIT_INTERRUPTED)


def _offers(
    targets: Sequence[str], journal: str | None, given: Mapping[str, Any]
) -> tuple[dict[str, "Offer"], list[str | None]]:
    """Return the flows by name, and the journals that their files name."""
    offers: dict[str, Offer] = {}
    journals: list[str | None] = []
    for text in targets:
        name, _, target = text.rpartition("=")
        if target.endswith(TASK_FILES):
            offer, file_journal = _of_file(Path(target), name, journal, given)
            journals.append(file_journal)
        else:
            offer = _of_module(target, name, given)
            journals.append(None)
        _check_name(target, offer.name)
        if offer.name in offers:
            raise click.UsageError(f"two flows are called {offer.name}; write NAME={target}")
        offers[offer.name] = offer
    _check_messages(offers, given["message_input"])
    return offers, journals


def _of_file(
    path: Path, name: str, journal: str | None, given: Mapping[str, Any]
) -> tuple["Offer", str | None]:
    from agentflow.interop.serving.offers import Offer  # noqa: PLC0415 - beside what needs the extra

    ready = prepare(path, model=given["model"], planner=None, journal=journal)
    changes = given["budget"]
    budget = changed_budget(ready.budget.model_dump(exclude_none=True), changes)
    if any(change.startswith("depth=") for change in changes):
        budget = below_root(budget)
    name = name or path.stem
    offer = Offer(
        name=name,
        flow=solve_task,
        description=_first_line(ready.task.goal),
        task=ready.task,
        planner=ready.planner,
        checks=ready.checks,
        model=ready.model,
        tools=ready.tools,
        budget=budget,
        redact=ready.redact,
        cache_models=ready.cache_models,
        message_input=_message_input(given["message_input"], name),
        live=frozenset(given["live"]),
    )
    return offer, ready.journal


def _of_module(target: str, name: str, given: Mapping[str, Any]) -> "Offer":
    from agentflow.interop.serving.offers import Offer  # noqa: PLC0415 - beside what needs the extra

    flow = _flow(target)
    name = name or flow.name
    return Offer(
        name=name,
        flow=flow,
        description=_first_line(flow.function.__doc__ or ""),
        model=_model(given["model"]),
        budget=changed_budget({}, given["budget"]),
        message_input=_message_input(given["message_input"], name),
        live=frozenset(given["live"]),
    )


def _flow(target: str) -> Flow[..., Any]:
    module, colon, name = target.partition(":")
    if not colon:
        raise click.UsageError(f"{target}: give a task file (.yaml), or a flow as module:flow")
    sys.path.append(str(Path.cwd()))  # last: nothing of the folder hides what is installed
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.UsageError(f"{target}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Flow):
        raise click.UsageError(f"{target}: this is a {type(found).__name__}, not a flow")
    return found


def _model(given: str | None) -> ModelSpec | None:
    return None if given is None else anyio.run(find_model, given).spec


def _message_input(given: Sequence[str], name: str) -> str:
    """Return the input that a chat's message fills for one flow; empty if nobody said."""
    found = ""
    for text in given:
        flow, _, put = text.rpartition("=")
        if flow in ("", name):
            found = put
    return found


def _check_messages(offers: Mapping[str, "Offer"], given: Sequence[str]) -> None:
    for text in given:
        flow, _, put = text.rpartition("=")
        if flow and flow not in offers:
            raise click.UsageError(f"--message-input: no flow is called {flow}")
        wanted = [offers[flow]] if flow else list(offers.values())
        for offer in wanted:
            if offer.task is None and put not in offer.flow.signature.parameters:
                raise click.UsageError(f"--message-input: {offer.name} takes no {put!r}")


def _one_journal(files: Sequence[str | None]) -> str | None:
    found = set(files)
    if len(found) > 1:
        problem = "the flows name different journals; a server has one: give it with --journal"
        raise click.UsageError(problem)
    return found.pop()


def _check_name(where: str, name: str) -> None:
    if not re.fullmatch(NAME, name):
        raise click.UsageError(f"{where}: a name has letters, digits, `.`, `_` and `-`: {name!r}")


def _key(variable: str | None) -> str:
    if variable is None:
        return secrets.token_urlsafe(32)
    key = os.environ.get(variable, "")
    if not key.isascii() or not key.isprintable() or not key.strip():
        raise click.UsageError(f"--api-key-env: {variable} is not set, or holds no key")
    return key


def _first_line(text: str) -> str:
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= MOST_DESCRIBED else line[: MOST_DESCRIBED - 3] + "..."


class _Terminal:
    """Says on the terminal how the server stands, and how to use it."""

    def __init__(self, names: Sequence[str], key: str | None, drain_s: float) -> None:
        self._names, self._key, self._drain_s = names, key, drain_s

    def begun(self, begun: "Begun") -> None:
        click.echo(f"{begun.origin}/v1")
        if self._key is not None:
            click.echo(f"  key: {self._key}", err=True)
        click.echo(f"  models: {', '.join(self._names)}; runs: {begun.origin}/runs", err=True)
        if begun.resumed:
            click.echo(f"  going on with {begun.resumed} unfinished runs", err=True)
        if begun.is_open:
            click.echo("other machines can reach it; keys and texts go unencrypted", err=True)
        click.echo("Ctrl-C ends it", err=True)

    def finishing(self, runs: int) -> None:
        if runs:
            which = f"{_count(runs)} up to {self._drain_s:g} s to finish"
            click.echo(f"ending; giving {which}; Ctrl-C again stops them", err=True)

    def stopping(self, runs: int) -> None:
        click.echo(f"stopping {_count(runs)}; Ctrl-C again does not wait for them", err=True)

    def stuck(self, runs: int) -> NoReturn:
        """End the process as it is: what is committed is in the journal, and a thread cannot be stopped."""
        told = f"{_count(runs)} did not stop; ended all the same, the next start goes on"
        click.echo(told, err=True)
        os._exit(EXIT_INTERRUPTED)


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
