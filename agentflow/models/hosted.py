"""What every hosted provider needs: an address, a key, and a reply put together from a stream.

Owns where a server is and which key it may see, and the checks that turn a finished stream into a
`Reply`. Knows no API. A key goes only to its provider's own host, or where the specification names it.
"""

import json
import os
from collections.abc import AsyncIterable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

from agentflow.errors import CredentialsError
from agentflow.models.failures import Failures
from agentflow.models.json_form import JsonForm
from agentflow.models.prices import price_of
from agentflow.models.protocol import Finish, ModelSpec, OnText, Reply, ToolCall, Usage

DEFAULT_CONCURRENCY = 8
PLACEHOLDER_KEY = "none"  # the clients insist on a key even where the server wants none


@dataclass(frozen=True)
class Host:
    """A server and the key for it. `spec` has the address the client really uses."""

    spec: ModelSpec
    key: str = field(repr=False)
    failures: Failures = field(repr=False)


def find_host(spec: ModelSpec, *, key_env: str, url_env: str) -> Host:
    """Return where `spec` is served and the key for it.

    Args:
        spec: Its `base_url` and `api_key_env` win over the provider's own variables.
        key_env: The provider's usual variable for a key.
        url_env: The provider's usual variable for another address; it goes with `key_env`.

    Raises:
        CredentialsError: The variable is not set.
    """
    variable = spec.api_key_env or (None if spec.base_url else key_env)
    key = PLACEHOLDER_KEY if variable is None else os.environ.get(variable, "").strip()
    if not key:
        problem = f"no key: set {variable} (export {variable}=...), or name another variable in `api_key_env`"
        raise CredentialsError(model=str(spec), problem=problem)
    spec = spec.model_copy(update={"base_url": spec.base_url or os.environ.get(url_env) or None})
    return Host(spec=spec, key=key, failures=Failures(str(spec), key=key, key_env=variable))


class View(BaseModel):
    """The part of a client's event that is read here; anything else in it is passed over."""

    model_config = ConfigDict(from_attributes=True, extra="ignore", frozen=True)


# What a server of `agentflow serve` adds to an answer: the name of the state that it has kept.
StateHandle = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")] | None


@dataclass
class CallDraft:
    """A tool call whose arguments are still arriving."""

    id: str
    name: str
    arguments: str = ""


@dataclass
class Draft:
    """What a stream has said so far; `finish` and `usage` stay None until it says them."""

    text: str = ""
    refusal: str = ""
    calls: list[CallDraft] = field(default_factory=list)
    finish: Finish | None = None
    usage: Usage | None = None
    model: str = ""
    state: str | None = None


async def read_stream(
    stream: AsyncIterable[object],
    take: Callable[[object], str],
    on_text: OnText,
    *,
    typed_errors: Callable[[], AbstractContextManager[None]],
) -> None:
    """Give each event to `take` and the text it returns to `on_text`, whose own errors pass untouched."""
    events = aiter(stream)
    while True:
        with typed_errors():
            event = await anext(events, None)
            text = "" if event is None else take(event)
        if event is None:
            return
        if text:
            on_text(text)


def finish_reply(draft: Draft, host: Host, form: JsonForm | None) -> Reply:
    """Return the reply that `draft` has become.

    Raises:
        MalformedReplyError: It is cut off, empty, or has arguments that are not a JSON object.
        ModelRequestError: It is empty for want of `max_tokens`, or its tokens were not counted.
    """
    failures = host.failures
    if draft.finish is None:
        raise failures.malformed("the stream ended without saying that the reply is finished")
    calls = tuple(
        _tool_call(call, place, draft, failures) for place, call in enumerate(draft.calls)
    )
    finish = _finish(draft.finish, draft, has_calls=bool(calls))
    text = draft.refusal or draft.text
    if not text.strip() and not calls and finish == "length":
        raise failures.unsupported(
            "the reply is empty: all of `max_tokens` went before any text; raise it"
        )
    if not text.strip() and not calls and finish != "refusal":
        raise failures.malformed("the reply is empty")
    if draft.usage is None:
        # A guess would be a made-up number in budgets and reports.
        raise failures.unsupported(
            "the server does not report token usage, so no budget could be kept"
        )
    price = price_of(host.spec)
    return Reply(
        text=text if form is None or finish == "refusal" else form.unwrap(text),
        tool_calls=calls,
        finish=finish,
        usage=draft.usage,
        cost_usd=None if price is None else price.cost_usd(draft.usage),
        model=draft.model,
        state=draft.state,
    )


def _finish(said: Finish, draft: Draft, *, has_calls: bool) -> Finish:
    if draft.refusal:
        return "refusal"
    if said in ("stop", "tool_calls"):  # servers mix these two up
        return "tool_calls" if has_calls else "stop"
    return said


def _tool_call(call: CallDraft, place: int, draft: Draft, failures: Failures) -> ToolCall:
    if not call.name:
        raise failures.malformed("a tool call has no name")
    try:
        arguments: Any = json.loads(call.arguments or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        reason = " (cut off by `max_tokens`)" if draft.finish == "length" else ""
        raise failures.malformed(
            f"the arguments of tool {call.name!r} are not a JSON object{reason}"
        )
    return ToolCall(id=call.id or f"call_{place}", name=call.name, arguments=arguments)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
