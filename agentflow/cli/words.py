"""How numbers, times and foreign text look on a terminal.

Owns the rule that nothing from a model, a file or a tool reaches the terminal as a control
sequence.
"""

import unicodedata

from agentflow.models.protocol import Usage


def clean(text: str, limit: int | None = None) -> str:
    """Return `text` on one line, without control characters, cut to `limit` characters."""
    flat = " ".join(text.split())
    safe = "".join(char for char in flat if unicodedata.category(char)[0] != "C")
    return safe if limit is None or len(safe) <= limit else safe[: limit - 1] + "…"


def clean_block(text: str) -> str:
    """Return `text` with its lines, without control characters other than line ends and tabs."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char)[0] != "C")


def seconds(value: float | None) -> str:
    """Return a duration to read: `0.4s`, `12s`, `3m 20s`."""
    if value is None:
        return "…"
    if value < 10:
        return f"{value:.1f}s"
    if value < 60:
        return f"{value:.0f}s"
    return f"{int(value // 60)}m {int(value % 60)}s"


def dollars(value: float | None) -> str:
    """Return a price to read; unknown is said, not shown as zero."""
    if value is None:
        return "$?"
    return "$0" if value == 0 else f"${value:.4f}"


def tokens(value: int) -> str:
    """Return a number of tokens to read."""
    return f"{value:,} tok"


def reused_tokens(usage: Usage) -> str:
    """Return how much of a prompt was not read again: `812 of 830 tok`."""
    return f"{usage.cached_tokens:,} of {tokens(usage.input_tokens)}"
