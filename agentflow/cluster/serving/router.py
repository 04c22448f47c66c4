"""Send each request to the replica that it names.

Owns the one hook that Ray Serve has for this, a request router. It decides nothing: the front has chosen, and only
where its choice is gone another replica is taken. Imported only where `ray[serve]` is installed; Serve copies this
module into the process that routes, so it keeps nothing.
"""

from importlib import import_module
from typing import Any

from agentflow.cluster.serving import rosters

_Router: Any = import_module("ray.serve.request_router").RequestRouter


class HomeRouter(_Router):  # type: ignore[misc]
    """A request router for `Replica.answer`; Serve makes one in each process that asks."""

    def initialize_state(self, **_given: Any) -> None:
        """Let the front know which replicas there are."""
        rosters.enter(self.app_name, self)

    async def choose_replicas(
        self, candidate_replicas: list[Any], pending_request: Any = None
    ) -> list[list[Any]]:
        """Return the replica that a request names; all of them where it is gone or none is named."""
        asked = pending_request.args[0] if pending_request and pending_request.args else None
        home = getattr(asked, "home", None)
        named = [one for one in candidate_replicas if one.replica_id.unique_id == home]
        return [named or candidate_replicas]
