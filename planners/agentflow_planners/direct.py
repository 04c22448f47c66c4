"""Answer a task with one call of the model: the baseline every planner has to beat.

Source: none.
Cost: one call: 1.
Needs: nothing.
Published: HumanEval 68.3, MBPP 72.0 (GPT-3.5, as the baseline of FunCoder);
  HumanEval 82.9, MBPP 73.5 (GPT-4, the same).
"""

from agentflow import Result, Task, flow, generate
from agentflow.errors import ExpansionError
from agentflow_planners.functions.assignment import Assignment, is_code_task
from agentflow_planners.functions.candidates import greedy
from agentflow_planners.shared.wording import question


@flow
async def direct(task: Task) -> Result:
    """Ask once; with an output schema the reply is JSON of that shape.

    With an input `code` the answer is its source, the last unwritten function written.

    Raises:
        ModelError: The call failed for good.
        MalformedReplyError: No reply had the wanted shape.
        ExpansionError: The reply does not write the function.
    """
    if is_code_task(task):
        return await _function(task)
    prompt = question(task)
    if task.output_schema is None:
        return Result(output=(await generate(prompt)).text)
    return Result(output=await generate(prompt, output=task.output_schema))


async def _function(task: Task) -> Result:
    assignment = Assignment(task)
    found = await greedy(assignment.unfinished)
    if not found:
        name = assignment.unfinished.node.name
        raise ExpansionError(step=name, problem=f"the reply does not write `{name}`")
    return await assignment.answer(found[0])
