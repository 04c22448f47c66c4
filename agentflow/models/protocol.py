"""What a model is: one request in, one reply out, text streamed on the way.

Owns the values that cross between flows, the engine and any provider. Knows no provider.
A provider makes exactly one attempt and raises a typed `ModelError`: retries, permits,
budgets and the journal belong to the caller.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tool_calls", "refusal"]
OnText = Callable[[str], None]


class Value(BaseModel):
    """Base of the immutable values here: unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _writable(value: Any) -> Any:
    """Return a model's text, or data of such texts, without half characters.

    Half of a surrogate pair is valid JSON from a server, and no text that can be written anywhere.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    elif isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    elif isinstance(value, list):
        return [_writable(item) for item in value]
    return value


class ToolCall(Value):
    """A model's wish to call a tool; `id` pairs it with the answer."""

    id: str
    name: Annotated[str, AfterValidator(_writable)]
    arguments: Annotated[dict[str, Any], AfterValidator(_writable)]


class Message(Value):
    """One turn. A tool's answer has role `tool` and the `tool_call_id` it answers."""

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class ToolSpec(Value):
    """A tool as a model sees it; `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Request(Value):
    """One call of a model.

    `output_schema` (JSON schema) asks for a JSON reply of that shape; `grammar` (GBNF) constrains
    the text itself and is refused by providers that cannot. None means: the model's own default.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    output_schema: dict[str, Any] | None = None
    grammar: str | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0)
    seed: int | None = None
    stop: tuple[str, ...] = ()


class Usage(Value):
    """Tokens of one or more calls; `cached_tokens` is the part of `input_tokens` served from a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


class WarmUp(Value):
    """A request of its own that read what several requests share before they went out.

    `usage` is what it took, `requests` how many were waiting; `problem` says why it failed.
    """

    requests: int
    usage: Usage = Usage()
    problem: str = ""


class Reply(Value):
    """What came back. `model` is the name the server reported, `cost_usd` None when no price is known.

    `state` names what a recurrent engine has kept after the reply. `warm_up` tells of a request that went ahead
    of this one and its siblings; `usage` and `cost_usd` hold its share, so that it is counted once.
    """

    text: Annotated[str, AfterValidator(_writable)] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    usage: Usage = Usage()
    cost_usd: float | None = None
    model: str = ""
    state: str | None = None
    warm_up: WarmUp | None = None


class Price(Value):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)

    def cost_usd(self, usage: Usage) -> float:
        """Return what `usage` costs; cached input is billed at its own price when there is one."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = usage.input_tokens - usage.cached_tokens
        per_million = (
            fresh * self.input + usage.cached_tokens * cached + usage.output_tokens * self.output
        )
        return per_million / 1e6


class ModelSpec(Value):
    """Which model, where, and how gently: what `model:` in a task file says.

    `api_key_env` names an environment variable; a key itself is never part of a spec. `warm_up`: whether what
    several requests of one moment share is read ahead of them; None: at servers of the local network.
    """

    provider: str
    name: str
    base_url: str | None = None
    api: Literal["responses", "chat"] | None = None
    api_key_env: str | None = None
    temperature: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = None
    timeout_s: float = Field(default=120.0, gt=0)
    retries: int = Field(default=5, ge=0)
    concurrency: int | None = Field(default=None, ge=1)
    requests_per_minute: float | None = Field(default=None, gt=0)
    price: Price | None = None
    warm_up: bool | None = None

    @field_validator("base_url")
    @classmethod
    def _holds_no_login(cls, address: str | None) -> str | None:
        if address is not None and "@" in urlsplit(address).netloc:
            raise ValueError(
                "an address is recorded, so it must not hold a user name or password; put the key "
                "into an environment variable and name that: api_key_env"
            )
        return address

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}"

    @property
    def is_local(self) -> bool:
        """Whether the model runs in this process.

        Then it goes on from a begun reply, takes a grammar and a seed, and always gives its first
        choice unless a temperature is asked for. A hosted one samples by itself and may refuse both.
        """
        return self.provider in ("gguf", "recurrent")


class Model(Protocol):
    """A model that answers requests.

    `concurrency` is how many requests may be under way at once (None: no limit of ours).
    """

    spec: ModelSpec
    concurrency: int | None

    @property
    def price(self) -> Price | None:
        """US dollars per million tokens; None when unknown, never a made-up zero."""
        ...

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        """Make one attempt, calling `on_text` with each piece of text as it arrives.

        Raises:
            ModelError: Anything that went wrong, typed; `retryable` says whether to repeat.
        """
        ...

    async def aclose(self) -> None:
        """Free connections, processes and memory."""
        ...
