"""Act by turns: a model asks for tools until it has something to say.

Owns the loop of calls and results that ReAct is, for it and for every planner with an executor below
it. Calls of one turn run side by side unless one of them has effects.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from agentflow import (
    AgentflowError,
    Message,
    Task,
    Tool,
    ToolCall,
    generate,
    parallel,
    tools_in_reach,
)
from agentflow.errors import EpisodeOverError, ExpansionError, MalformedReplyError, ToolError
from agentflow_planners.shared.answers import GIVEN_UP, given_up, whole_answer
from agentflow_planners.shared.wording import happened, question, shown, tool_lines

SYSTEM = (
    "Solve the task step by step. Call a tool whenever it can tell you something you need; "
    "look at its result before you go on. When you know the answer, give it and call no tool."
)
EXECUTE = f"{SYSTEM} If you find that it cannot be done, answer with one line: `{GIVEN_UP}` and the reason."
WRITE = (
    "Do the task. Give what it asks for, and nothing else."  # a small model with a way out takes it
)
MAX_RESULT_CHARS = 8_000
MAX_SEEN_CHARS = 2_000
MAX_EFFECT_CHARS = 200
SETBACKS = (ExpansionError, MalformedReplyError)  # what an executor that fails raises

Tools = Mapping[str, Tool[..., Any]]


def tools_of(task: Task) -> dict[str, Tool[..., Any]]:
    """Return the run's tools that the task allows, by name."""
    return {name: tool for name, tool in tools_in_reach().items() if name in task.tools}


def for_planning(task: Task) -> str:
    """Return the whole task as a prompt for who plans it: with the tools of those who carry it out."""
    tools = tool_lines(tools_of(task).values())
    told = f"\n\nThe executors have these tools:\n{tools}" if tools else ""
    return f"{question(task)}{told}"


def has_effects(task: Task) -> bool:
    """Return whether a tool of the task changes something, so that work has to go in order."""
    return any(tool.effect for tool in tools_of(task).values())


async def act(
    conversation: Sequence[Message],
    tools: Tools,
    *,
    turns: int,
    step: str,
    effects: list[str] | None = None,
    seen: list[str] | None = None,
    most_calls: int | None = None,
) -> tuple[list[Message], str]:
    """Let the model call tools until it replies without; return the conversation and that reply.

    Args:
        conversation: What it starts from.
        tools: What it may call.
        turns: How many replies it has.
        step: Whose failure it is when they do not suffice.
        effects: Gets a line for each call of a tool with effects.
        seen: Gets a line for each call, with the beginning of what it gave.
        most_calls: How many calls of one reply are carried out.

    Raises:
        ExpansionError: The model still wants tools after the last turn.
        ModelError: A call failed for good.
    """
    said = list(conversation)
    for _turn in range(turns):
        reply = await generate(said, tools=list(tools.values()))
        if not reply.tool_calls:
            return said, reply.text
        said.append(Message(role="assistant", text=reply.text, tool_calls=reply.tool_calls))
        calls = reply.tool_calls[:most_calls]
        answers = await _answered(calls, tools, [] if effects is None else effects)
        said += answers + [_left_out(call, len(calls)) for call in reply.tool_calls[len(calls) :]]
        if seen is not None:
            seen += (_line(*pair, MAX_SEEN_CHARS) for pair in zip(calls, answers, strict=True))
    raise ExpansionError(step=step, problem=f"no answer after {turns} turns; raise `turns`")


async def attempt(task: Task, *, turns: int, step: str) -> Any:
    """Try to solve a task by acting; return its answer.

    Raises:
        ExpansionError: The model says that it failed, or needs more turns. The message tells of calls
            with effects that have happened.
        MalformedReplyError: Its answer never had the wanted shape.
        ModelError: A call failed for good.
    """
    effects: list[str] = []
    tools = tools_of(task)
    system = EXECUTE if tools else WRITE
    start = [Message(role="system", text=system), Message(role="user", text=question(task))]
    conversed = act(start, tools, turns=turns, step=step, effects=effects)
    return await concluded(task, conversed, effects, step=step)


async def concluded(
    task: Task,
    conversed: Awaitable[tuple[list[Message], str]],
    effects: list[str],
    *,
    step: str,
) -> Any:
    """Await a conversation such as `act`; return the answer in which it ends.

    Args:
        task: What was asked.
        conversed: Gives the conversation and the reply after it.
        effects: What calls with effects have done, as `act` says it; a failure tells of them.
        step: Whose failure it is.

    Raises:
        ExpansionError: The model says that it failed, or needs more turns.
        MalformedReplyError: Its answer never had the wanted shape.
    """
    try:
        said, text = await conversed
    except ExpansionError as error:
        raise _failed(step, error.problem, effects) from error
    reason = given_up(text)
    if reason is not None:
        raise _failed(step, reason, effects)
    return await whole_answer(task, said, text)


def _failed(step: str, reason: str, effects: list[str]) -> ExpansionError:
    return ExpansionError(step=step, problem=f"{reason} {happened(effects)}".strip())


async def _answered(calls: tuple[ToolCall, ...], tools: Tools, effects: list[str]) -> list[Message]:
    """Carry out the calls of one turn; in order if one of them has effects, else side by side."""
    if any(call.name in tools and tools[call.name].effect for call in calls):
        return [await _call(call, tools, effects) for call in calls]
    return await parallel(_call(call, tools, effects) for call in calls)


async def _call(call: ToolCall, tools: Tools, effects: list[str]) -> Message:
    """Return the tool's result, or its error in words: the model may know a way around it."""
    if call.name not in tools:
        text = f"there is no tool {call.name!r}; there are: {', '.join(tools) or 'none'}"
        return Message(role="tool", text=text, tool_call_id=call.id)
    tool, may_have_happened = tools[call.name], True
    try:
        text = shown(await tool.call((), call.arguments), MAX_RESULT_CHARS)
    except AgentflowError as error:
        text = shown(f"error: {error}", MAX_RESULT_CHARS)
        may_have_happened = isinstance(error, ToolError) and not isinstance(error, EpisodeOverError)
    if tool.effect and may_have_happened:
        effects.append(_line(call, Message(role="tool", text=text), MAX_EFFECT_CHARS))
    return Message(role="tool", text=text, tool_call_id=call.id)


def _left_out(call: ToolCall, most: int) -> Message:
    text = f"not done: at most {most} calls in one reply"
    return Message(role="tool", text=text, tool_call_id=call.id)


def _line(call: ToolCall, answer: Message, limit: int) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
    return f"{call.name}({given}) gave {shown(answer.text, limit)}"
