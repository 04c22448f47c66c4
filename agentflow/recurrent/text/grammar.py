"""Keep what is generated inside a grammar.

Owns the compiled grammars of one tokenizer and the masks they give. Knows no sampling. The work is llguidance's.
Grammars are compiled once a content; where a generation stands in one is a matcher, which copies in microseconds.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.gbnf_to_lark import gbnf_to_lark
from torch import Tensor

from agentflow.recurrent.text.bounded import Bounded
from agentflow.recurrent.text.tokenizer import Tokenizer

_CACHED, _CACHED_BYTES = 256, 16 * 2**20
_MOST_CHARACTERS = 512 * 2**10
_MOST_MESSAGE = 300
# Free space in JSON, but not endless: a small model likes to go on with spaces until its tokens are used up.
_JSON_SPACE = {"whitespace_flexible": True, "whitespace_pattern": r"[\x20\x0A\x0D\x09]{0,32}"}


class Grammars:
    """Compiles grammars for one tokenizer. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._vocabulary: LLTokenizer | None = None
        self._compiled: Bounded[tuple[str, str], Grammar] = Bounded(
            most=_CACHED, most_bytes=_CACHED_BYTES
        )

    def json_schema(self, schema: dict[str, Any]) -> "Grammar":
        """Return the grammar of the JSON documents that a schema accepts.

        Raises:
            ValueError: It is no schema, or uses a keyword that cannot be kept while generating.
        """
        try:
            text = json.dumps(schema, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"JSON schema: {error}") from error
        read = LLMatcher.grammar_from_json_schema
        # A schema may say itself what space it wants, by llguidance's own keyword.
        defaults = None if "x-guidance" in schema else _JSON_SPACE
        return self._grammar("JSON schema", text, lambda: read(text, defaults=defaults))

    def regex(self, pattern: str) -> "Grammar":
        """Return the grammar of a regular expression that the whole reply matches (Rust's, without look-around).

        Raises:
            ValueError: It is none.
        """
        return self._grammar("regex", pattern, lambda: LLMatcher.grammar_from_regex(pattern))

    def lark(self, text: str) -> "Grammar":
        """Return a grammar in the form of Lark, as llguidance reads it; `start` is where it begins.

        Raises:
            ValueError: It is none.
        """
        return self._grammar("Lark grammar", text, lambda: LLMatcher.grammar_from_lark(text))

    def gbnf(self, text: str) -> "Grammar":
        """Return a grammar in llama.cpp's form; `root` is where it begins.

        Raises:
            ValueError: It is none.
        """
        return self._grammar(
            "GBNF grammar", text, lambda: LLMatcher.grammar_from_lark(gbnf_to_lark(text))
        )

    def _grammar(self, kind: str, text: str, read: Callable[[], str]) -> "Grammar":
        found = self._compiled.get((kind, text))
        if found is None:
            found = self._compile(kind, text, read)
            self._compiled.put((kind, text), found, size_bytes=4 * len(text) + 4096)
        return found

    def _compile(self, kind: str, text: str, read: Callable[[], str]) -> "Grammar":
        if len(text) > _MOST_CHARACTERS:
            raise ValueError(
                f"{kind}: has {len(text)} characters; at most {_MOST_CHARACTERS} are read"
            )
        vocabulary = self._words()
        try:
            compiled = read()
        except Exception as error:  # the library has no base class of its errors
            raise ValueError(f"{kind}: {_line(str(error))}") from error
        is_wrong, messages = LLMatcher.validate_grammar_with_warnings(compiled, vocabulary)
        if is_wrong:
            raise ValueError(f"{kind}: {_line(messages[0])}")
        start = LLMatcher(vocabulary, compiled, log_level=0)
        if start.is_error():
            raise ValueError(f"{kind}: {_line(start.get_error())}")
        return Grammar(start, self._tokenizer.end_tokens)

    def _words(self) -> LLTokenizer:
        """Return the tokenizer as the library wants it; made when it is first needed, which takes half a second."""
        with self._lock:
            if self._vocabulary is None:
                ends = sorted(self._tokenizer.end_tokens)
                if not ends:
                    raise ValueError(
                        "a grammar needs a model with an end token; its folder names none"
                    )
                self._vocabulary = LLTokenizer(
                    self._tokenizer.description,
                    n_vocab=self._tokenizer.vocabulary_size,
                    eos_token=ends,
                )
            return self._vocabulary


class Grammar:
    """A compiled grammar. Thread-safe."""

    def __init__(self, start: LLMatcher, end_tokens: frozenset[int]) -> None:
        self._start, self._end_tokens = start, end_tokens
        self._lock = threading.Lock()

    def matcher(self) -> "Matcher":
        """Return a matcher at the grammar's beginning."""
        with self._lock:
            return Matcher(self._start.deep_copy(), self._end_tokens)


class Matcher:
    """Where one generation stands in its grammar. Not thread-safe."""

    def __init__(self, inner: LLMatcher, end_tokens: frozenset[int]) -> None:
        self._inner, self._end_tokens = inner, end_tokens
        self._is_ended = False

    @property
    def is_over(self) -> bool:
        """Whether nothing but the end may follow."""
        return self._is_ended or self._inner.is_stopped()

    def mask(self, logits: Tensor) -> Tensor:
        """Return the logits with -inf for what is not allowed; the given ones are not changed.

        Args:
            logits: (vocabulary,); it may be larger or smaller than the tokenizer's.

        Raises:
            ValueError: The grammar is too complex to go on with, or allows no token that the model has.
        """
        size = logits.shape[-1]
        allowed = torch.zeros(size, dtype=torch.bool)
        if self.is_over:
            allowed[[token for token in self._end_tokens if token < size]] = True
        else:
            words = np.frombuffer(self._inner.compute_bitmask(), dtype=np.uint8)
            self._check()
            bits = torch.from_numpy(np.unpackbits(words, bitorder="little")[:size].view(np.bool_))
            allowed[: len(bits)] = bits
        if not bool(allowed.any()):
            raise ValueError("the grammar allows no token that the model has")
        return logits.masked_fill(~allowed.to(logits.device), -torch.inf)

    def accept(self, token: int) -> None:
        """Go on with a token; any end token is accepted where the grammar may end.

        Raises:
            ValueError: The grammar does not allow it here; the matcher stays where it is.
        """
        if token in self._end_tokens and (self.is_over or self._inner.is_accepting()):
            self._is_ended = True
            return
        if self.is_over or self._inner.validate_tokens([token]) != 1:
            raise ValueError(f"the grammar does not allow token {token} here")
        self._inner.consume_token(token)
        self._check()

    def forced(self) -> list[int]:
        """Return the tokens that must come next, as many as are certain; often none."""
        if self.is_over:
            return []
        tokens = self._inner.compute_ff_tokens()
        return tokens[: self._inner.validate_tokens(tokens)] if tokens else []

    def copy(self) -> "Matcher":
        """Return a matcher that goes its own way from here."""
        other = Matcher(self._inner.deep_copy(), self._end_tokens)
        other._is_ended = self._is_ended
        return other

    def _check(self) -> None:
        if self._inner.is_error():
            raise ValueError(f"the grammar cannot be followed: {_line(self._inner.get_error())}")


def _line(message: str) -> str:
    """Return the beginning of a message of the library, which may go on with its whole state, as one line."""
    said = message.partition("<state>")[0]
    return " ".join(said.split())[:_MOST_MESSAGE]
