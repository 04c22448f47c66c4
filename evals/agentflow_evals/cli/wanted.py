"""From what a user writes on the command line to a plan.

Owns the forms of planners, models, budgets and options there, each error with the form that is right.
"""

import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import ValidationError

from agentflow import plugins
from agentflow.budget import Budget
from agentflow.errors import InputError, ModelError, PluginError, TaskFileError
from agentflow.flowfile import is_flow_file
from agentflow.models.auto import find_model
from agentflow.models.registry import open_model
from agentflow.solving import Named
from agentflow.task import Task
from agentflow.taskfile import planner_in
from agentflow_evals.plan import Contender, Entrant

_PLANNER = re.compile(
    r"(?:(?P<label>[^={}]+)=)?(?P<name>[^={}]+?)\s*(?P<options>\{.*\})?", re.DOTALL
)
_LOGIN = re.compile(r"://[^/\s@]*@")
_FOLDERS = re.compile(r"(?<![\w:/.])(?:~|\.{0,2})/(?:[^\s/=,]+/)*(?=[^\s/=,])")
FORM = "write NAME, NAME{option: value, ...} or LABEL=NAME{...}; NAME may be a flow file"


def contenders(given: Sequence[str]) -> tuple[Contender, ...]:
    """Return the planners of `--planner`: names with options, separated by commas.

    Raises:
        click.BadParameter: One is not installed, takes no such options, or stands there twice.
    """
    found = [_contender(text) for item in given for text in split(item)]
    _once([one.label for one in found], "--planner")
    return tuple(found)


async def entrants(given: Sequence[str]) -> tuple[Entrant, ...]:
    """Return the models of `--model`; each is opened once, so that a missing key is known at once.

    Raises:
        click.BadParameter: One is none, or cannot be opened.
    """
    found = [await _entrant(text) for item in given for text in split(item)]
    _once([one.label for one in found], "--model")
    return tuple(found)


def budget_of(given: Sequence[str], hint: str, names: Sequence[str]) -> Budget:
    """Return the limits of an option such as `usd=5,tokens=1000000`.

    Raises:
        click.BadParameter: One is none.
    """
    limits: dict[str, str] = {}
    for text in (part for item in given for part in item.split(",")):
        name, equals, value = text.strip().partition("=")
        if not equals or name not in names:
            problem = f"{text!r} is no limit; write {'=..., '.join(names)}=..."
            raise click.BadParameter(problem, param_hint=hint)
        limits[name] = value.replace("_", "")
    try:
        return Budget(**limits)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = f"{first['loc'][0]}: {first['msg']}"
        raise click.BadParameter(problem, param_hint=hint) from error


def options_of(given: Sequence[str], data: Path | None) -> dict[str, Any]:
    """Return a suite's options: `--set NAME=VALUE`, values read as YAML, and `--data` as `path`.

    Raises:
        click.BadParameter: One has no `=`, or a value is no YAML.
    """
    found: dict[str, Any] = {} if data is None else {"path": str(data.expanduser().resolve())}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"{text!r}: write NAME=VALUE", param_hint="--set")
        found[name] = _yaml(value, "--set")
    return found


def surroundings() -> dict[str, str]:
    """Return what to write down about the machine and the command; no path, address or user name."""
    command = ["agentflow", *map(_without_places, _without_journal(sys.argv[1:]))]
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    return {
        "command": shlex.join(command),
        "machine": f"{platform.system()} {platform.machine()}, {cores} cores",
        "python": platform.python_version(),
        "agentflow": version("agentflow"),
    }


def _without_journal(words: Sequence[str]) -> Iterator[str]:
    """Yield the words but for the journal, whose address may hold a password."""
    is_next = False
    for word in words:
        if not is_next and not word.startswith(("--journal=", "-j")) and word != "--journal":
            yield word
        is_next = word in ("-j", "--journal")


def _without_places(word: str) -> str:
    """Return a word with addresses cut to the server, and paths to their last part."""
    return _FOLDERS.sub("", _LOGIN.sub("://", word))


def split(text: str) -> list[str]:
    """Return the parts of a list, separated by commas that stand in no bracket."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "{[(") - (char in "}])")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _contender(text: str) -> Contender:
    match = _PLANNER.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r}: {FORM}", param_hint="--planner")
    name = match["name"].strip()
    options = _yaml(match["options"] or "{}", "--planner")
    if not isinstance(options, dict):
        raise click.BadParameter(f"{text!r}: {FORM}", param_hint="--planner")
    label = match["label"] or text
    try:
        if is_flow_file(name):
            found = planner_in(name, Path())
            label = match["label"] or text.replace(name, Path(name).name, 1)
            name, options = found.name, found.options | options
        planner = plugins.load_planner(name)
        planner.signature.bind((Task(goal="."),), options)
    except (PluginError, InputError, TaskFileError) as error:
        raise click.BadParameter(str(error), param_hint="--planner") from error
    return Contender(label=label, planner=Named(name=name, options=options))


async def _entrant(text: str) -> Entrant:
    label, equals, name = text.partition("=")
    if not equals or "://" in label:
        label, name = "", text
    try:
        spec = (await find_model(name)).spec
        await open_model(spec).aclose()
    except ModelError as error:
        raise click.BadParameter(str(error), param_hint="--model") from error
    return Entrant(label=label or str(spec), spec=spec)


def _yaml(text: str, hint: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = f"{text!r} is not YAML: {str(error).splitlines()[0]}"
        raise click.BadParameter(problem, param_hint=hint) from error


def _once(labels: Sequence[str], hint: str) -> None:
    for label in labels:
        if labels.count(label) > 1:
            problem = f"{label!r} stands there twice; give one another label: LABEL={label}"
            raise click.BadParameter(problem, param_hint=hint)
