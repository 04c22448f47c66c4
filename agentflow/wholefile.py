"""Write a file that is there whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from agentflow.errors import AgentflowError


@contextmanager
def whole_file(target: Path, refusal: Callable[[str], AgentflowError]) -> Iterator[IO[bytes]]:
    """Give a file that becomes `target` at the end, or leaves no trace.

    Args:
        target: Where it is to be; what was there is replaced.
        refusal: Makes the error that is raised when the file cannot be written, from the reason.
    """
    part = target.with_name(target.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    except OSError as error:
        with suppress(OSError):  # no folder, no part of a file in it
            part.unlink()
        raise refusal(f"cannot be written: {error.strerror or error}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
