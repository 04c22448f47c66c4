"""The nodes that a Ray cluster has, and how an actor is tied to one of them.

Owns what a node is called. Knows nothing of what it is used for.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import anyio.to_thread

from agentflow.cluster.connection import ray


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node that is there."""

    id: str
    name: str
    cores: int


async def members() -> list[Member]:
    """Return the nodes of the cluster that have cores."""
    listed = await anyio.to_thread.run_sync(ray().nodes)
    found = [
        Member(
            id=node["NodeID"],
            name=f"{node['NodeManagerHostname']}/{node['NodeID'][:8]}",
            cores=int(node["Resources"].get("CPU", 0)),
        )
        for node in listed
        if node["Alive"]
    ]
    return [node for node in found if node.cores]


def on(node: Member) -> Any:
    """Return the strategy by which Ray starts something on that node and nowhere else."""
    strategies = import_module("ray.util.scheduling_strategies")
    return strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
