"""What a tool of a server gave, as plain data.

Owns the way from a result of the protocol to a value: its data where it has some, else its text. What is
no text is told by a placeholder; what is too long is cut.
"""

import json
from typing import Any

from agentflow.interop.mcp.words import Secrets, one_line, plain_text

MAX_RESULT_CHARS = 100_000
MOST_PARTS = 1_000


def value_of(result: Any, secrets: Secrets) -> Any:
    """Return the value of a `CallToolResult` that is no error.

    Raises:
        ValueError: Its data is nested too deeply.
    """
    data = result.structured_content
    if data is None:
        return text_of(result, secrets)
    clean = _visible(secrets.data(data))
    written = json.dumps(clean, ensure_ascii=False)
    return clean if len(written) <= MAX_RESULT_CHARS else plain_text(written, MAX_RESULT_CHARS)


def text_of(result: Any, secrets: Secrets) -> str:
    """Return the text of a `CallToolResult`, one part a paragraph."""
    parts, left = [], MAX_RESULT_CHARS
    for index, part in enumerate(result.content):
        if left <= 0 or index >= MOST_PARTS:
            parts.append(f"... (cut: {len(result.content) - index} more parts)")
            break
        parts.append(plain_text(secrets.text(_words(part)), left))
        left -= len(parts[-1])
    return "\n\n".join(parts)


def _words(part: Any) -> str:
    """Return one part in words: text as it is, all else by what it is."""
    if part.type == "text":
        return str(part.text)
    if part.type in ("image", "audio"):
        size = len(part.data) * 3 // 4
        return f"[{part.type} {one_line(part.mime_type, 60)}, {size:,} bytes, not shown]"
    if part.type == "resource_link":
        return f"[resource {one_line(part.name, 100)}: {one_line(str(part.uri), 300)}]"
    return _resource(part.resource)


def _resource(resource: Any) -> str:
    where = one_line(str(resource.uri), 300)
    text = getattr(resource, "text", None)
    if text is not None:
        return f"[resource {where}]\n{text}"
    size = len(getattr(resource, "blob", "")) * 3 // 4
    return f"[resource {where}, {size:,} bytes, not shown]"


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value, MAX_RESULT_CHARS)
    if isinstance(value, list):
        return [_visible(item) for item in value]
    if isinstance(value, dict):
        return {plain_text(key, 1_000): _visible(item) for key, item in value.items()}
    return value
