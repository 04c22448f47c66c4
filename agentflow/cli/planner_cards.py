"""What a planner says of itself, as data: its line, source, cost, needs, published figures and options.

Owns the form of the sections in a planner's docstring, `Source:`, `Cost:`, `Needs:` and `Published:`, each
at the beginning of a line and continued by indented ones. Knows no planner: a third party's is read alike.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from agentflow.flows import Flow
from agentflow.plugins import load_planner

GIVEN = "task"  # the argument that a run fills in
NOTHING = "nothing"  # how `Needs:` says that there is nothing to have ready

_SECTION = re.compile(r"^(Source|Cost|Needs|Published): *(\S.*(?:\n[ \t]+\S.*)*)\n?", re.M)


@dataclass(frozen=True)
class Card:
    """One planner. `problem` says why it cannot be imported; then the rest is empty.

    `cost` begins with an order of magnitude (`tens of calls`) and goes on with how it comes about.
    """

    name: str
    line: str = ""
    text: str = ""
    source: str = ""
    cost: str = ""
    needs: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    @property
    def cost_class(self) -> str:
        """The order of magnitude of the cost alone."""
        return self.cost.partition(":")[0]


def card_of(name: str) -> Card:
    """Return what an installed planner says of itself; one that cannot be imported says that."""
    try:
        planner = load_planner(name)
    except Exception as error:  # noqa: BLE001 - a broken third-party planner must not hide the others
        return Card(name, problem=f"cannot be imported: {error}")
    module = inspect.getmodule(planner.function if isinstance(planner, Flow) else planner)
    own = inspect.cleandoc(planner.__doc__ or "")
    text = inspect.cleandoc((module.__doc__ if module else None) or own)
    sections = dict(_sections(text)) | dict(_sections(own))  # of two in a module, each says its own
    return Card(
        name,
        line=text.partition("\n")[0],
        text=_SECTION.sub("", text).strip(),
        source=sections.get("Source", ""),
        cost=sections.get("Cost", "").rstrip("."),
        needs=_parts(sections.get("Needs", ""), ", "),
        published=_parts(sections.get("Published", ""), "; "),
        options=tuple(_options(planner)),
    )


def _sections(text: str) -> Iterator[tuple[str, str]]:
    for found in _SECTION.finditer(text):
        yield found[1], " ".join(found[2].split())


def _parts(text: str, separator: str) -> tuple[str, ...]:
    return tuple(part for part in text.rstrip(".").split(separator) if part and part != NOTHING)


def _options(planner: object) -> Iterator[tuple[str, str]]:
    for one in inspect.signature(planner).parameters.values():  # type: ignore[arg-type]
        if one.name != GIVEN:
            yield one.name, "required" if one.default is one.empty else repr(one.default)
