"""Read what a chat client sends.

Owns what a request to Chat Completions may say here. A field that would change the answer is refused by name; how a flow
asks its models is the flow's own affair, so what a client says of sampling has no effect, and the answer tells so.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from agentflow.interop.serving.refusals import bad
from agentflow.models.protocol import Message

MOST_MESSAGES = 2000
# They change who pays, what is kept or how a cache is used, not the answer.
HARMLESS = frozenset(
    {
        *("metadata", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention"),
        *("safety_identifier", "service_tier", "store", "user", "tool_choice", "verbosity"),
    }
)
SAMPLING = frozenset(
    {
        *("frequency_penalty", "logit_bias", "max_completion_tokens", "max_tokens"),
        *("presence_penalty", "reasoning_effort", "seed", "stop", "temperature", "top_p"),
    }
)
# What a client may say of what we do not have: what holds here anyway.
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "functions": ([],),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "top_logprobs": (0,),
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["text", "input_text", "refusal"]
    text: str = ""


class _Turn(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None

    def message(self) -> Message:
        content = self.content
        text = "".join(part.text for part in content) if isinstance(content, list) else content
        return Message(role="system" if self.role == "developer" else self.role, text=text or "")


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    include_usage: bool | None = None


class ChatBody(BaseModel):
    """What a request says; `ignored` are the fields that have no effect."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    messages: list[_Turn] = Field(min_length=1, max_length=MOST_MESSAGES)
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    ignored: tuple[str, ...] = ()

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with what was used."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def conversation(self) -> list[Message]:
        """Return the messages; the last one is the user's.

        Raises:
            Refusal: It is not.
        """
        messages = [turn.message() for turn in self.messages]
        if messages[-1].role != "user" or not messages[-1].text.strip():
            raise bad("messages", "the last one must be a user's, with text")
        return messages


def read_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        Refusal: It is none.
    """
    try:
        found = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise bad(None, f"the body is no JSON: {error}", "invalid_json") from error
    if not isinstance(found, dict):
        raise bad(None, "the body must be a JSON object", "invalid_json")
    return found


def read_chat(data: bytes) -> ChatBody:
    """Return what a chat client says.

    Raises:
        Refusal: It is not what may be said here.
    """
    given = {name: value for name, value in read_object(data).items() if value is not None}
    for name, allowed in NEUTRAL.items():
        if name in given and not any(_same(given[name], one) for one in allowed):
            raise bad(
                name, "this has no meaning for a flow, which has its own", "unsupported_value"
            )
    rest = {name: value for name, value in given.items() if name not in NEUTRAL}
    ignored = tuple(sorted(SAMPLING & rest.keys()))
    said = {name: value for name, value in rest.items() if name not in SAMPLING | HARMLESS}
    if "ignored" in said:
        raise bad("ignored", "there is no such field")
    try:
        return ChatBody.model_validate(said | {"ignored": ignored})
    except ValidationError as error:
        raise wrong(error) from error


def wrong(error: ValidationError) -> Exception:
    """Return the refusal of a body by its first problem; the input is not repeated."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])[:100]
    return bad(field, first["msg"])


def _same(given: object, allowed: object) -> bool:
    return type(given) is type(allowed) and given == allowed
