"""Prompts with places in them: `$db.path` stands for what a database of plain data holds there.

Owns the form of a place. Values are put in once and not looked through again, since a model may have
written them.
"""

import re
from collections.abc import Mapping
from typing import Any

from agentflow.errors import InputError
from agentflow_planners.shared.wording import shown

MAX_CHARS = 8_000
_PLACE = re.compile(r"\$db\.(\w+(?:\.\w+)*)\$?")


def filled(prompt: str, db: Mapping[str, Any], *, step: str) -> str:
    """Return a prompt with what is at each `$db.path` of it; a part of a path may be a list's index.

    Raises:
        InputError: Nothing is there; the message names the path.
    """

    def value(match: re.Match[str]) -> str:
        here: Any = db
        try:
            for part in match[1].split("."):
                here = here[int(part) if isinstance(here, list | tuple) else part]
        except (LookupError, ValueError, TypeError) as error:
            problem = f"nothing is at $db.{match[1]} ($db has: {', '.join(db)})"
            raise InputError(step=step, problem=problem) from error
        return shown(here, MAX_CHARS)

    return _PLACE.sub(value, prompt)
