"""Answer a task with one call of the model: the baseline every planner has to beat."""

from agentflow import Result, Task, flow, generate
from agentflow_planners.wording import question


@flow
async def direct(task: Task) -> Result:
    """Ask once; with an output schema the reply is JSON of that shape.

    Raises:
        ModelError: The call failed for good.
        MalformedReplyError: No reply had the wanted shape.
    """
    prompt = question(task)
    if task.output_schema is None:
        return Result(output=(await generate(prompt)).text)
    return Result(output=await generate(prompt, output=task.output_schema))
