"""A planner for small models that were trained for it: no instructions, no examples, replies in a grammar.

Source: Yu et al., ReCode: Unify Plan and Action for Universal Granularity Control, arXiv:2510.23564, section 3.4 (the
  trained planner); for comparison the forms of Yao et al., arXiv:2210.03629, and Wang et al., arXiv:2402.01030.
Cost: tens of calls: one a function, or one a turn.
Needs: a sandbox, tools, a model that `agentflow train` made for the same form.
Published: average of ALFWorld, ScienceWorld and WebShop 70.4 (Qwen2.5-7B, trained).

`recode`, `react` and `codeact` are for models that follow instructions; here the same three ways of working are asked
for in the words that the training data has. What a question holds: a call with the values of its arguments (recursive),
or the task and what happened so far (flat, code). What differs from the paper: the decoding is held to a grammar, so
that every plan parses, and a version that fails is written again.
"""

from typing import Annotated, Literal

from pydantic import Field

from agentflow import Result, Task, flow
from agentflow.errors import EpisodeOverError
from agentflow_planners.shared.acting import tools_of
from agentflow_planners.students.names import Naming
from agentflow_planners.students.prompts import DONE, of_task
from agentflow_planners.students.recursion import Call, Job, expand
from agentflow_planners.students.sight import Texts
from agentflow_planners.students.turns import act_by_calls, act_by_programs

Form = Literal["recursive", "flat", "code"]


@flow
async def trained(
    task: Task,
    *,
    form: Form = "recursive",
    names: Naming = "anonymized",
    texts: Texts = "in_sight",
    levels: Annotated[int, Field(ge=1)] = 40,
    repairs: Annotated[int, Field(ge=0)] = 2,
    turns: Annotated[int, Field(ge=1)] = 120,
) -> Result:
    """Solve a task with a model that was trained to plan.

    Args:
        task: Its environments' openings are part of what the model is asked.
        form: `recursive` (functions that call functions), `flat` (one call a turn) or `code` (one program a turn).
        names: `anonymized`: codes for them, as the model's training data had them, for text games; or `as_told`.
        texts: What texts in a reply may be: `in_sight`: words of the question and of the tools' descriptions; or `free`.
        levels: How deep functions may nest.
        repairs: How often a function may be written again after it failed.
        turns: Replies in all, where the model acts by turns.

    Raises:
        ExpansionError: It nests too deeply, a function never worked, it goes round in circles, or there is no end
            after the last turn.
        ModelError: A call of the model failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    tools = tools_of(task)
    if form == "flat":
        opening = of_task(task.goal, task.context)
        return Result(output=await act_by_calls(opening, tools, names, texts, turns))
    if form == "code":
        opening = of_task(task.goal, task.context)
        return Result(output=await act_by_programs(opening, tools, names, texts, turns))
    root = Call(name="solve", arguments={"goal": task.goal, "seen": task.context, **task.inputs})
    try:
        job = Job(tools=tuple(tools), names=names, texts=texts, levels=levels, repairs=repairs)
        return Result(output=await expand(root, job))
    except EpisodeOverError:
        return Result(output=DONE)
