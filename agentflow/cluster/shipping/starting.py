"""Start a worker on a node of a Ray cluster.

Owns how: pinned to the node, ended with this process, and without the keys of models in its environment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import anyio.to_thread

from agentflow.cluster.connection import ray
from agentflow.cluster.shipping.worker import Worker
from agentflow.models.auto import HOSTED
from agentflow.placement import placement_for

KEYS = tuple(variable for variable, _spec in HOSTED)
AT_ONCE = 1_000  # calls of a worker's methods; its work is limited by whoever gives it
JAILS = 2  # of a worker, which has a core


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFound:
    """A node that is there."""

    id: str
    name: str
    cores: int


async def nodes_of() -> list[NodeFound]:
    """Return the nodes of the cluster that have cores."""
    listed = await anyio.to_thread.run_sync(ray().nodes)
    found = [
        NodeFound(
            id=node["NodeID"],
            name=f"{node['NodeManagerHostname']}/{node['NodeID'][:8]}",
            cores=int(node["Resources"].get("CPU", 0)),
        )
        for node in listed
        if node["Alive"]
    ]
    return [node for node in found if node.cores]


def worker_on(node: NodeFound, keys: Iterable[str]) -> Any:
    """Return a worker that is starting on a node, with none of those environment variables.

    A cluster that was started by this process has its environment, so they are blanked, not just left out.
    """
    strategies = import_module("ray.util.scheduling_strategies")
    here = strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
    options: dict[str, Any] = {"num_cpus": 0, "max_restarts": 0, "max_concurrency": AT_ONCE}
    blank = {"env_vars": dict.fromkeys(sorted(keys), "")}
    actors = ray().remote(Worker).options(**options, scheduling_strategy=here, runtime_env=blank)
    return actors.remote(JAILS)


def losses() -> tuple[type[Exception], ...]:
    """Return the errors that mean: lost with a worker or a node."""
    errors = ray().exceptions
    return (
        errors.RayActorError,
        errors.WorkerCrashedError,
        errors.NodeDiedError,
        errors.ObjectLostError,
        errors.OutOfMemoryError,
        errors.TaskCancelledError,
        errors.ActorUnschedulableError,
    )


def cluster_address(on: str) -> str | None:
    """Return the address in `ray`, `ray://HOST:PORT` or `ray://auto`; None for a cluster on this machine.

    Raises:
        ValueError: It names no cluster.
        MissingExtraError: Ray is not installed.
    """
    placement_for(on)
    return on.partition("://")[2] or None


def last_line(error: Exception) -> str:
    """Return the line of Ray's report that says what happened."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
