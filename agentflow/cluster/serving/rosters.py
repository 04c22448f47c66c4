"""The request routers of this process, by the Serve application that they are for.

Owns the list, and how to ask one for the replicas it knows. It stands apart because Serve copies the module of a router
into the process that uses it, and what is kept must not be copied. Knows nothing of Ray.
"""

from typing import Any
from weakref import WeakValueDictionary

_routers: "WeakValueDictionary[str, Any]" = WeakValueDictionary()


def enter(app: str, router: Any) -> None:
    """Have `living` find a router."""
    _routers[app] = router


def living(app: str) -> list[str]:
    """Return the names of the replicas of an application that this process may ask now."""
    router = _routers.get(app)
    return [] if router is None else [one.unique_id for one in list(router.curr_replicas)]
