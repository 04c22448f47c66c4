"""Find what looks like a secret in a task file, which is written to journals and shared.

Owns which keys give a secret away. Knows nothing of files or lines, and never returns a value.
"""

import re
from collections.abc import Iterator
from typing import Any

from agentflow.models.protocol import ModelSpec
from agentflow.taskproblems import Place

# Under `model` any such word is one; elsewhere `token` or `key` may well be the user's own data.
_IN_MODEL = re.compile(
    r"(.*_)?(api_?key|key|token|secret|password|passwd|pwd|authorization|bearer|credentials?)"
)
_ANYWHERE = re.compile(r"(.*_)?(api|secret)_?key|(.*_)?(access|auth)_?token")


def secrets_in(data: Any) -> Iterator[Place]:
    """Yield the places of keys that look like one of a secret: any under `model`, else those with text."""
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        if key == "model" and isinstance(value, dict):
            yield from _in_model(value)
        else:
            yield from _anywhere(value, (key,))


def _in_model(model: dict[str, Any]) -> Iterator[Place]:
    for key in model:
        plain = _plain(key)
        known = plain in ModelSpec.model_fields or plain.startswith("max_")
        if not known and _IN_MODEL.fullmatch(plain):
            yield "model", key


def _anywhere(value: Any, path: Place) -> Iterator[Place]:
    if isinstance(value, str) and value and _ANYWHERE.fullmatch(_plain(str(path[-1]))):
        yield path
    elif isinstance(value, dict | list):
        below = value.items() if isinstance(value, dict) else enumerate(value)
        for part, inner in below:
            yield from _anywhere(inner, (*path, part))


def _plain(key: str) -> str:
    return key.lower().replace("-", "_")
