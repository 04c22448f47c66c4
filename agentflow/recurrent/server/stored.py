"""Keep the responses that a client may go on from.

Owns the way from `previous_response_id` to a state of the engine. At most so many are kept, the least recently used
is forgotten first, and its state is then free to be evicted.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentflow.recurrent.server.messages import Told
from agentflow.recurrent.server.refusals import Refusal
from agentflow.recurrent.server.tools import Tool

MOST_STORED = 1024
MOST_BYTES = 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A response and what it takes to go on from it.

    `prompt_tokens` says how many of the state's tokens came before the reply; `size_bytes` what its request took.
    """

    response: dict[str, Any]
    handle: str
    prompt_tokens: int
    instructions: str | None
    messages: tuple[Told, ...]
    tools: tuple[Tool, ...]
    repeat_context: int
    size_bytes: int


class StoredResponses:
    """The responses of one server, by id; in memory only."""

    def __init__(self, unpin: Callable[[str], object], most: int = MOST_STORED) -> None:
        self._unpin, self._most = unpin, most
        self._found: OrderedDict[str, Stored] = OrderedDict()
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._found)

    def add(self, stored: Stored) -> None:
        """Keep a response whose state is pinned."""
        self._found[stored.response["id"]] = stored
        self._size_bytes += stored.size_bytes
        while len(self._found) > self._most or self._size_bytes > MOST_BYTES:
            self.delete(next(iter(self._found)))

    def find(self, response_id: str, field: str | None = None) -> Stored:
        """Return a response.

        Raises:
            Refusal: It was never stored, was deleted, or is forgotten.
        """
        if response_id not in self._found:
            place = f"{field}: " if field else ""
            message = f"{place}there is no response {response_id[:80]!r} here (any more)"
            code = "previous_response_not_found" if field else "response_not_found"
            raise Refusal(404, message, field=field, code=code)
        self._found.move_to_end(response_id)
        return self._found[response_id]

    def delete(self, response_id: str) -> None:
        """Forget a response.

        Raises:
            Refusal: There is none.
        """
        stored = self.find(response_id)
        del self._found[response_id]
        self._size_bytes -= stored.size_bytes
        self._unpin(stored.handle)
