"""Start the replicas of a model as a deployment of Ray Serve, and end it.

Owns what Serve is told: how many there are, what each needs, and which router finds them. Serve starts one anew when it
dies. The address is not Serve's: the front is in this process, so that nothing is before the guard.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from agentflow.cluster.asking import last_line
from agentflow.cluster.connection import join, leave, ray
from agentflow.cluster.fitting import fitting
from agentflow.cluster.serving.asking import Described, Opening
from agentflow.cluster.serving.owner import Owner
from agentflow.errors import ClusterError, MissingExtraError
from agentflow.recurrent.options import EngineOptions

REPLICAS = "replicas"
ROUTER = "agentflow.cluster.serving.router:HomeRouter"
QUIET = {"log_level": "ERROR", "enable_access_log": False}
DRAIN_S = 5.0  # for a replica that is no longer wanted; the front has let its requests end before
DRAIN_LOOK_S = 0.2
MOST_ONGOING = 100_000  # an engine says itself when it is full, in words that clients read


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """What to start: a model that every node finds under this name, and what a replica of it takes."""

    model: str
    name: str
    options: EngineOptions
    count: int = 1
    cpus: float = 1
    gpus: float = 0


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """Replicas that are ready: their Serve application, how they are asked, and what they have found."""

    app: str
    handle: Any
    described: Described


def serve_package() -> Any:
    """Return Ray Serve.

    Raises:
        MissingExtraError: It is not installed, or a package that it needs is not.
    """
    ray()
    try:
        found = import_module("ray.serve")
    except ImportError as error:
        raise MissingExtraError(feature="model servers on a cluster", extra="serve") from error
    logging.getLogger("ray.serve").setLevel(logging.ERROR)  # what matters is raised
    return found


@contextmanager
def deployed(replicas: Replicas, address: str | None) -> Iterator[Deployed]:
    """Have replicas run on a cluster until the block ends.

    Args:
        replicas: Which.
        address: Of the cluster; see `agentflow.cluster.connection.join`.

    Raises:
        MissingExtraError: `ray[serve]` is not installed.
        ClusterError: The cluster cannot be joined, is too small, or a replica does not start.
    """
    serve = serve_package()
    join(address)
    try:
        where = address or "local"
        _check_room(replicas, where)
        app = f"agentflow-{replicas.name}-{ray().get_runtime_context().get_job_id()}"
        owner = ray().remote(Owner).options(num_cpus=0).remote()  # it ends with this process
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        try:
            handle = _started(serve, replicas, app, owner, where)
            described = handle.describe.remote().result()
            yield Deployed(app=app, handle=handle, described=described)
        finally:
            serve.delete(app)
    finally:
        leave()


def _started(serve: Any, replicas: Replicas, app: str, owner: Any, where: str) -> Any:
    """Deploy, wait for all replicas, and return how they are asked."""
    routing = import_module("ray.serve.config").RequestRouterConfig(request_router_class=ROUTER)
    running: Any = import_module("agentflow.cluster.serving.replica")
    deployment = serve.deployment(running.Replica).options(
        name=REPLICAS,
        num_replicas=replicas.count,
        ray_actor_options={"num_cpus": replicas.cpus, "num_gpus": replicas.gpus},
        max_ongoing_requests=MOST_ONGOING,
        max_constructor_retry_count=1,
        graceful_shutdown_timeout_s=DRAIN_S,
        graceful_shutdown_wait_loop_s=DRAIN_LOOK_S,
        request_router_config=routing,
        logging_config=QUIET,
    )
    opening = Opening(
        app=app,
        owner=owner,
        model=replicas.model,
        name=replicas.name,
        options=replicas.options.model_dump_json(),
        expected=fitting(),
    )
    try:
        return serve.run(deployment.bind(opening), name=app, route_prefix=None)
    except RuntimeError as error:
        problem = f"a replica does not start: {_reason(serve, app) or last_line(error)}"
        raise ClusterError(cluster=where, problem=problem) from error


def _check_room(replicas: Replicas, where: str) -> None:
    """Say at once what would otherwise be waited for without end."""
    there = ray().cluster_resources()
    for kind, each in (("CPU", replicas.cpus), ("GPU", replicas.gpus)):
        wanted, has = each * replicas.count, there.get(kind, 0)
        if wanted > has:
            problem = f"{replicas.count} replicas need {wanted:g} {kind}s, and it has {has:g}"
            raise ClusterError(cluster=where, problem=problem)


def _reason(serve: Any, app: str) -> str:
    """Return the last line of what Serve tells of a deployment that failed."""
    found = serve.status().applications.get(app)
    told = found.deployments[REPLICAS].message if found and REPLICAS in found.deployments else ""
    errors = [line for line in told.splitlines() if "Error: " in line]
    return errors[-1].strip() if errors else ""
