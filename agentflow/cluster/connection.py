"""The connection of this process to Ray: joined when it is first needed, left with its last user.

Owns the import of Ray, an optional package. A cluster that was started here ends with the last user, or with
the process; one that the process had joined before is used as it is and left alone.
"""

import os
import threading
from importlib import import_module
from typing import Any

from agentflow.errors import ClusterError, MissingExtraError

OBJECT_STORE_BYTES = 128 << 20  # what crosses is small
_lock = threading.Lock()
_users = 0
_is_ours = False


def ray() -> Any:
    """Return the package.

    Raises:
        MissingExtraError: It is not installed.
    """
    # Ray prints what happens to nodes and workers on standard output, where our answers go.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        return import_module("ray")
    except ImportError as error:
        raise MissingExtraError(feature="running on a cluster", extra="ray") from error


def join(address: str | None) -> None:
    """Join the cluster at `address`, or start one on this machine; leave it with `leave`.

    Raises:
        ClusterError: It cannot be joined, or this process is in another one.
    """
    global _users, _is_ours
    with _lock:
        if not ray().is_initialized():
            _join(address)
            _is_ours = True
        elif address not in (None, "auto", _joined()):
            problem = f"this process has joined {_joined()} already"
            raise ClusterError(cluster=str(address), problem=problem)
        _users += 1


def leave() -> None:
    """Leave the cluster if nobody else in this process uses it."""
    global _users, _is_ours
    with _lock:
        _users -= 1
        if _is_ours and not _users:
            _is_ours = False
            ray().shutdown()


def _join(address: str | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
        options |= {
            "address": "local",
            "num_cpus": len(os.sched_getaffinity(0)),
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }
    else:
        options["address"] = address
    try:
        ray().init(**options)
    except (OSError, RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ClusterError(cluster=address or "local", problem=lines[0]) from error


def _joined() -> str:
    return str(ray().get_runtime_context().gcs_address)
