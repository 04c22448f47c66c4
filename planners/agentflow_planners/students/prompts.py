"""What a model that was trained for a planner is asked: no instructions, since it has learned them.

Owns the text of the three questions, which the makers of training data and the planners share. Knows no task.
"""

import json
from collections.abc import Mapping
from typing import Any

DONE = "done"  # what an episode ends with


def of_call(name: str, arguments: Mapping[str, Any]) -> str:
    """Return what asks for the body of a function, for one call of it: every argument whole."""
    lines = [f"{name}({', '.join(arguments)})"]
    lines += [f"{key}: {_shown(value)}" for key, value in arguments.items()]
    return "\n".join(lines)


def of_task(goal: str, context: str) -> str:
    """Return what begins an episode in which a model acts by turns."""
    return f"{goal}\n{context}" if context else goal


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
