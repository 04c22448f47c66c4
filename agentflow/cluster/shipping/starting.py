"""Start a worker on a node of a Ray cluster.

Owns how: pinned to the node, ended with this process, and without the keys of models in its environment.
"""

from collections.abc import Iterable
from typing import Any

from agentflow.cluster.connection import ray
from agentflow.cluster.members import Member, on
from agentflow.cluster.shipping.worker import Worker
from agentflow.models.auto import HOSTED
from agentflow.placement import placement_for

KEYS = tuple(variable for variable, _spec in HOSTED)
AT_ONCE = 1_000  # calls of a worker's methods; its work is limited by whoever gives it
JAILS = 2  # of a worker, which has a core


def worker_on(node: Member, keys: Iterable[str]) -> Any:
    """Return a worker that is starting on a node, with none of those environment variables.

    A cluster that was started by this process has its environment, so they are blanked, not just left out.
    """
    options: dict[str, Any] = {"num_cpus": 0, "max_restarts": 0, "max_concurrency": AT_ONCE}
    blank = {"env_vars": dict.fromkeys(sorted(keys), "")}
    actors = (
        ray().remote(Worker).options(**options, scheduling_strategy=on(node), runtime_env=blank)
    )
    return actors.remote(JAILS)


def cluster_address(place: str) -> str | None:
    """Return the address in `ray`, `ray://HOST:PORT` or `ray://auto`; None for a cluster on this machine.

    Raises:
        ValueError: It names no cluster.
        MissingExtraError: Ray is not installed.
    """
    placement_for(place)
    return place.partition("://")[2] or None
