"""A Ray cluster of two nodes with one core each, on this machine, for all tests of a module."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentflow.cluster.placement import RayPlacement
from agentflow.resources import Resources

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 << 20}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for a module, so that its tests can share what is open."""
    return "asyncio"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster that knows this project's tests; skips without Ray."""
    pytest.importorskip("ray", reason="needs the extra `ray`")
    with pytest.MonkeyPatch.context() as patch:
        root = str(Path(__file__).parents[3])
        patch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv(
            "RAY_worker_niceness", "0"
        )  # or whatever else is busy here keeps nodes waiting
        from ray.cluster_utils import Cluster

        started: Any = Cluster(
            initialize_head=True, head_node_args={"include_dashboard": False, **NODE}
        )
        started.add_node(**NODE)
        yield started
        started.shutdown()


@pytest.fixture(scope="module")
async def resources(cluster: Any) -> AsyncIterator[Resources]:
    """What runs on that cluster share."""
    async with Resources(placement=RayPlacement(cluster.address)) as shared:
        yield shared
