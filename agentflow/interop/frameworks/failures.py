"""What goes wrong where another framework meets a run."""

from collections.abc import Iterator
from contextlib import contextmanager

from agentflow.errors import AgentflowError, FrameworkError

__all__ = ["FrameworkError", "our_errors"]


@contextmanager
def our_errors() -> Iterator[None]:
    """Raise our own error where another framework has wrapped it; its own errors stay as they are."""
    try:
        yield
    except AgentflowError:
        raise
    except Exception as error:
        ours = _ours_in(error)
        if ours is None:
            raise
        raise ours from error


def _ours_in(error: BaseException) -> AgentflowError | None:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        if isinstance(found, AgentflowError):
            return found
        seen.add(id(found))
        hidden = found.__suppress_context__
        found = found.__cause__ or (None if hidden else found.__context__)
    return None
