"""Encode text in which control tokens are written so that no message can write them.

Owns the marks: a control token (`<|im_end|>`, `</s>`, `<think>`) is renamed to a text with a secret of this process in
it, in the vocabulary too. So the marks of a marked text are the only places that can become control tokens, and its
other parts are plain, whatever they look like. Knows no messages and no templates.
A token is control when it was added to the vocabulary as special, or was added and is written with a bracket or a bar;
others that were added (runs of spaces) are text.
"""

import json
import re
import secrets
from typing import Any

import tokenizers

from agentflow.recurrent.text.bounded import Bounded

_BRACKETS = frozenset("<>[]{}|")
_CACHED, _CACHED_BYTES = 4096, 32 * 2**20


class Encoder:
    """Plain text and marks to token ids; the ids are those of the tokenizer that `description` describes.

    Attributes:
        control: Ids of the control tokens by their text.
        writable: Their texts that a template can write: a token of one character no text can stand for.
        special: Ids that decoding leaves out.
        prepends: Whether a space comes before each run of text, as old SentencePiece tokenizers do it. Text then cannot
            be continued in the middle of a run.
    """

    def __init__(self, description: str) -> None:
        content: dict[str, Any] = json.loads(description)
        added = content["added_tokens"]
        self.control = {token["content"]: int(token["id"]) for token in added if _is_control(token)}
        self.special = frozenset(int(token["id"]) for token in added if token["special"])
        secret = secrets.token_hex(12)
        self.writable = [text for text in self.control if len(text) > 1]
        self._marks = {
            text: f"\ue000{secret}.{number}\ue001" for text, number in self.control.items()
        }
        self._texts = {mark: text for text, mark in self._marks.items()}
        self._middle = f"\ue000{secret}.middle\ue001"  # stands for whatever came before a text
        self._backend = _renamed(content, self._marks, self._middle)
        self._ids = {self._id(mark): self.control[text] for text, mark in self._marks.items()}
        self._ids |= {self._id(t["content"]): int(t["id"]) for t in added if not _is_control(t)}
        self._is_mark = re.compile(f"(\ue000{secret}\\.[0-9]+\ue001)")
        self._is_control = re.compile(alternatives(self.writable)) if self.writable else None
        self._runs: Bounded[tuple[str, str, str], list[int]] = Bounded(
            most=_CACHED, most_bytes=_CACHED_BYTES
        )
        self.prepends = self._prepends()

    def mark(self, text: str) -> str:
        """Return the text with its control tokens as marks; the first and longest wins, as in a tokenizer."""
        if self._is_control is None:
            return text
        return self._is_control.sub(lambda found: self._marks[found[0]], text)

    def mark_of(self, token: int) -> str | None:
        """Return the mark that becomes a token; None when the token is none of control."""
        found = next((text for text, number in self.control.items() if number == token), None)
        return None if found is None else self._marks[found]

    def starts_with_mark(self, marked: str) -> bool:
        """Return whether a marked text begins with a control token."""
        return self._is_mark.match(marked) is not None

    def encode(self, marked: str, *, continues: bool = False) -> list[int]:
        """Return the ids of a marked text; one without marks gives no control token.

        Args:
            marked: Plain text and marks. What is no Unicode (half a surrogate pair) becomes U+FFFD.
            continues: Something comes before it, so it gets no beginning of its own.
        """
        first, *rest = self._is_mark.split(_sound(marked))
        left, ids = self._middle if continues else "", list[int]()
        for mark, run in zip(rest[::2], rest[1::2], strict=True):
            ids += self._run(left, first, mark)
            ids.append(self.control[self._texts[mark]])
            left, first = mark, run
        return ids + self._run(left, first, "")

    def _run(self, left: str, text: str, right: str) -> list[int]:
        """Return the ids of text between two marks, which may take space away from it."""
        if not text:
            return []
        found = self._runs.get((left, text, right))
        if found is None:
            ids = self._backend.encode(left + text + right, add_special_tokens=False).ids
            ids = ids[bool(left) : len(ids) - bool(right)]
            found = [self._ids.get(number, number) for number in ids]
            size_bytes = 4 * len(text) + 8 * len(found) + 200
            self._runs.put((left, text, right), found, size_bytes=size_bytes)
        return found

    def _prepends(self) -> bool:
        ids = self._backend.encode(self._middle + "a", add_special_tokens=False).ids[1:]
        return any(
            (self._backend.id_to_token(number) or "")[:1] in ("▁", "Ġ") for number in ids[:1]
        )

    def _id(self, text: str) -> int:
        number = self._backend.token_to_id(text)
        assert number is not None
        return int(number)


def alternatives(texts: Any) -> str:
    """Return a pattern of the texts that prefers the longest."""
    return "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))


def _is_control(token: dict[str, Any]) -> bool:
    return bool(token["special"]) or not _BRACKETS.isdisjoint(token["content"])


def _renamed(content: dict[str, Any], marks: dict[str, str], middle: str) -> tokenizers.Tokenizer:
    """Return the tokenizer with its control tokens renamed, and one more, wherever they are mentioned."""
    for token in content["added_tokens"]:
        if token["content"] in marks:
            token |= {"content": marks[token["content"]], "normalized": False, "single_word": False}
    model = content["model"]
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        model["vocab"] = {marks.get(text, text): number for text, number in vocabulary.items()}
    elif isinstance(vocabulary, list):
        model["vocab"] = [[marks.get(text, text), score] for text, score in vocabulary]
    if model.get("unk_token") in marks:
        model["unk_token"] = marks[model["unk_token"]]
    if "merges" in model:
        model["merges"] = [pair for pair in model["merges"] if not _touches(pair, marks)]
    content |= {"post_processor": None, "truncation": None, "padding": None}
    renamed = tokenizers.Tokenizer.from_str(json.dumps(content))
    renamed.add_special_tokens([tokenizers.AddedToken(middle, normalized=False, special=True)])
    return renamed


def _touches(pair: Any, marks: dict[str, str]) -> bool:
    """Return whether a merge has to do with a control token, which is no longer made of letters."""
    left, right = pair.split(" ", 1) if isinstance(pair, str) else pair
    return left in marks or right in marks or left + right in marks


def _sound(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
