"""A scripted model that writes the functions ReCode asks for, and runs with it."""

import re
from typing import Any

from agentflow_planners.recode import recode

from agentflow import Budget, Runner, RunResult, Task
from tests.parts import Scripted

WANTED = re.compile(r"^Write (\w+)\(", re.MULTILINE)


def writer(bodies: dict[str, Any], asked: list[str] | None = None) -> Scripted:
    """Return a model that writes these bodies: a string, or one after another from a list."""
    left = {
        name: list(body) if isinstance(body, list) else [body] * 99 for name, body in bodies.items()
    }

    def answer(prompt: str) -> str:
        found = WANTED.findall(prompt)
        name = found[-1] if found else last[0]
        last[0] = name
        if asked is not None:
            asked.append(name)
        body = left[name].pop(0)
        return f"Sure.\n```python\n{body}\n```" if body is not None else ""

    last = ["solve"]
    return Scripted(answer)


async def solve(
    bodies: dict[str, Any],
    *,
    inputs: dict[str, Any] | None = None,
    asked: list[str] | None = None,
    journal: str = ":memory:",
    budget: Budget | None = None,
    tools: tuple[Any, ...] = (),
    schema: dict[str, Any] | None = None,
    **options: Any,
) -> RunResult[Any]:
    runner = Runner(
        journal=journal, model=writer(bodies, asked), budget=budget or Budget(), tools=tools
    )
    names = tuple(item.name for item in tools)
    task = Task(goal="test", inputs=inputs or {}, tools=names, output_schema=schema)
    return await runner.run_async(recode, task, **options)
