"""Read the fields that all requests share, and refuse what we cannot do.

Owns how a body becomes a typed value: JSON strictly, unknown fields refused by name, fields without effect left out.
A field that would change the answer is never ignored.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from agentflow.recurrent.requests import Sampling
from agentflow.recurrent.server.refusals import Refusal, bad

MOST_SEED = 2**63
MOST_SEVERAL = 128
# They change who pays, what is kept or how a cache is used, not the answer.
HARMLESS = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "user",
    }
)
# What a client may say of fields that we do not have: what holds here anyway.
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "background": (False,),
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "suffix": ("",),
    "truncation": ("disabled",),
}


class Part(BaseModel):
    """A part of an object; null means that it was not given, as OpenAI has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {name: value for name, value in given.items() if value is not None}
        return given


def _as_list(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


Stop = Annotated[str, Field(min_length=1, max_length=1000)]


class StreamOptions(Part):
    """How a stream is told; obfuscation is padding that we never send."""

    include_usage: bool = False
    include_obfuscation: bool = False


class Body(Part):
    """What every kind of request may hold.

    Extensions of ours: `top_k`, `grammar` (GBNF or Lark), `regex`, `repeat_context`.
    """

    limit_fields: ClassVar[tuple[str, ...]] = ("max_tokens",)

    model: str
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    temperature: float = Field(default=1.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    top_k: int = Field(default=0, ge=0)
    seed: int | None = Field(default=None, ge=-MOST_SEED, lt=MOST_SEED)
    stop: Annotated[list[Stop], BeforeValidator(_as_list), Field(max_length=4)] = []
    grammar: str | None = Field(default=None, min_length=1)
    regex: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _has_one_constraint(self) -> Self:
        if self.grammar is not None and self.regex is not None:
            raise ValueError("give `grammar` or `regex`, not both")
        return self

    def sampling(self, index: int) -> Sampling:
        """Return how the reply of that number is sampled: with one seed, each differs and all can be had again."""
        seed = self.seed
        if seed is not None and index:
            seed = (seed + index) % MOST_SEED
        return Sampling(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, seed=seed)


B = TypeVar("B", bound=Body)


def read(kind: type[B], data: bytes) -> B:
    """Return a request's body.

    Raises:
        Refusal: It is no JSON, or a field is wrong; the message names it.
    """
    try:
        found = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise bad(None, f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise bad(None, "the body is not a JSON object")
    known = kind.model_fields
    given = {name: value for name, value in found.items() if not _is_idle(name, value, known)}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise _refusal(error) from None


def _is_idle(name: str, value: object, known: Mapping[str, object]) -> bool:
    if name in known:
        return value is None
    return value is None or name in HARMLESS or value in NEUTRAL.get(name, ())


def _refusal(error: ValidationError) -> Refusal:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = _place(first["loc"])
    if first["type"] == "extra_forbidden":
        return bad(
            field, "this server does not know or support this field", "unsupported_parameter"
        )
    problem = first["msg"].removeprefix("Value error, ")
    return bad(field or None, problem, "missing" if first["type"] == "missing" else "invalid_value")


def _place(location: tuple[int | str, ...]) -> str:
    """Return where a field is, as `messages[0].content`."""
    place = ""
    for step in location:
        if isinstance(step, int):
            place += f"[{step}]"
        else:
            place += f".{step}" if place else step
    return place
