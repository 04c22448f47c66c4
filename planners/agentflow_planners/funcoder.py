"""Divide a function into functions, write each in several versions, keep what most of them do.

Source: Chen et al., Divide-and-Conquer Meets Consensus: Unleashing the Power of Functions in Code
  Generation, NeurIPS 2024, arXiv:2405.20092, Algorithm 1.
Cost: tens of calls: functions x (1 + samples + inputs + repairs).
Needs: a sandbox.
Published: HumanEval 85.4, MBPP 78.5, MATH 54.0 (GPT-3.5, 11 candidates); HumanEval 94.5, MBPP 79.5, MATH
  78.2 (GPT-4); xCodeEval 31.4 (GPT-3.5); 5,402 tokens a HumanEval problem (GPT-3.5).

What differs from the authors' code, and why:
- only helpers that are left unwritten are divided further, siblings side by side;
- behaviour is compared by type and with tolerance, on values, exceptions, changed arguments and output;
- inputs come from the doc examples, from calls near them, from the types and from the model, and more
  are added where the leading groups disagree;
- doc examples come first wherever there are any, and what fails them is shown to the model;
- the model's first choice is one of the versions;
- every version is its own process in a sandbox; a tie is broken by a seed;
- a helper that cannot be written is not called: its caller is written without it.
"""

from agentflow import Result, Task, flow
from agentflow_planners.functions.assignment import Assignment
from agentflow_planners.functions.choosing import Judging
from agentflow_planners.functions.dividing import Policy, write_function


@flow
async def funcoder(
    task: Task,
    *,
    samples: int = 11,
    levels: int = 6,
    repairs: int = 1,
    temperature: float | None = None,
    seed: int = 0,
    calls: int = 24,
    ask_for_inputs: bool = True,
    abstain_below: float = 0.0,
) -> Result:
    """Write the function that a task is about by dividing it and by functional consensus.

    Args:
        task: With an input `code`, a module whose last unwritten function is to be written, the answer
            is the module's source; otherwise what `solve` of the task's inputs returns.
        samples: Versions of each function: the divided one, the model's first choice, and others.
        levels: How deep functions are divided; the tree's budget may allow less.
        repairs: How often a winner that fails an example goes back to the model.
        temperature: Of the versions after the first; None: a hosted model's own, 0.8 for a local one.
        seed: Of the samples, the inputs and the ties.
        calls: How many calls the versions of a function are compared on.
        ask_for_inputs: Whether the model names some of them.
        abstain_below: The share of agreement under which no answer is given.

    Raises:
        InputError: The task names no function to write.
        ExpansionError: No version works, or too few agree.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    assignment = Assignment(task)
    policy = Policy(
        samples=samples,
        levels=levels,
        repairs=repairs,
        temperature=temperature,
        abstain_below=abstain_below,
        judging=Judging(calls=calls, ask=ask_for_inputs, seed=seed),
    )
    written = await write_function(assignment.unfinished, policy, assignment.calls, level=0)
    return await assignment.answer(written.candidate)
