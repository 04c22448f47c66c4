"""Which optional packages are here, and whether they are new enough.

Owns the reading of the distribution's own metadata: what it asks for is looked up there, by extra.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import zip_longest

from agentflow.doctor.findings import Finding

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*([^;]*)(?:;(.*))?")
_EXTRA = re.compile(r"extra == ['\"]([^'\"]+)['\"]")
_LEAST = re.compile(r">=\s*([0-9.]+)")


def package_findings() -> list[Finding]:
    """Return the framework's own version, and one finding an extra."""
    try:
        here = version("agentflow")
    except PackageNotFoundError:
        fix = "pip install agentflow"
        told = "the sources are there, the distribution is not installed"
        return [Finding(area="packages", name="agentflow", status="wrong", told=told, fix=fix)]
    python = ".".join(map(str, sys.version_info[:3]))
    own = Finding(area="packages", name="agentflow", status="ok", told=f"{here}, Python {python}")
    extras = extras_of(requires("agentflow") or ())
    return [own, *(_finding(extra, wanted) for extra, wanted in extras.items() if extra != "all")]


def extras_of(lines: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the packages of each extra with the least version of each, from a distribution's metadata."""
    extras: dict[str, dict[str, str]] = {}
    for line in lines:
        found = _REQUIREMENT.fullmatch(line.strip())
        marker = (found[3] or "") if found else ""
        extra = _EXTRA.search(marker)
        if found is None or extra is None or not _is_for_here(marker):
            continue
        least = _LEAST.search(found[2])
        extras.setdefault(extra[1], {})[found[1]] = least[1] if least else ""
    return dict(sorted(extras.items()))


def _is_for_here(marker: str) -> bool:
    return "sys_platform" not in marker or f"'{sys.platform}'" in marker.replace('"', "'")


def _finding(extra: str, wanted: Mapping[str, str]) -> Finding:
    have = {name: _version(name) for name in wanted}
    missing = [name for name, found in have.items() if found is None]
    old = [name for name, found in have.items() if found and is_older(found, wanted[name])]
    fix = f"pip install 'agentflow[{extra}]'"
    name = f"extra {extra}"
    if old:
        told = ", ".join(f"{name} {have[name]} is older than {wanted[name]}" for name in old)
        return Finding(area="packages", name=name, status="wrong", told=told, fix=f"{fix} -U")
    if missing:
        told = f"not installed: {', '.join(missing)}"
        return Finding(area="packages", name=name, status="missing", told=told, fix=fix)
    told = ", ".join(f"{name} {found}" for name, found in have.items())
    return Finding(area="packages", name=name, status="ok", told=told)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def is_older(found: str, least: str) -> bool:
    """Return whether a version is below another one, by their numbers."""
    pairs = zip_longest(_numbers(found), _numbers(least), fillvalue=0)
    return next((mine < its for mine, its in pairs if mine != its), False)


def _numbers(text: str) -> list[int]:
    leading = re.match(r"[0-9]+(?:\.[0-9]+)*", text)
    return [int(part) for part in leading[0].split(".")] if leading else []
