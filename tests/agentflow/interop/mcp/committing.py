"""A process that commits a file with the official server of git and dies; started again, it goes on.

Its arguments: the repository, and a journal.
"""

import os
import sys
from pathlib import Path

import anyio

from agentflow import Runner, flow, tools_in_reach
from agentflow.interop.mcp import mcp_tools

RUN = "commit"


@flow
async def committed(repository: str, died: str) -> str:
    """Commit a file; die, the first time; show the commit."""
    tools, where = tools_in_reach(), {"repo_path": repository}
    await tools["git_git_add"](**where, files=["note.txt"])
    await tools["git_git_commit"](**where, message="a note")
    if not Path(died).exists():
        Path(died).touch()
        os._exit(9)
    shown: str = await tools["git_git_show"](**where, revision="HEAD")
    return shown


async def main(repository: str, journal: str) -> None:
    command = [sys.executable, "-m", "mcp_server_git", "--repository", repository]
    died = f"{journal}.died"
    async with mcp_tools("git", command=command) as tools:
        runner = Runner(tools=tools, journal=journal)
        if Path(died).exists():
            done = await runner.resume(committed, RUN)
        else:
            done = await runner.run_as(RUN, committed, repository, died)
    print(done.output)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
