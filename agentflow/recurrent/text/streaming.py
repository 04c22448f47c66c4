"""Tell text while tokens arrive.

Owns what can be told already: whole characters that no stop text can begin in. Knows no model.
The pieces joined are what decoding all tokens at once gives, up to the first stop text.
"""

import codecs
from typing import Protocol

from agentflow.recurrent.text.tokenizer import Tokenizer


class TextStream:
    """The text of one generation.

    The stop text that is complete first ends it, whatever tokens it came in. Special tokens have no text.
    """

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...] = ()) -> None:
        if "" in stop:
            raise ValueError("a stop text must not be empty")
        self._stop = stop
        self._characters: _Characters = (
            _ByteCharacters(tokenizer) if tokenizer.is_byte_level else _WindowCharacters(tokenizer)
        )
        self._told: list[str] = []
        self._held = ""
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether a stop text was met; later tokens are not told."""
        return self._is_stopped

    @property
    def text(self) -> str:
        """All that was told."""
        return "".join(self._told)

    def push(self, token: int) -> str:
        """Return what can be told with one more token; may be empty."""
        return "" if self._is_stopped else self._tell(self._characters.push(token))

    def finish(self) -> str:
        """Return what was held back; half a character becomes U+FFFD."""
        if self._is_stopped:
            return ""
        rest = self._tell(self._characters.finish())
        held, self._held = self._held, ""
        self._told.append(held)
        return rest + held

    def _tell(self, new: str) -> str:
        text = self._held + new
        end = self._end(text)
        if end is not None:
            self._is_stopped, self._held = True, ""
        else:
            end = len(text) - self._doubtful(text)
            self._held = text[end:]
        self._told.append(text[:end])
        return text[:end]

    def _end(self, text: str) -> int | None:
        """Return where the stop text that is complete first begins."""
        found = [
            (text.find(stop) + len(stop), text.find(stop)) for stop in self._stop if stop in text
        ]
        return min(found)[1] if found else None

    def _doubtful(self, text: str) -> int:
        """Return how many characters at the end may be the beginning of a stop text."""
        return max(
            (
                length
                for stop in self._stop
                for length in range(1, min(len(stop), len(text) + 1))
                if text.endswith(stop[:length])
            ),
            default=0,
        )


class _Characters(Protocol):
    """Characters of tokens, told once no later token can change them."""

    def push(self, token: int) -> str:
        """Return the characters that are certain now."""
        ...

    def finish(self) -> str:
        """Return the rest."""
        ...


class _ByteCharacters:
    """For tokenizers whose tokens are bytes, independent of their neighbours."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)


class _WindowCharacters:
    """For all other tokenizers: decodes a few tokens again, since some write a token by its neighbours.

    A run of byte tokens is held until it ends: one wrong byte makes replacement characters of the whole run.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._before: list[int] = []  # told already; what follows is decoded after them
        self._new: list[int] = []

    def push(self, token: int) -> str:
        if not self._tokenizer.token_bytes(token):
            return ""  # special or unknown: decoding all at once drops them too
        self._new.append(token)
        return "" if self._tokenizer.is_byte(token) else self._advance(is_last=False)

    def finish(self) -> str:
        return self._advance(is_last=True)

    def _advance(self, *, is_last: bool) -> str:
        told = self._tokenizer.decode(self._before)
        text = self._tokenizer.decode(self._before + self._new)
        if not is_last and text.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        self._before, self._new = self._new or self._before, []
        return text[len(told) :]
