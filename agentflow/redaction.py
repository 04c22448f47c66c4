"""Keep secrets out of everything that is written.

Owns the rules and their application. Keys of the providers we know and values of environment
variables that are named like secrets are replaced before anything reaches the journal, a log or an
export; a run may add patterns of its own. What is replaced reads `[redacted:NAME]`.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from agentflow.errors import RedactionError
from agentflow.journal.content import Parts

# A sign that must stand in a text before its pattern is tried: looking for it costs next to nothing.
_KNOWN: tuple[tuple[str, bytes, re.Pattern[bytes]], ...] = tuple(
    (name, sign, re.compile(pattern, re.DOTALL))
    for name, sign, pattern in (
        ("anthropic-key", b"sk-ant-", rb"sk-ant-[A-Za-z0-9_-]{16,}"),
        ("openai-key", b"sk-", rb"\bsk-(?!ant-)[A-Za-z0-9_-]{20,}"),
        ("aws-key", b"AKIA", rb"\bAKIA[0-9A-Z]{16}\b"),
        ("github-token", b"gh", rb"\bgh[pousr]_[A-Za-z0-9]{30,}\b"),
        ("github-token", b"github_pat_", rb"\bgithub_pat_[A-Za-z0-9_]{30,}\b"),
        ("google-key", b"AIza", rb"\bAIza[0-9A-Za-z_-]{35}\b"),
        ("hugging-face-token", b"hf_", rb"\bhf_[A-Za-z0-9]{30,}\b"),
        ("slack-token", b"xox", rb"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
        ("bearer-token", b"earer ", rb"(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}=*"),
        (
            "private-key",
            b"PRIVATE KEY-----",
            rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
        ),
    )
)
_SECRET_NAME = re.compile(r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$")
MIN_SECRET_CHARS = 8


class Redactor:
    """Rules to apply to everything written.

    Args:
        patterns: Regular expressions of the user's, by name or in order.
        environment: Where to look for secrets; the process's own if not given.

    Raises:
        RedactionError: A pattern is no regular expression, or matches the empty string.
    """

    def __init__(
        self,
        patterns: Mapping[str, str] | Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        named = patterns if isinstance(patterns, Mapping) else {"rule": "|".join(patterns)}
        self._given = tuple((name, _compiled(name, text)) for name, text in named.items() if text)
        self._secrets = _secrets(os.environ if environment is None else environment)
        known = (sign for _name, sign, _rule in _KNOWN)
        self._signs = (*(secret for _name, secret in self._secrets), *known)

    def content(self, data: bytes) -> bytes:
        """Return JSON bytes without secrets; the same object when there is none."""
        if isinstance(data, Parts):
            return self._parts(data)
        return self._bytes(data)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        data = text.encode("utf-8", "surrogatepass")
        clean = self._bytes(data)
        return text if clean is data else clean.decode("utf-8", "surrogatepass")

    def data(self, value: Any) -> Any:
        """Return plain data, or a dataclass of it, without secrets in its texts and contents."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.content(value)
        if isinstance(value, dict):
            return {self.data(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.data(item) for item in value)
        if is_dataclass(value) and not isinstance(value, type):
            changes = {item.name: self.data(getattr(value, item.name)) for item in fields(value)}
            return replace(value, **changes)
        return value

    def _bytes(self, data: bytes) -> bytes:
        if len(data) >= MIN_SECRET_CHARS:
            for sign in self._signs:  # most content holds none, and this is the hot path
                if sign in data:
                    data = self._replaced(data)
                    break
        return self._by_rules(data) if self._given else data

    def _replaced(self, data: bytes) -> bytes:
        for name, secret in self._secrets:
            data = data.replace(secret, f"[redacted:{name}]".encode())
        for name, sign, rule in _KNOWN:
            if sign in data:
                data = rule.sub(f"[redacted:{name}]".encode(), data)
        return data

    def _by_rules(self, data: bytes) -> bytes:
        text = before = data.decode("utf-8", "surrogateescape")
        for name, rule in self._given:
            text = rule.sub(f"[redacted:{name}]", text)
        return data if text == before else text.encode("utf-8", "surrogateescape")

    def _parts(self, data: Parts) -> bytes:
        edges = zip((0, *data.cuts), (*data.cuts, len(data)), strict=True)
        before = [bytes(data[start:end]) for start, end in edges]
        after = [self._bytes(part) for part in before]
        unchanged = all(one is other for one, other in zip(before, after, strict=True))
        return data if unchanged else Parts.joined(after)


def _secrets(environment: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    """Return the values to hide, longest first, also as JSON writes them."""
    found: dict[bytes, str] = {}
    for name, value in environment.items():
        if _SECRET_NAME.search(name.upper()) and len(value) >= MIN_SECRET_CHARS:
            found[value.encode("utf-8", "surrogateescape")] = name
            found[json.dumps(value)[1:-1].encode()] = name
    longest = sorted(found.items(), key=lambda item: -len(item[0]))
    return tuple((name, value) for value, name in longest)


def _compiled(name: str, text: str) -> re.Pattern[str]:
    try:
        rule = re.compile(text)
    except re.error as error:
        raise RedactionError(rule=name, problem=f"no regular expression: {error}") from error
    if rule.match(""):
        raise RedactionError(
            rule=name, problem="matches the empty text, so it would match everywhere"
        )
    return rule
