"""Put a reply together from the pieces that an engine tells.

Owns what text, calls and probabilities a reply has, whole or as it grows. Knows no API's envelope.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agentflow.recurrent.requests import Outcome, Piece
from agentflow.recurrent.server.tools import Tool
from agentflow.recurrent.text.tokenizer import Tokenizer
from agentflow.recurrent.text.tool_calls import ToolCallStream

LEAST_LOGPROB = -9999.0  # JSON has no minus infinity; OpenAI says the same
CallText = tuple[str, str, str]  # id, name, arguments as JSON


@dataclass(frozen=True)
class News:
    """What a piece has added."""

    text: str = ""
    calls: tuple[CallText, ...] = ()
    logprobs: tuple[dict[str, Any], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text or self.calls or self.logprobs)


@dataclass
class Draft:
    """One reply; with `tools` its calls are taken out of the text."""

    tokenizer: Tokenizer
    tools: Sequence[Tool] = ()
    text: str = ""
    calls: list[CallText] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        schemas = {tool.function.name: tool.function.parameters for tool in self.tools}
        self._reader = ToolCallStream(schemas) if self.tools else None

    def take(self, piece: Piece) -> News:
        """Add a piece."""
        text, calls = (piece.text, []) if self._reader is None else self._reader.push(piece.text)
        is_end = piece.token in self.tokenizer.end_tokens
        told = () if piece.logprob is None or is_end else (token_logprobs(self.tokenizer, piece),)
        return self._grown(text, calls, told)

    def end(self, outcome: Outcome) -> News:
        """Add what is left when all pieces have been taken."""
        self.outcome = outcome
        text, calls = ("", []) if self._reader is None else self._reader.finish()
        return self._grown(text, calls, ())

    @property
    def finish(self) -> str:
        """Why the reply is over, in the words of Chat Completions."""
        assert self.outcome is not None
        return "tool_calls" if self.calls else self.outcome.finish

    def _grown(
        self,
        text: str,
        calls: Sequence[tuple[str, dict[str, Any]]],
        logprobs: tuple[dict[str, Any], ...],
    ) -> News:
        written = tuple(
            (f"call_{secrets.token_hex(12)}", name, json.dumps(arguments, ensure_ascii=False))
            for name, arguments in calls
        )
        self.text += text
        self.calls.extend(written)
        self.logprobs.extend(logprobs)
        return News(text, written, logprobs)


def token_logprobs(tokenizer: Tokenizer, piece: Piece) -> dict[str, Any]:
    """Return a token and its likeliest alternatives as Chat Completions has them."""
    assert piece.logprob is not None
    top = [_told(tokenizer, one.token, one.logprob) for one in piece.top]
    return _told(tokenizer, piece.token, piece.logprob) | {"top_logprobs": top}


def usage_of(outcomes: Sequence[Outcome]) -> tuple[int, int, int]:
    """Return the tokens of a prompt, those of them that were not read again, and those of all replies.

    The replies share one prompt: what the first of them has read is new, though the others found it there.
    """
    cached = min(outcome.cached_tokens for outcome in outcomes)
    return outcomes[0].prompt_tokens, cached, sum(len(outcome.tokens) for outcome in outcomes)


def _told(tokenizer: Tokenizer, token: int, logprob: float) -> dict[str, Any]:
    data = bytes(tokenizer.token_bytes(token))
    return {
        "token": data.decode(errors="replace"),
        "logprob": max(logprob, LEAST_LOGPROB),
        "bytes": list(data),
    }
