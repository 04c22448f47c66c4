"""Read a prefix once before several requests that share it.

Owns when that is worth a request of its own: several requests that begin alike arrive together at a server that learns
a prefix only from requests that have finished (vLLM and SGLang with recurrent layers learn where prompts part from
the second one on). One request for a single token goes ahead with what they share, and the others wait for it. Once a
prefix, whatever comes; a warm-up that fails holds up nobody. Knows no API, budget or journal: what a warm-up
took is told in one of the replies.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

import anyio

from agentflow.errors import ModelError
from agentflow.models.protocol import (
    Message,
    Model,
    ModelSpec,
    OnText,
    Price,
    Reply,
    Request,
    Usage,
    WarmUp,
)

LEAST_CHARS = 2_000  # about 500 tokens; servers keep states at multiples of that many
GATHER_S = 0.005  # requests of one fan-out are made within one turn of the event loop
MOST_PREFIXES = 64
LOCAL_ENDINGS = ("localhost", ".local", ".internal", ".lan")


class WarmableModel(Model, Protocol):
    """A model whose server can be made to read a prefix."""

    async def read_prefix(self, request: Request) -> Usage:
        """Have the messages read, with a reply of one token; return what that took.

        Raises:
            ModelError: It failed.
        """
        ...


def warms_up(spec: ModelSpec) -> bool:
    """Return whether prefixes are read ahead: as `warm_up` says, else where only time is paid for it.

    That is a server at a loopback or private address, or one whose name is of a local network.
    """
    if spec.warm_up is not None or spec.base_url is None:
        return bool(spec.warm_up)
    host = urlsplit(spec.base_url).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(LOCAL_ENDINGS)


def may_warm_up(spec: ModelSpec, request: Request) -> bool:
    """Return whether a request may come with a warm-up, so that a budget must have room for two readings."""
    return warms_up(spec) and len(_text(request)) >= LEAST_CHARS


class _FanOut:
    """Requests that begin alike; `shared` is how many characters all of them have in common."""

    def __init__(self, text: str) -> None:
        self.text, self.shared = text, len(text)
        self.requests = 1
        self.is_over = anyio.Event()
        self.is_left = False  # who led it was cancelled
        self.result: WarmUp | None = None

    def join(self, text: str) -> None:
        self.requests += 1
        self.shared = _common(self.text[: self.shared], text)

    def claim(self) -> WarmUp | None:
        """Return the warm-up to whoever asks first: one of the replies has to tell of it."""
        result, self.result = self.result, None
        return result


class WarmingModel:
    """A model that reads shared prefixes ahead; for the caller a model like any other."""

    def __init__(self, model: WarmableModel) -> None:
        self.spec, self.concurrency = model.spec, model.concurrency
        self._model = model
        self._gathering: dict[str, _FanOut] = {}
        self._read: OrderedDict[str, int] = OrderedDict()  # digests of prefixes, and their lengths
        self._is_off = False

    @property
    def price(self) -> Price | None:
        """The other model's price."""
        return self._model.price

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        """Make one attempt, after the prefix that it shares with others of this moment has been read.

        Raises:
            ModelError: The attempt failed.
        """
        fan_out = await self._prepared(request)
        reply = await self._model.complete(request, on_text)
        warm_up = None if fan_out is None else fan_out.claim()
        return reply if warm_up is None else _with(reply, warm_up, self.price)

    async def aclose(self) -> None:
        """Close the other model."""
        await self._model.aclose()

    async def _prepared(self, request: Request) -> _FanOut | None:
        """Return when the request may go: with its fan-out, or None where there is nothing to share."""
        text = _text(request)
        while not self._is_off:
            least = self._known(text) + LEAST_CHARS
            if len(text) < least:
                break
            head = _digest(text[:least])
            fan_out = self._gathering.get(head)
            if fan_out is None:
                return await self._led(request, text, head)
            fan_out.join(text)
            await fan_out.is_over.wait()
            if not fan_out.is_left:
                return fan_out
        return None

    async def _led(self, request: Request, text: str, head: str) -> _FanOut:
        fan_out = self._gathering[head] = _FanOut(text)
        try:
            await anyio.sleep(GATHER_S)
            if fan_out.requests > 1:
                await self._warm(request, fan_out)
        except BaseException:
            fan_out.is_left = True
            raise
        finally:
            del self._gathering[head]
            fan_out.is_over.set()
        return fan_out

    async def _warm(self, request: Request, fan_out: _FanOut) -> None:
        shared, requests = fan_out.shared, fan_out.requests
        messages = _whole_turns(request, list(_beginning(request, shared)))
        if not messages:
            return
        ahead = Request(messages=tuple(messages), tools=request.tools, max_tokens=1)
        try:
            usage = await self._model.read_prefix(ahead)
        except ModelError as error:
            # The requests themselves will tell whether the server is there; this is not asked again.
            self._is_off = not error.retryable
            fan_out.result = WarmUp(requests=requests, problem=error.problem)
            return
        fan_out.result = WarmUp(requests=requests, usage=usage)
        self._read[_digest(fan_out.text[:shared])] = shared
        if len(self._read) > MOST_PREFIXES:
            self._read.popitem(last=False)

    def _known(self, text: str) -> int:
        """Return how much of the text has been read ahead."""
        lengths = sorted({size for size in self._read.values() if size <= len(text)}, reverse=True)
        for size in lengths:
            digest = _digest(text[:size])
            if digest in self._read:
                self._read.move_to_end(digest)
                return size
        return 0


def _with(reply: Reply, warm_up: WarmUp, price: Price | None) -> Reply:
    usage = reply.usage + warm_up.usage
    cost = None if price is None or reply.cost_usd is None else price.cost_usd(usage)
    return reply.model_copy(update={"usage": usage, "cost_usd": cost, "warm_up": warm_up})


def _text(request: Request) -> str:
    """Return what a server reads, in its order: tools and messages."""
    tools = [tool.model_dump(mode="json") for tool in request.tools]
    return json.dumps(tools) + "".join(map(_turn, request.messages))


def _turn(message: Message) -> str:
    return _head(message) + message.text


def _head(message: Message) -> str:
    calls = [call.model_dump(mode="json") for call in message.tool_calls]
    return f"\0{message.role}\0{json.dumps(calls)}\0{message.tool_call_id}\0"


def _beginning(request: Request, chars: int) -> Iterator[Message]:
    """Yield the messages within the first characters of `_text`; what a person says may be cut short."""
    left = chars - len(_text(request.model_copy(update={"messages": ()})))
    for message in request.messages:
        whole = len(_turn(message))
        if whole > left:
            room = left - len(_head(message))
            if room > 0 and message.role in ("system", "user"):
                yield message.model_copy(update={"text": message.text[:room]})
            return
        left -= whole
        yield message


def _whole_turns(request: Request, messages: list[Message]) -> list[Message]:
    """Leave out calls of tools of which not all answers are there: servers refuse them."""
    while messages and [turn.role for turn in request.messages[len(messages) :]][:1] == ["tool"]:
        messages.pop()
    return messages


def _common(one: str, other: str) -> int:
    """Return how many characters two texts share from the beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
