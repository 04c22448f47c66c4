"""Text from a server, made harmless: bounded, visible, and never a secret of ours.

Owns what may stand in a name, a description, a result. Knows nothing of the protocol.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

MIN_SECRET_CHARS = 4
MAX_DEPTH = 40
# Control characters, halves of characters, and what turns or hides text: directions, tags, fillers.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


def plain_text(text: str, limit: int) -> str:
    """Return a text without invisible characters, cut where it is longer than `limit`."""
    clean = _INVISIBLE.sub("", text[: limit + limit // 4 + 100].replace("\r\n", "\n"))
    if len(clean) <= limit and len(text) <= limit:
        return clean
    return f"{clean[:limit]} ... (cut: {len(text):,} characters)"


def one_line(text: str, limit: int = 300) -> str:
    """Return a text as one short line."""
    return " ".join(plain_text(text, limit).split())


def local_name(name: str, room: int) -> str:
    """Return a server's name for something as letters, digits and `_`, at most `room` of them."""
    plain = _NOT_IN_NAMES.sub("_", name)
    if len(plain) <= room:
        return plain
    return f"{plain[: room - 7]}_{hashlib.blake2b(name.encode('utf-8', 'replace'), digest_size=3).hexdigest()}"


class Secrets:
    """Values that a server was given and that nothing it says may repeat to us."""

    def __init__(self, values: Mapping[str, str]) -> None:
        known = {value: name for name, value in values.items() if len(value) >= MIN_SECRET_CHARS}
        self._known = sorted(known.items(), key=lambda item: -len(item[0]))

    def text(self, text: str) -> str:
        """Return a text with every value replaced by `[redacted:NAME]`."""
        for value, name in self._known:
            text = text.replace(value, f"[redacted:{name}]")
        return text

    def data(self, value: Any, depth: int = 0) -> Any:
        """Return JSON data without the values.

        Raises:
            ValueError: It is nested too deeply.
        """
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.data(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.data(item, depth + 1) for key, item in value.items()}
        return value
