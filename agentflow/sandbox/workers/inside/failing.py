"""Say what went wrong in generated code, for a model to read.

Owns the failure as data (see `Failure` in protocol.py). Only frames of the code itself are told, with
their lines. Exceptions of the code are hostile: their `__str__` may do anything.
"""

import linecache
import traceback
from typing import Any

MAX_MESSAGE_CHARS = 2_000
MAX_REPORT_CHARS = 8_000
_FIRST_FRAMES, _LAST_FRAMES = 4, 12


def remember_lines(file: str, source: str) -> None:
    """Let tracebacks find the lines of a file that is on no disk."""
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)


def failure_of(error: BaseException, file: str) -> dict[str, Any]:
    """Return an exception as data; `file` is the one whose frames are told."""
    mro = [kind.__name__ for kind in type(error).__mro__]
    told = traceback.TracebackException(
        type(error), error, error.__traceback__, lookup_lines=False, compact=True
    )
    line = _line(error, told, file)
    _keep_frames(told, file, set())
    report = "".join(told.format())
    return {
        "type": clean(mro[0])[:200],
        "bases": [clean(name)[:200] for name in mro[1:] if name not in ("BaseException", "object")][
            :20
        ],
        "message": _message(error),
        "report": _cut(clean(report)),
        "line": line,
    }


def made_up(kind: str, message: str) -> dict[str, Any]:
    """Return a failure for which there was no exception."""
    return {
        "type": kind,
        "bases": [],
        "message": message,
        "report": f"{kind}: {message}",
        "line": None,
    }


def clean(text: str) -> str:
    """Return text without the characters that are no Unicode text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _message(error: BaseException) -> str:
    try:
        return clean(str(error))[:MAX_MESSAGE_CHARS]
    except Exception:  # noqa: BLE001 - the code's own __str__
        return "<its message cannot be printed>"


def _line(error: BaseException, told: traceback.TracebackException, file: str) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno if isinstance(error.lineno, int) and error.lineno > 0 else None
    lines = [frame.lineno for frame in told.stack if frame.filename == file]
    return lines[-1] if lines else None


def _keep_frames(told: traceback.TracebackException, file: str, seen: set[int]) -> None:
    """Drop the frames of other files, here and in the exceptions before; keep the ends of long ones."""
    if id(told) in seen:
        return
    seen.add(id(told))
    frames = [frame for frame in told.stack if frame.filename == file]
    if len(frames) > _FIRST_FRAMES + _LAST_FRAMES:
        frames = frames[:_FIRST_FRAMES] + frames[-_LAST_FRAMES:]
    told.stack = traceback.StackSummary.from_list(frames)
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if other is not None:
            _keep_frames(other, file, seen)


def _cut(report: str) -> str:
    if len(report) <= MAX_REPORT_CHARS:
        return report
    half = MAX_REPORT_CHARS // 2
    return f"{report[:half]}\n...\n{report[-half:]}"
