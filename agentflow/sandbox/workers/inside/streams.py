"""What generated code prints into and reads from: memory, bounded.

Owns the three standard streams of one child. Results never go through them.
"""

import contextlib
import io
import sys
from typing import Any


class _Kept(io.RawIOBase):
    """Keeps the first bytes written to it and forgets the rest."""

    def __init__(self) -> None:
        self.most = 0
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data)
        room = self.most - len(self._data)
        if room > 0:
            self._data += view[:room]
        return view.nbytes

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


class Streams:
    """The standard streams; the same objects for all calls, since code may keep hold of them.

    Made before the fork, as that is dear, and opened after it.
    """

    def __init__(self) -> None:
        self._typed, self._most = b"", 0
        self._kept, self._lost = _Kept(), _Kept()
        self._out, self._errors = _writer(self._kept), _writer(self._lost)
        self._in = _reader(b"")

    def open(self, stdin: str, stdout_bytes: int) -> None:
        """Say what is read and how much of what is written is kept."""
        self._kept.most = self._most = stdout_bytes
        if stdin:
            self._typed = stdin.encode("utf-8", "replace")
            self._in = _reader(self._typed)

    def begin(self) -> None:
        """Put the streams in place, stdin at its start."""
        try:
            self._in.seek(0)
        except (ValueError, OSError):  # the code has closed or detached it
            self._in = _reader(self._typed)
        sys.stdin = sys.__stdin__ = self._in  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = self._out  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._errors  # type: ignore[misc]

    def take(self) -> str:
        """Return what was printed since the last time."""
        try:
            self._out.flush()
        except (ValueError, OSError):
            self._kept = _Kept()
            self._kept.most = self._most
            self._out = _writer(self._kept)
        with contextlib.suppress(ValueError, OSError):
            self._errors.flush()
        return self._kept.take().decode("utf-8", "replace")


def _reader(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")


def _writer(kept: _Kept) -> io.TextIOWrapper:
    return io.TextIOWrapper(kept, encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[arg-type]
