"""Two children: the source answers calls in one, the tests run in the other.

Owns what crosses between them: encoded values, on two pipes that the zygote made. The source's process has
never held the tests, and can only answer; the tests take its answers for hostile.
"""

import collections
import inspect
import json
from collections.abc import Callable
from typing import Any

from agentflow.sandbox.workers.inside.channel import ChannelError, receive, send, write_all
from agentflow.sandbox.workers.inside.decoder import Opaque, builtin_error, decode, has_opaque
from agentflow.sandbox.workers.inside.encoder import Encoder, TooLargeError, to_text
from agentflow.sandbox.workers.inside.failing import failure_of, made_up
from agentflow.sandbox.workers.inside.loop import settled
from agentflow.sandbox.workers.inside.module import Module
from agentflow.sandbox.workers.inside.observing import load
from agentflow.sandbox.workers.inside.streams import Streams
from agentflow.sandbox.workers.inside.timing import Clock, TimeLimitError

_LATE_S = 0.2  # what an answer may be late before its process counts as lost
_REST_BYTES = 64 << 10
_CHANGEABLE = (list, dict, set, bytearray, collections.deque)
_NEVER_S = 1e6  # the zygote ends both processes long before


class LostError(BaseException):
    """The source gave no answer; not an `Exception`, so that tests do not take it for one."""


def serve_source(request: bytes, streams: Streams, *, asks: int, answers: int) -> None:
    """Load the source and answer calls of its functions until the tests have ended."""
    write_all(answers, b"1")  # the request is read: the tests' part may be read now
    asked = json.loads(request)
    limits = asked["limits"]
    clock = Clock(limits["call_s"], limits["total_s"])
    streams.open("", limits["stdout_bytes"])
    module = Module(asked["source"], "solution", "solution.py")
    failure = load(module, {}, clock, streams, limits["call_s"])
    missing = [name for name in asked["functions"] if name not in module.names]
    if failure is None and missing:
        failure = made_up("NameError", f"the source does not define {', '.join(missing)}")
    found = {} if failure else {name: module.names[name] for name in asked["functions"]}
    waits = [name for name, function in found.items() if inspect.iscoroutinefunction(function)]
    send(answers, to_text({"failure": failure, "waits": waits}))
    encoder = Encoder(limits["value_bytes"], module.name, crosses=True)
    while failure is None:
        ask = json.loads(receive(asks, most=1 << 30, timeout_s=_NEVER_S))
        streams.begin()
        send(answers, _answer(found[ask["name"]], ask, clock, encoder, module.file))
        streams.take()


def _answer(
    function: Callable[..., Any], ask: dict[str, Any], clock: Clock, encoder: Encoder, file: str
) -> str:
    arguments, keywords = decode(ask["arguments"])

    def call() -> str:
        value = encoder.text(settled(function(*arguments, **keywords)))
        return f'{{"value":{value},"arguments":{encoder.text([arguments, keywords])}}}'

    try:
        return clock.run(call)
    except TimeLimitError:
        return to_text({"lost": made_up("TimeoutError", "a call took too long")})
    except (MemoryError, TooLargeError) as error:
        what = "a call took more memory than there is"
        if isinstance(error, TooLargeError):
            what = "a call returned more than may cross"
        return to_text({"lost": made_up("MemoryError", what)})
    except BaseException as error:  # noqa: BLE001 - whatever the code raised
        return _raised(error, encoder, file)


def _raised(error: BaseException, encoder: Encoder, file: str) -> str:
    failure = failure_of(error, file)
    try:
        told = encoder.text(list(error.args))
    except (TooLargeError, MemoryError):
        told = to_text({"list": [failure["message"]]})
    return f'{{"failure":{to_text(failure)},"told":{told}}}'


def examine(request: bytes, streams: Streams, *, results: int, asks: int, answers: int) -> None:
    """Run the tests to their end and write one frame: whether they passed, and if not, why."""
    asked = json.loads(request)
    limits = asked["limits"]
    streams.open("", limits["stdout_bytes"])
    source = _Source(asks, answers, limits)
    failure = source.open()
    if failure is None:
        failure = _run(asked, source, streams)
    failure = source.lost or failure
    stdout = streams.take()
    send(results, to_text({"passed": failure is None, "failure": failure, "stdout": stdout}))


