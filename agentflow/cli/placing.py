"""The option `--on`: where what a command has to do is carried out."""

from typing import Any

import click

from agentflow.errors import MissingExtraError
from agentflow.placement import placement_for


def _checked(_context: click.Context, _option: click.Parameter, on: str | None) -> str | None:
    try:
        placement_for(on)
    except (ValueError, MissingExtraError) as error:
        raise click.BadParameter(str(error)) from error
    return on


def on_option(command: Any) -> Any:
    """Add the option to a command."""
    return click.option(
        "--on",
        metavar="PLACE",
        callback=_checked,
        help="Where sandboxed work, remote tools and evaluated samples run: ray, or ray://HOST:PORT.",
    )(command)
