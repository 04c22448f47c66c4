"""Run a flow that is Python text: `forward(task)`, which calls a few functions of the host.

It is what a search for flows in code finds (ADAS, STOP), so that what was found is a planner like any other,
with `source` as its option. The program is checked and runs in the sandbox, never in this process; it asks,
votes, runs tests, hands on to other planners and uses the task's tools, each a step of this run and under its
budget, side by side where one does not need the other.

What differs, and why: ADAS and STOP execute such code in their own process; the functions it may call are
ours, and there are no agent objects: a function call with a prompt says the same.

Source: after Hu et al., Automated Design of Agentic Systems, arXiv:2408.08435, and Zelikman et al.,
    Self-Taught Optimizer (STOP), arXiv:2310.02304, whose programs are such flows.
Cost: tens of calls: at most `calls` of the host, each ask of it 1 to 20 samples.
Needs: a sandbox.
Published: none that were checked.
"""

from typing import Annotated

from pydantic import Field

from agentflow import Result, Task, flow
from agentflow_planners.shared.coded import run_coded
from agentflow_planners.shared.vocabulary import PLANNERS, answer_of, described, vocabulary


@flow
async def coded_flow(
    task: Task,
    *,
    source: str,
    calls: Annotated[int, Field(ge=1, le=1_000)] = 32,
    planners: tuple[str, ...] = PLANNERS,
) -> Result:
    """Run `forward(task)` of a program; what it returns is the answer.

    Args:
        task: Its tools are functions of the program, too.
        source: The program.
        calls: How many calls of the host it may make; a quarter of them where it calls itself.
        planners: Which planners it may hand on to.

    Raises:
        ProgramError: It may not run, fails, misuses a function or goes past its limits.
        OutputError: What it returns is no answer.
        SandboxUnavailableError: Generated code cannot be confined here.
        AgentflowError: What a function of the host raised and the program did not catch.
    """
    own = vocabulary(source, calls=calls, planners=planners)
    value = await run_coded(source, described(task), own, most=calls, tools=task.tools)
    return Result(output=answer_of(value, task))
