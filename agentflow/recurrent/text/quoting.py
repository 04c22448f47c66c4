"""Take messages through a chat template without their text becoming control tokens.

Owns the quotes: a secret number of this process, written into a message's text where a control token could begin, and
taken out of the rendered text again once the template's own control tokens are marked. Knows no tokens' ids.
Digits only, so that a template may strip, change case or write JSON. What a template does to a message because of
control text in it (looking for `<tool_response>` in what a person said) it does not do: that text is no markup there.
"""

import re
import secrets
from collections.abc import Collection
from typing import Any

from agentflow.recurrent.text.encoder import alternatives


class Quotes:
    """Writes and removes quotes.

    Args:
        control: All control tokens' texts. In a text that anybody may have written, none of them can begin or end.
        special: Those that not even a model's earlier reply may write as text; others (`<think>`) are its markup.
    """

    def __init__(self, control: Collection[str], special: Collection[str]) -> None:
        self._quote = "".join(secrets.choice("0123456789") for _ in range(24))
        signs = {_sign(text) for text in control}
        self._begins = re.compile(alternatives(signs)) if signs else None
        self._special = re.compile(alternatives(special)) if special else None
        self._ends = {text[at:] for text in control for at in range(1, len(text))}
        self._longest_end = max(map(len, self._ends), default=0)

    def anybody(self, value: Any) -> Any:
        """Return text, or all text in lists and dicts (keys too), quoted so that it holds no control token."""
        if isinstance(value, str):
            return self._quoted(value)
        if isinstance(value, dict):
            return {self.anybody(key): self.anybody(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.anybody(item) for item in value]
        return value

    def reply(self, text: str) -> str:
        """Return a reply's text quoted: its markup stays, special tokens do not."""
        if self._special is None:
            return text
        return self._special.sub(lambda found: found[0][:1] + self._quote + found[0][1:], text)

    def removed(self, text: str) -> str:
        """Return the text without quotes."""
        return text.replace(self._quote, "")

    def _quoted(self, text: str) -> str:
        if self._begins is None:
            return text
        lengths = range(1, min(self._longest_end, len(text)) + 1)
        completes = any(text[:length] in self._ends for length in lengths)
        text = self._begins.sub(lambda found: found[0] + self._quote, text)
        return self._quote + text if completes else text


def _sign(text: str) -> str:
    """Return a part of a control token that it cannot be written without, if possible one character of no word."""
    return next(
        (sign for sign in text[:-1] if not (sign.isalnum() or sign.isspace())), text[:-1] or text
    )
