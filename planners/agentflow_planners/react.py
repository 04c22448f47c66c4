"""Reason and act by turns: the model asks for tools until it has the answer.

Source: Yao et al., ReAct: Synergizing Reasoning and Acting in Language Models, arXiv:2210.03629.
Cost: tens of calls: up to `turns`.
Needs: tools.
Published: ALFWorld 34 points of success more than imitation and reinforcement learning; WebShop 10 points
  more; average of ALFWorld, ScienceWorld and WebShop 47.4 (GPT-4o mini, as the baseline of ReCode).

The acting goes through the model's own tool calling instead of text that has to be parsed, and independent
calls of one turn run in parallel.
"""

from agentflow import Message, Result, Task, flow
from agentflow_planners.shared.acting import SYSTEM, act, tools_of
from agentflow_planners.shared.answers import whole_answer
from agentflow_planners.shared.wording import question


@flow
async def react(task: Task, *, turns: int = 12) -> Result:
    """Let the model call the task's tools for up to `turns` turns, then answer.

    Raises:
        ExpansionError: The model still wants tools after the last turn.
        ModelError: A call failed for good.
    """
    start = [Message(role="system", text=SYSTEM), Message(role="user", text=question(task))]
    said, text = await act(start, tools_of(task), turns=turns, step="react")
    return Result(output=await whole_answer(task, said, text))
