"""One cluster of two nodes for all tests of shipping, whose processes know the planners of `shipped`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agentflow.cluster.shipping.shipped import installed

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 << 20}
INHERITED = "sk-of-the-shell-that-started-the-cluster"


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster that was started where a key is in the environment; skips without Ray."""
    pytest.importorskip("ray", reason="needs the extra `ray`")
    with pytest.MonkeyPatch.context() as patch:
        root = str(Path(__file__).parents[4])
        folder = installed(tmp_path_factory.mktemp("installed"))
        path = [folder, root, os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # other tests beside these would starve them
        patch.setenv("OPENAI_API_KEY", INHERITED)
        from ray.cluster_utils import Cluster

        head = {"include_dashboard": False, **NODE}
        started: Any = Cluster(initialize_head=True, head_node_args=head)
        started.add_node(**NODE)
        yield started
        started.shutdown()
