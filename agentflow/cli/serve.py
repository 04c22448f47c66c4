"""`agentflow serve`: a recurrent or hybrid model behind OpenAI's APIs, here or as replicas on a cluster."""

import os
import re
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentflow.cli.exits import EXIT_INTERRUPTED
from agentflow.errors import MissingExtraError
from agentflow.placement import placement_for
from agentflow.recurrent.packaged_models import find_packaged, folder_of

if TYPE_CHECKING:
    from agentflow.cluster.serving.asking import Described
    from agentflow.recurrent.engine import Engine
    from agentflow.recurrent.server.serving import Serving

EXTRA = ("torch", "transformers", "llguidance", "starlette", "uvicorn")
UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}


def size(text: str) -> int:
    """Return a number of bytes that is written as `2GB` or `512MiB`."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([kmg]?i?b)?", text.strip().lower())
    unit = UNITS.get(found[2] or "") if found else None
    if found is None or unit is None:
        raise click.BadParameter(f"{text!r} is no size; write it as 512MB or 2GB")
    return int(float(found[1]) * unit)


def _checked(_context: click.Context, _option: click.Parameter, on: str | None) -> str | None:
    try:
        placement_for(on)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return on


@click.command()
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="Any other needs a key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--name", help="What clients call the model. Default: the folder's name.")
@click.option(
    "--dtype",
    type=click.Choice(["auto", "bf16", "fp16", "fp32"]),
    default="auto",
    show_default=True,
    help="Of the weights; recurrent states stay fp32.",
)
@click.option("--device", default="auto", show_default=True, help="As torch names it: cpu, cuda:1.")
@click.option("--most-rows", type=click.IntRange(1), help="Sequences decoded together.")
@click.option(
    "--max-waiting",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Requests that may wait; one more is told to come back later.",
)
@click.option(
    "--state-memory",
    type=size,
    metavar="SIZE",
    default="2GB",
    show_default=True,
    help="For states that are kept.",
)
@click.option(
    "--spill",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for states that memory no longer holds.",
)
@click.option(
    "--int8-states", is_flag=True, help="Keep states in a quarter of the space, inexactly."
)
@click.option("--api-key-env", metavar="NAME", help="The variable that holds the key clients send.")
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds that requests under way get when the server is to end.",
)
@click.option(
    "--on",
    metavar="PLACE",
    callback=_checked,
    help="Where replicas run: ray, or ray://HOST:PORT of a running cluster. The address stays here.",
)
@click.option("--replicas", type=click.IntRange(1), help="How many, with --on. Default: 1.")
@click.option("--cpus", type=click.FloatRange(0), help="Cores of a replica, with --on. Default: 1.")
@click.option("--gpus", type=click.FloatRange(0), help="GPUs of a replica, with --on. Default: 0.")
def serve(
    model: str,
    host: str,
    port: int,
    name: str | None,
    api_key_env: str | None,
    on: str | None,
    **options: Any,
) -> None:
    """Serve a recurrent or hybrid model with OpenAI's APIs, until Ctrl-C.

    MODEL is a Hugging Face folder or name, or the name of one that comes along (see `agentflow models list`).
    What was read once is kept as a state, and whoever goes on from it, in the same conversation or a fork of
    it, starts there.

    \b
    agentflow serve ./mamba2-1.3b
    agentflow serve ./mamba2-1.3b --host 0.0.0.0 --api-key-env SERVE_KEY
    agentflow serve ./mamba2-1.3b --on ray://auto --replicas 4 --gpus 1
    """
    if not all(map(find_spec, EXTRA)):
        raise MissingExtraError(feature="serving recurrent models", extra="recurrent")
    given = [f"--{word}" for word in ("replicas", "cpus", "gpus") if options[word] is not None]
    if on is None and given:
        raise click.UsageError(f"{given[0]} needs --on: without a cluster there is one server")
    place = {"host": host, "port": port, "api_key": _key(api_key_env)}
    if on is None:
        is_clean = _serve_here(model, name, place, options)
    else:
        is_clean = _serve_on(on, model, name, place, options)
    click.echo("ended" if is_clean else "ended; what was under way was cut off", err=True)
    if not is_clean:
        sys.exit(EXIT_INTERRUPTED)


def _serve_here(
    model: str, name: str | None, place: dict[str, Any], options: dict[str, Any]
) -> bool:
    """Serve with an engine of this process; return whether all requests under way could end."""
    from agentflow.recurrent.engine import Engine  # noqa: PLC0415 - needs the extra
    from agentflow.recurrent.server.service import (  # noqa: PLC0415 - needs the extra
        Service,
        short_name,
    )
    from agentflow.recurrent.server.serving import serving  # noqa: PLC0415 - needs the extra

    service = Service(name or short_name(folder_of(model)))
    with serving(service, **place) as server:
        click.echo(f"loading {model} ...", err=True)
        with Engine.open(folder_of(model), _options(options)) as engine:
            service.open(engine)
            _tell(engine, service.name, server, has_key=place["api_key"] is not None)
            return server.wait_stopped(service, options["drain_s"])


def _serve_on(
    on: str, model: str, name: str | None, place: dict[str, Any], options: dict[str, Any]
) -> bool:
    """Serve with replicas on a cluster; return whether all requests under way could end."""
    # They need extras.
    from agentflow.cluster.serving.deployment import Replicas, deployed  # noqa: PLC0415
    from agentflow.cluster.serving.front import Front, front_application  # noqa: PLC0415
    from agentflow.recurrent.server.service import short_name  # noqa: PLC0415
    from agentflow.recurrent.server.serving import serving  # noqa: PLC0415

    front = Front(name or short_name(folder_of(model)))
    local, spill = Path(model).expanduser(), options["spill"]
    is_own = (
        local.is_dir() and find_packaged(model) is None
    )  # each machine has its own of the others
    replicas = Replicas(
        model=str(local.resolve()) if is_own else model,
        name=front.name,
        options=_options(options | {"spill": spill and spill.absolute()}),
        count=options["replicas"] or 1,
        cpus=1 if options["cpus"] is None else options["cpus"],
        gpus=options["gpus"] or 0,
    )
    with serving(front, **place, make=front_application) as server:
        click.echo(f"loading {model} on {_several(replicas.count)} ...", err=True)
        with deployed(replicas, on.partition("://")[2] or None) as found:
            front.connect(found.handle, found.app)
            _tell_replicas(found.described, replicas.count, front.name, server, place)
            return server.wait_stopped(front, options["drain_s"])


def _options(given: dict[str, Any]) -> Any:
    from agentflow.recurrent.options import EngineOptions  # noqa: PLC0415 - light, but of the extra

    return EngineOptions(
        dtype=given["dtype"],
        device=given["device"],
        most_rows=given["most_rows"],
        most_waiting=given["max_waiting"],
        state_bytes=given["state_memory"],
        spill_folder=given["spill"],
        states="int8" if given["int8_states"] else "exact",
    )


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "")
    if not key.isascii() or not key.isprintable() or not key.strip():
        raise click.UsageError(f"--api-key-env: {variable} is not set, or holds no key")
    return key


def _tell(engine: "Engine", name: str, server: "Serving", *, has_key: bool) -> None:
    """Say where it is, how to use it, and what the probe has found."""
    model, abilities = engine.model, engine.model.abilities
    _tell_address(name, server, has_key=has_key)
    reads = "several tokens" if abilities.continues else "one token"
    rows = engine.options.most_rows or model.most_rows
    _tell_probe(f"on {model.device}", reads, rows if abilities.stacks else 1, abilities.notes)
    _tell_end(server)


def _tell_replicas(
    found: "Described", count: int, name: str, server: "Serving", place: dict[str, Any]
) -> None:
    """Say the same of replicas."""
    _tell_address(name, server, has_key=place["api_key"] is not None)
    _tell_probe(f"{_several(count)} on {found.device}", found.reads, found.rows, found.notes)
    _tell_end(server)


def _tell_address(name: str, server: "Serving", *, has_key: bool) -> None:
    click.echo(f"{server.origin}/v1")
    click.echo(f"  in a task file: `model: {server.origin}/v1#{name}`", err=True)
    if has_key:
        click.echo("  with the key in the variable that `api_key_env` names there", err=True)


def _several(count: int) -> str:
    return "one replica" if count == 1 else f"{count} replicas"


def _tell_probe(where: str, reads: str, rows: int, notes: Iterable[str]) -> None:
    together = f"up to {rows} sequences together" if rows > 1 else "one sequence"
    click.echo(f"  {where}: reads {reads} at once from a state, decodes {together}", err=True)
    for note in notes:
        click.echo(f"  {note}", err=True)


def _tell_end(server: "Serving") -> None:
    if server.is_open:
        click.echo("other machines can reach it; keys and texts go unencrypted", err=True)
    click.echo("Ctrl-C ends it", err=True)
