"""What an engine is asked and what it answers.

Owns the values of one generation. Knows neither torch nor any model, so clients may import it freely.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from agentflow.recurrent.text.grammar import Grammar

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen; temperature 0 takes the likeliest one.

    `top_k` 0 and `top_p` 1 leave all tokens in. The same seed gives the same tokens for the same logits,
    whatever else is in the batch.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Token ids, and the positions at which others may branch off.

    `cuts` are numbers of tokens, ascending, each at most `len(tokens)`: the ends of messages. The engine keeps a
    state at each; `len(tokens)` itself need not be named.
    """

    tokens: tuple[int, ...]
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """One generation.

    `stop` are texts that end it and are not part of it; `stop_tokens` end it too and are read into the state.
    `logprobs`: how many alternatives are told with each token; None tells no probabilities, 0 only the token's own.
    `pins` keeps the state after the reply from being evicted until `Engine.unpin`.
    """

    prompt: Prompt
    max_tokens: int
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    stop_tokens: frozenset[int] = frozenset()
    grammar: "Grammar | None" = None
    logprobs: int | None = None
    pins: bool = False


@dataclass(frozen=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability."""

    token: int
    logprob: float


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A token that was generated, and the text that can be told now.

    The text may be empty (half a character, or what may be the beginning of a stop text) and may hold that of tokens
    before. The pieces' texts joined are the text of the outcome.
    """

    token: int
    text: str
    logprob: float | None = None
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a generation came to.

    `cached_tokens`: how many of the prompt's tokens were not read again since a state of them was there.
    `handle`: names the state after the reply; None when it was cancelled.
    `tokens` are all generated ids, a stop token included.
    """

    tokens: tuple[int, ...]
    text: str
    finish: Finish
    prompt_tokens: int
    cached_tokens: int
    handle: str | None
    queued_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


@dataclass
class Totals:
    """What an engine has done since it started; read by `/metrics` and by benchmarks."""

    requests: int = 0
    cancelled: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prefilled_tokens: int = 0
    generated_tokens: int = 0
    decode_steps: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    fork_s: float = 0.0
    waiting: int = 0
    running: int = 0
    snapshots: int = 0
    snapshot_bytes: int = 0
    evicted: int = 0
    spilled: int = 0
    pinned: int = 0
    notes: tuple[str, ...] = field(default=())