def _run(asked: dict[str, Any], source: "_Source", streams: Streams) -> dict[str, Any] | None:
    module = Module(asked["tests"], "tests", "tests.py")
    names = {name: source.function(target) for name, target in asked["names"].items()}
    total_s = asked["limits"]["total_s"]
    streams.begin()
    try:
        Clock(total_s, total_s).run(lambda: module.load(names))
    except TimeLimitError:
        return made_up("TimeoutError", f"the tests took more than {total_s:g} s")
    except SystemExit as error:  # unittest.main() ends so; the source cannot raise it here
        return failure_of(error, module.file) if error.code else None
    except BaseException as error:  # noqa: BLE001 - whatever the tests raised
        return failure_of(error, module.file)
    return None


class _Source:
    """The other process, as the tests see it."""

    def __init__(self, asks: int, answers: int, limits: dict[str, Any]) -> None:
        self._asks, self._answers, self._limits = asks, answers, limits
        self._encoder = Encoder(limits["value_bytes"], "tests", crosses=True)
        self._waits: list[str] = []
        self.lost: dict[str, Any] | None = None

    def open(self) -> dict[str, Any] | None:
        """Wait until the source has loaded; return why it did not."""
        try:
            answer = self._receive()
            self._waits = list(answer["waits"])
            return answer["failure"]  # type: ignore[no-any-return]
        except (ChannelError, ValueError, KeyError, TypeError, RecursionError) as error:
            return made_up("Crash", f"the source did not load: {error}")

    def function(self, name: str) -> Callable[..., Any]:
        """Return what stands for a function of the source in the tests."""

        def call(*arguments: Any, **keywords: Any) -> Any:
            return self._call(name, arguments, keywords)

        async def call_later(*arguments: Any, **keywords: Any) -> Any:
            return self._call(name, arguments, keywords)

        stand_in = call_later if name in self._waits else call
        stand_in.__name__ = stand_in.__qualname__ = name
        return stand_in

    def _call(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if self.lost is not None:
            raise LostError(self.lost["message"])
        crossing = self._encoder.text([arguments, keywords])
        if stays := has_opaque(json.loads(crossing)):
            raise TypeError(f"{name}: an argument holds a {stays}, and only plain data can cross")
        try:
            send(self._asks, f'{{"name":{to_text(name)},"arguments":{crossing}}}')
            value, error, after = self._read(self._receive())
        except (ChannelError, OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
            self.lost = made_up("Crash", f"the process of the source gave no answer: {problem}")
            raise LostError(self.lost["message"]) from None
        if self.lost is not None:
            raise LostError(self.lost["message"])
        if error is not None:
            raise error
        for old, new in zip((*arguments, *keywords.values()), after, strict=False):
            copy_back(old, new)
        return value

    def _receive(self) -> Any:
        limits = self._limits
        most = 2 * limits["value_bytes"] + _REST_BYTES
        return json.loads(receive(self._answers, most=most, timeout_s=limits["call_s"] + _LATE_S))

    def _read(self, answer: dict[str, Any]) -> tuple[Any, Exception | None, list[Any]]:
        """Return the value of an answer, or the exception; and the arguments as the call left them."""
        if "lost" in answer:
            self.lost = answer["lost"]
            return None, None, []
        if "failure" in answer:
            failure = answer["failure"]
            told = answer["told"]
            plain = has_opaque(told) is None
            names = [str(name) for name in (failure["type"], *failure["bases"])]
            error = builtin_error(names, decode(told) if plain else [str(failure["message"])])
            error.add_note(f"In the source:\n{failure['report']}")
            return None, error, []
        arguments, keywords = decode(answer["arguments"])
        return decode(answer["value"]), None, [*arguments, *keywords.values()]


def copy_back(old: Any, new: Any) -> None:
    """Give lists, dictionaries, sets and the like of the tests what the call made of them."""
    if type(old) is not type(new):
        return
    if isinstance(old, list | collections.deque):
        both = min(len(old), len(new))
        for index in range(both):
            old[index] = _merged(old[index], new[index])
        while len(old) > both:
            old.pop()
        old.extend(list(new)[both:])
    elif isinstance(old, dict):
        merged = {key: _merged(old[key], item) if key in old else item for key, item in new.items()}
        old.clear()
        old.update(merged)
    elif isinstance(old, set | bytearray):
        old.clear()
        (old.update if isinstance(old, set) else old.extend)(new)


def _merged(old: Any, new: Any) -> Any:
    """Keep the object that the tests may hold, where it can be changed to what it became."""
    if isinstance(new, Opaque):
        return old
    if type(old) is type(new) and isinstance(new, _CHANGEABLE):
        copy_back(old, new)
        return old
    return new
