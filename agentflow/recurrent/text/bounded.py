"""Remember a bounded number of things.

Owns a map that forgets what was used longest ago. Knows nothing of what it holds. Thread-safe.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """A map of at most `most` entries and `most_bytes` bytes; an entry larger than that is not taken at all."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size_bytes(self) -> int:
        """Sum of what the entries were said to take."""
        return self._bytes

    def get(self, key: K) -> V | None:
        """Return a value, which now counts as just used; None when there is none."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            self._held.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, *, size_bytes: int) -> None:
        """Set a value that takes `size_bytes`."""
        with self._lock:
            self._drop(key)
            if size_bytes > self._most_bytes:
                return
            self._held[key] = value, size_bytes
            self._bytes += size_bytes
            while len(self._held) > self._most or self._bytes > self._most_bytes:
                self._drop(next(iter(self._held)))

    def _drop(self, key: K) -> None:
        _, size_bytes = self._held.pop(key, (None, 0))
        self._bytes -= size_bytes
