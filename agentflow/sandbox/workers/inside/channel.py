"""Write and read frames on a pipe: a length, then JSON.

Owns the form of a frame inside the jail. Whoever reads treats what comes as hostile: lengths are
bounded before anything is kept.
"""

import os
import select
import struct
from time import monotonic

LENGTH = struct.Struct("!I")


class ChannelError(Exception):
    """The other side is gone, silent for too long, or writes something else than frames."""


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`, however often the pipe is full."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_exactly(descriptor: int, count: int) -> bytes:
    """Return exactly `count` bytes.

    Raises:
        EOFError: The pipe ends before that.
    """
    data = bytearray()
    while len(data) < count:
        chunk = os.read(descriptor, min(count - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


def send(descriptor: int, text: str) -> None:
    """Write one frame; `text` is ASCII."""
    data = text.encode("ascii")
    write_all(descriptor, LENGTH.pack(len(data)) + data)


def receive(descriptor: int, *, most: int, timeout_s: float) -> bytes:
    """Return the next frame.

    Raises:
        ChannelError: None comes in time, or it is longer than `most` bytes.
    """
    deadline = monotonic() + timeout_s
    (size,) = LENGTH.unpack(_read_before(descriptor, LENGTH.size, deadline))
    if size > most:
        raise ChannelError("a frame is too long")
    return _read_before(descriptor, size, deadline)


def _read_before(descriptor: int, count: int, deadline: float) -> bytes:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    data = bytearray()
    while len(data) < count:
        left_s = deadline - monotonic()
        if left_s <= 0:
            raise ChannelError("it took too long")
        if not poll.poll(left_s * 1000 + 1):
            continue
        chunk = os.read(descriptor, count - len(data))
        if not chunk:
            raise ChannelError("the process ended")
        data += chunk
    return bytes(data)
