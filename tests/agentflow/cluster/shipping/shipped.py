"""What tests carry out in the workers of a fleet: planners, and a work of one call; importable there.

`installed(folder)` makes the planners known to every process that has the folder on its path.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from agentflow import Result, Runner, Task, Trial, flow, generate, observe
from agentflow.cluster.shipping.worker import Bench
from agentflow.models.protocol import ModelSpec

ENTRIES = """[agentflow.planners]
two_steps = tests.agentflow.cluster.shipping.shipped:two_steps
deadly = tests.agentflow.cluster.shipping.shipped:deadly
confined = tests.agentflow.cluster.shipping.shipped:confined
"""


def installed(folder: Path) -> str:
    """Write what makes the planners installed where `folder` is on the path; return it."""
    about = folder / "shipped_planners-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shipped-planners\nVersion: 1\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    return str(folder)


@flow
async def two_steps(task: Task, dies_at: str = "", mark: str = "") -> Result:
    """Ask twice; at one sample, end the process between the two once, and leave a mark of that."""
    await generate(f"Think: {task.goal}")
    if dies_at and dies_at in task.goal and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Result(output=(await generate(task.goal)).text)


@flow
async def deadly(task: Task, dies_at: str) -> Result:
    """Ask, but at one sample end the process each time."""
    if dies_at in task.goal:
        os.kill(os.getpid(), signal.SIGKILL)
    return Result(output=(await generate(task.goal)).text)


@flow
async def confined(task: Task) -> Result:
    """Double the number in the goal by generated code."""
    number = task.goal.rstrip("?").split()[-1]
    source = "def double(x): return 2 * x"
    seen = await observe(Trial(source=source, calls=(f"double({number})",)))
    return Result(output=seen.observations[0].value)


@flow
async def ask(prompt: str) -> str:
    """Ask once."""
    return (await generate(prompt)).text


@flow
async def ask_first(prompts: list[str]) -> str:
    """Ask several at once and give up the others when one has answered."""
    if len(prompts) == 1:
        return await ask(prompts[0])
    found: list[str] = []

    async with anyio.create_task_group() as group:

        async def one(prompt: str) -> None:
            found.append(await ask(prompt))
            group.cancel_scope.cancel()

        for prompt in prompts:
            group.start_soon(one, prompt)
    return found[0]


async def open_asker(spec: ModelSpec, bench: Bench) -> Callable[[list[str]], Awaitable[str]]:
    """Return what asks that model, each time in a run of its own that nobody records."""

    async def work(prompts: list[str]) -> str:
        runner = Runner(
            journal=":memory:", model=spec, resources=bench.resources, within=bench.within
        )
        return (await runner.run_async(ask_first, prompts)).output

    return work
