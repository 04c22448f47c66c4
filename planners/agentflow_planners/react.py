"""Reason and act by turns: the model asks for tools until it has the answer.

Source: Yao et al., ReAct: Synergizing Reasoning and Acting in Language Models, arXiv:2210.03629.
Here the acting goes through the model's own tool calling instead of text that has to be parsed, and
independent calls of one turn run in parallel. Published figures (few-shot, PaLM-540B): ALFWorld
71 % success, WebShop 40 % success; HotpotQA 27.4 exact match.
"""

import json
from typing import Any

from agentflow import AgentflowError, Message, Reply, Result, Task, Tool, flow, generate, parallel
from agentflow.data import encode
from agentflow.engine.notes import tools_in_reach
from agentflow.errors import ExpansionError
from agentflow.models.protocol import ToolCall
from agentflow_planners.wording import question

SYSTEM = (
    "Solve the task step by step. Call a tool whenever it can tell you something you need; "
    "look at its result before you go on. When you know the answer, give it and call no tool."
)
MAX_RESULT_CHARS = 8_000


@flow
async def react(task: Task, *, turns: int = 12) -> Result:
    """Let the model call the task's tools for up to `turns` turns, then answer.

    Raises:
        ExpansionError: The model still wants tools after the last turn.
        ModelError: A call failed for good.
    """
    tools = {name: tool for name, tool in tools_in_reach().items() if name in task.tools}
    conversation = [Message(role="system", text=SYSTEM), Message(role="user", text=question(task))]
    for _turn in range(turns):
        reply = await generate(conversation, tools=list(tools.values()))
        if not reply.tool_calls:
            return Result(output=await _answer(task, conversation, reply))
        conversation.append(Message(role="assistant", text=reply.text, tool_calls=reply.tool_calls))
        conversation += await _act(reply.tool_calls, tools)
    raise ExpansionError(step="react", problem=f"no answer after {turns} turns; raise `turns`")


async def _answer(task: Task, conversation: list[Message], reply: Reply) -> Any:
    if task.output_schema is None:
        return reply.text
    final = [*conversation, Message(role="assistant", text=reply.text)]
    final.append(Message(role="user", text="Give the answer as JSON of the schema, nothing else."))
    return await generate(final, output=task.output_schema)


async def _act(calls: tuple[ToolCall, ...], tools: dict[str, Tool[..., Any]]) -> list[Message]:
    """Carry out the calls of one turn; in order if one of them has effects, else side by side."""
    if any(call.name in tools and tools[call.name].effect for call in calls):
        return [await _call(call, tools) for call in calls]
    return await parallel(_call(call, tools) for call in calls)


async def _call(call: ToolCall, tools: dict[str, Tool[..., Any]]) -> Message:
    """Return the tool's result, or its error in words: the model may know a way around it."""
    if call.name not in tools:
        text = f"there is no tool {call.name!r}; there are: {', '.join(tools) or 'none'}"
        return Message(role="tool", text=text, tool_call_id=call.id)
    try:
        value = await tools[call.name].call((), call.arguments)
        text = value if isinstance(value, str) else json.dumps(encode(value), ensure_ascii=False)
    except AgentflowError as error:
        text = f"error: {error}"
    if len(text) > MAX_RESULT_CHARS:
        text = f"{text[:MAX_RESULT_CHARS]}\n(cut, {len(text)} characters in all)"
    return Message(role="tool", text=text, tool_call_id=call.id)
