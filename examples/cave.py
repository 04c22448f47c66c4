"""A walk into Colossal Cave that is stopped, goes on, and is tried another way from one step on.

The game is a stateful thing (an `Environment`): when the run goes on, it is told its recorded commands
again and is where it was. Needs `pip install 'agentflow[games]'`.
"""

import tempfile

import anyio
from agentflow_tools.adventure import Adventure

from agentflow import Change, Journal, Runner, flow

COMMANDS = ["enter building", "take lamp", "exit", "south", "south", "south", "unlock grate"]
dark = {"is": True}


@flow
async def walk(commands: list[str]) -> str:
    """Tell one game a list of commands; the night falls before the last one."""
    cave = await Adventure.open(seed=7)
    said = ""
    for command in commands:
        if command == commands[-1] and dark["is"]:
            raise RuntimeError("it is too dark to go on")
        said = await cave.tell(command)
    return said


async def main(journal: str) -> None:
    runner = Runner(journal=journal)
    try:
        await runner.run_as("walk", walk, COMMANDS)
    except RuntimeError as error:
        print(f"stopped: {error}")
    dark["is"] = False
    result = await runner.resume(walk, "walk")
    print(f"resumed: {result.output}")

    lamp = next(
        step for step in result.record.steps.values() if b"take lamp" in step.input and step.parent
    )
    change = Change(input={"command": "take keys"})
    plan = await runner.plan_fork(walk, "walk", at=lamp.number, change=change)
    print(f"a fork would reuse {len(plan.reused)} steps and run {len(plan.rerun)} or more again")
    forked = await runner.fork(walk, "walk", at=lamp.number, change=change)
    print(f"forked: {forked.output}")
    with Journal(journal) as opened:
        print([(head.status, head.parent) for head in opened.heads()])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, f"{folder}/walks.db")
