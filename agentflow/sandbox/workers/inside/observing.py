"""One child: load a module, evaluate calls in it, write a frame about each.

Owns what happens to one call: its arguments before and after, its end, what it printed. A frame is
written before the next call begins, so that a child that has to be killed loses one call only.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from agentflow.sandbox.workers.inside.channel import send
from agentflow.sandbox.workers.inside.encoder import Encoder, TooLargeError, to_text
from agentflow.sandbox.workers.inside.failing import failure_of, made_up
from agentflow.sandbox.workers.inside.loop import settled
from agentflow.sandbox.workers.inside.module import Module
from agentflow.sandbox.workers.inside.streams import Streams
from agentflow.sandbox.workers.inside.timing import Clock, TimeLimitError

RECURSION = sys.getrecursionlimit()
_ATOMS = (int, str, float, bool, type(None), bytes)


def observe(request: bytes, channel: int, streams: Streams) -> None:
    """Do what the host asked for; see `Trial` in protocol.py."""
    trial = json.loads(request)
    limits = trial["limits"]
    clock = Clock(limits["call_s"], limits["total_s"])
    streams.open(trial["stdin"], limits["stdout_bytes"])
    module = Module(trial["source"], "solution", "solution.py")
    failure = load(module, {}, clock, streams, limits["call_s"])
    send(channel, to_text({"failure": failure}))
    if failure is not None:
        return
    observer = _Observer(module, clock, streams, limits["value_bytes"])
    for call in trial["calls"]:
        send(channel, observer.observe(call))


def load(
    module: Module, names: dict[str, Any], clock: Clock, streams: Streams, limit_s: float
) -> dict[str, Any] | None:
    """Load a module within the time of one call; return why it did not load."""
    streams.begin()
    try:
        clock.run(lambda: module.load(names))
    except TimeLimitError:
        return made_up("TimeoutError", f"loading took more than {limit_s:g} s")
    except MemoryError:
        return made_up("MemoryError", "loading took more memory than there is")
    except BaseException as error:  # noqa: BLE001 - whatever the code raised
        sys.setrecursionlimit(RECURSION)
        return failure_of(error, module.file)
    finally:
        streams.take()
    return None


class _Observer:
    """Watches the calls of one module."""

    def __init__(self, module: Module, clock: Clock, streams: Streams, value_bytes: int) -> None:
        self._module, self._clock, self._streams = module, clock, streams
        self._values = Encoder(value_bytes, module.name)
        self._looks = Encoder(value_bytes, module.name, consumes=False)

    def observe(self, call: str) -> str:
        """Evaluate one call; return its observation as JSON text."""
        self._streams.begin()
        self._module.begin_call()
        parts: dict[str, str]
        try:
            parts = self._clock.run(lambda: self._evaluate(call))
        except TimeLimitError:
            parts = {"outcome": '"timeout"'}
        except TooLargeError:
            parts = {"outcome": '"too_large"'}
        except MemoryError:
            parts = {"outcome": '"memory"'}
        printed = self._streams.take()
        if printed:
            parts["stdout"] = to_text(printed)
        return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"

    def _evaluate(self, call: str) -> dict[str, str]:
        look: Callable[[], str | None] = lambda: None  # noqa: E731
        before: str | None = None
        try:
            function, arguments, keywords = self._module.prepare(call)
            if not all(map(_is_atom, (*arguments, *keywords.values()))):
                look = lambda: self._looks.text([arguments, keywords])  # noqa: E731
                before = self._before(look)
            value = settled(function(*arguments, **keywords))
            sys.setrecursionlimit(RECURSION)
            parts = {"outcome": '"returned"', "value": self._values.text(value)}
        except (TimeLimitError, TooLargeError, MemoryError):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the code raised
            sys.setrecursionlimit(RECURSION)
            failure = failure_of(error, self._module.file)
            parts = {"outcome": '"raised"', "failure": to_text(failure)}
        after = None if before is None else look()
        if after is not None and after != before:
            parts["arguments"] = after
        return parts

    def _before(self, look: Callable[[], str | None]) -> str | None:
        try:
            return look()
        except TooLargeError:
            return None  # so large that changes are not looked for


def _is_atom(value: Any) -> bool:
    """Return whether a value cannot change; by identity, as `in` would ask a metaclass."""
    kind = type(value)
    return any(kind is atom for atom in _ATOMS)
