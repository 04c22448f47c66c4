"""Teachers whose runs are turned into training data."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentflow import Runner, RunResult, Task
from agentflow.solving import Named, Solution, solve_task
from tests.parts import Scripted

WANTED = re.compile(r"^Write (\w+)\(", re.MULTILINE)


Bodies = Mapping[str, str | Sequence[str]]


def teacher(bodies: Bodies) -> Scripted:
    """Return a model that writes these functions; of a list, one body after the other, then the last."""
    left = {name: [body] if isinstance(body, str) else list(body) for name, body in bodies.items()}
    last = ["solve"]

    def answer(prompt: str) -> str:
        found = WANTED.findall(prompt)
        name = last[0] = found[-1] if found else last[0]
        bodies_left = left[name]
        body = bodies_left.pop(0) if len(bodies_left) > 1 else bodies_left[0]
        return f"```python\n{body}\n```" if body else ""

    return Scripted(answer)


async def taught(
    bodies: Bodies,
    *,
    journal: str = ":memory:",
    run: str = "run",
    inputs: dict[str, Any] | None = None,
    schema: dict[str, Any] | None = None,
    expected: Sequence[Any] = (),
    planner: str = "recode",
) -> RunResult[Solution]:
    """Run a task as `agentflow run` does, with one check for each expected answer."""
    task = Task(goal="test", inputs=inputs or {}, output_schema=schema)
    checks = tuple(Named(name="exact", options={"equals": value}) for value in expected)
    runner = Runner(journal=journal, model=teacher(bodies))
    return await runner.run_as(run, solve_task, task, Named(name=planner), checks)
