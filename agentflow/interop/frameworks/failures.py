"""What goes wrong where another framework meets a run."""

from collections.abc import Iterator
from contextlib import contextmanager

from agentflow.errors import AgentflowError


class FrameworkError(AgentflowError):
    """Something of another framework has no counterpart in a run; `problem` says what, and what to do."""

    def __init__(self, *, framework: str, what: str, problem: str) -> None:
        self.framework, self.what, self.problem = framework, what, problem
        super().__init__(f"{framework} {what}: {problem}")


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
