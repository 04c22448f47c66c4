"""The bytes between the host and a zygote.

Owns both directions. The host sends `hello` once; then for each request a header, the source's part and
the tests' part, which only children read. The zygote sends `ready` once; then `DATA` pieces, as the child
wrote them, and one `END`. What is inside the pieces is a child's and not to be trusted.
"""

import json
import struct
from typing import Any, NamedTuple

_MAGIC = b"\0AFW"
_HEADER = struct.Struct("!4sIIddQQ")
HEAD = struct.Struct("!cI")
END_FIELDS = struct.Struct("!cid")
DATA, END, READY = b"D", b"E", b"R"


class Header(NamedTuple):
    """What the zygote has to know of a request.

    `silent_s`: how long a child may write nothing. `most_bytes`: how much it may write.
    """

    source_bytes: int
    tests_bytes: int
    silent_s: float
    total_s: float
    memory_bytes: int
    most_bytes: int

    def pack(self) -> bytes:
        """Return the header as bytes."""
        return _HEADER.pack(_MAGIC, *self)

    @classmethod
    def unpack(cls, data: bytes) -> "Header":
        """Return the header that `pack` wrote.

        Raises:
            ValueError: It is none: a child left a part of its request unread.
        """
        magic, *fields = _HEADER.unpack(data)
        if magic != _MAGIC:
            raise ValueError("not the header of a request")
        return cls(*fields)


HEADER_BYTES = _HEADER.size


class Ended:
    """Why the zygote stopped listening to a child; `LOST` is the host's word for a zygote that ended."""

    CLOSED, LATE, FLOOD, LOST = b"c", b"l", b"f", b"x"


def hello(modules: dict[str, str], settings: dict[str, Any]) -> bytes:
    """Return what a jail starts from: the text of its modules, and how to confine itself."""
    data = json.dumps({"modules": modules, "settings": settings}).encode()
    return len(data).to_bytes(4, "big") + data


def ready() -> bytes:
    """Return the zygote's word that it is confined."""
    return HEAD.pack(READY, 0)


def head(kind: bytes, size: int) -> bytes:
    """Return what comes before `size` bytes."""
    return HEAD.pack(kind, size)


def end_frame(reason: bytes, status: int, seconds: float) -> bytes:
    """Return the end of a request: why listening stopped, the exit status, how long it took."""
    data = END_FIELDS.pack(reason, status, seconds)
    return HEAD.pack(END, len(data)) + data
