"""Chain of thought: the model reasons in words before it answers.

Source: Wei et al., Chain-of-Thought Prompting Elicits Reasoning in Large Language Models,
  arXiv:2201.11903; without examples: Kojima et al., arXiv:2205.11916.
Cost: one call: 1, and 1 more where the reply states no answer.
Needs: nothing.
Published: MATH 40.0 (GPT-3.5, as a baseline of FunCoder); MATH 68.6 (GPT-4, the same).

What differs, and why: worked examples are an option and none are the default, since nobody has any for
a new task; the answer stands behind a mark, or, with
an output schema, is JSON of that shape; a reply that states no answer is asked for it once more.
"""

from agentflow import Result, Task, flow
from agentflow_planners.shared.thinking import Worked, reasoned


@flow
async def cot(task: Task, *, examples: tuple[Worked, ...] = ()) -> Result:
    """Reason in words, then answer.

    Args:
        task: An output schema shapes the answer, not the reasoning.
        examples: Worked examples to show before the task.

    Raises:
        ExpansionError: The model gives no answer, even asked for nothing else.
        ModelError: A call failed for good.
        MalformedReplyError: No answer had the wanted shape.
    """
    return Result(output=await reasoned(task, examples))
