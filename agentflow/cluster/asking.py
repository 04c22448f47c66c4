"""Ask something of a node by way of Ray, stop what nobody waits for, and say what was lost.

Owns which errors of Ray mean a loss, which line of them is told, and how a task is cancelled.
"""

from asyncio import CancelledError
from contextlib import suppress
from typing import Any

import anyio

from agentflow.cluster.connection import ray
from agentflow.cluster.wire import Answer
from agentflow.errors import ClusterError

STOP_S = 1.0  # for a cancelled tool to end by itself


class LostError(Exception):
    """A piece of work was lost: `node` says where, `why` is Ray's error. Never leaves the package."""

    def __init__(self, node: str, why: Exception) -> None:
        super().__init__(node)
        self.node, self.why = node, why


def losses() -> tuple[type[Exception], ...]:
    """Return the errors that mean: lost with a worker or a node, and never recorded."""
    errors = ray().exceptions
    return (
        errors.RayActorError,
        errors.WorkerCrashedError,
        errors.NodeDiedError,
        errors.ObjectLostError,
        errors.OutOfMemoryError,
        errors.TaskCancelledError,
        errors.TaskUnschedulableError,
        errors.ActorUnschedulableError,
    )


async def asked(reference: Any) -> Answer:
    """Await an answer; when the caller is cancelled, so is the work.

    Raises:
        ClusterError: The work came to an error that it should not have.
    """
    try:
        answer: Answer = await reference
    except CancelledError:
        await _stop(reference)
        raise
    except ray().exceptions.RayTaskError as error:
        raise failed(error) from error
    return answer


def failed(error: Exception) -> ClusterError:
    """Return what is told of work that came to an error that it should not have."""
    return ClusterError(cluster="ray", problem=f"work failed: {last_line(error)}")


def last_line(error: Exception) -> str:
    """Return the line of Ray's report that says what happened."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


async def _stop(reference: Any) -> None:
    """Cancel work, first by asking; a tool that does not listen is ended with its process."""
    ray().cancel(reference)
    with anyio.CancelScope(shield=True), anyio.move_on_after(STOP_S, shield=True):
        with suppress(ray().exceptions.RayError):
            await reference
        return
    with suppress(ValueError):  # an agent cannot be ended for one piece of its work
        ray().cancel(reference, force=True)
