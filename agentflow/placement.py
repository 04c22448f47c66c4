"""Where sandboxed work and remote tools are carried out: in this process, or on other machines.

Owns what a run asks of such a place, and the reading of the setting `on`. Everything that crosses is data;
the flows, the budget, the models' permits and the journal stay where the run is.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from agentflow.sandbox.protocol import ProgramSandbox
from agentflow.sandbox.workers.protocol import Workers

_KNOWN = {"ray": "agentflow.cluster.placement"}  # imported when it is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCall:
    """A call of a tool: where to import it from, the hash of its code, its arguments as JSON."""

    tool: str
    target: str
    code: str
    input: bytes


class Placement(Protocol):
    """A place with workers. Work that is lost with one is done again by another."""

    async def sandbox(self) -> ProgramSandbox:
        """Return what runs plan code there.

        Raises:
            ClusterError, NodeRefusedError: Nothing there can be used.
        """
        ...

    async def workers(self) -> Workers:
        """Return what runs generated functions there; raises as `sandbox` does."""
        ...

    async def call(self, call: RemoteCall) -> bytes:
        """Call a tool there and return its result as JSON.

        Raises:
            ToolError: The function raised.
            ClusterError: It cannot be called there.
        """
        ...

    async def aclose(self) -> None:
        """Leave the place, and stop what still runs there."""
        ...


def placement_for(on: str | Placement | None) -> Placement | None:
    """Return the place that `on` names; None for this process.

    Args:
        on: `ray` for a cluster on this machine that lasts as long as it is used, `ray://HOST:PORT` or
            `ray://auto` for one that is running, or a place of your own.

    Raises:
        ValueError: There is no such place.
        MissingExtraError: It needs packages that are not installed.
    """
    if not isinstance(on, str):
        return on
    name, separator, address = on.partition("://")
    if name not in _KNOWN or (separator and not address):
        raise ValueError(f"cannot run on {on!r}: say `ray`, or `ray://HOST:PORT` for a running one")
    place: Placement = import_module(_KNOWN[name]).open_placement(address or None)
    return place
