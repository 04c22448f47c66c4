"""Pairs as the lines that trainers read.

Owns four formats: `chat` and `prompt-completion` as TRL and Axolotl take them, `alpaca` and `sharegpt` as
LLaMA-Factory does. A format that cannot say something raises; nothing is left out in silence.
"""

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Literal

from agentflow.errors import TrainingDataError
from agentflow.models.protocol import Message, ToolCall, ToolSpec
from agentflow.training.pairs import Pair

Format = Literal["chat", "prompt-completion", "alpaca", "sharegpt"]
Line = dict[str, Any]

SPEAKERS = {"user": "human", "tool": "observation", "assistant": "gpt"}


def line_of(pair: Pair, form: Format, *, bare: bool = False) -> Line:
    """Return a pair as one JSON object; `metadata` says where it comes from, unless it is to be bare.

    Raises:
        TrainingDataError: The format cannot hold it.
    """
    line = FORMATS[form](pair)
    return line if bare else line | {"metadata": pair.origin.model_dump()}


def chat(pair: Pair) -> Line:
    """Return the conversation, the reply last."""
    turns = [_turn(message) for message in (*pair.prompt, pair.reply)]
    return {"messages": turns} | _tools(pair.tools)


def prompt_completion(pair: Pair) -> Line:
    """Return prompt and reply apart: a trainer learns the reply alone."""
    prompt = [_turn(message) for message in pair.prompt]
    return {"prompt": prompt, "completion": [_turn(pair.reply)]} | _tools(pair.tools)


def alpaca(pair: Pair) -> Line:
    """Return the last question as the instruction, what came before as the history."""
    system, turns = _parted(pair, "alpaca")
    if pair.tools or any(turn.tool_calls or turn.role == "tool" for turn in turns):
        raise _cannot(pair, "alpaca", "tool calls")
    said = [turn.text for turn in turns]
    history = [list(couple) for couple in zip(said[:-2:2], said[1:-2:2], strict=True)]
    return {
        "system": system,
        "instruction": said[-2],
        "input": "",
        "output": said[-1],
        "history": history,
    }


def sharegpt(pair: Pair) -> Line:
    """Return the conversation by speakers: system, human, gpt, function_call and observation."""
    system, turns = _parted(pair, "sharegpt")
    spoken = [{"from": "system", "value": system}] if system else []
    for turn in turns:
        if not turn.tool_calls:
            spoken.append({"from": SPEAKERS[turn.role], "value": turn.text})
        elif turn.text:
            raise _cannot(pair, "sharegpt", "text beside a tool call")
        else:
            calls = [{"name": call.name, "arguments": call.arguments} for call in turn.tool_calls]
            value = json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)
            spoken.append({"from": "function_call", "value": value})
    tools = [tool.model_dump() for tool in pair.tools]
    named = {"tools": json.dumps(tools, ensure_ascii=False)} if tools else {}
    return {"conversations": spoken} | named


FORMATS: dict[Format, Callable[[Pair], Line]] = {
    "chat": chat,
    "prompt-completion": prompt_completion,
    "alpaca": alpaca,
    "sharegpt": sharegpt,
}


def _turn(message: Message) -> Line:
    turn: Line = {"role": message.role, "content": message.text}
    if message.tool_calls:
        turn["tool_calls"] = [_wish(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _wish(call: ToolCall) -> Line:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _tools(tools: Sequence[ToolSpec]) -> Line:
    if not tools:
        return {}
    return {"tools": [{"type": "function", "function": tool.model_dump()} for tool in tools]}


def _parted(pair: Pair, form: Format) -> tuple[str, list[Message]]:
    """Return the system message, and turns of two speakers by turns: theirs, the model's, theirs."""
    system = [message.text for message in pair.prompt if message.role == "system"]
    others = [message for message in (*pair.prompt, pair.reply) if message.role != "system"]
    turns = [
        turn
        for role, group in groupby(others, key=lambda message: message.role)
        for turn in _joined(role, list(group))
    ]
    if any((turn.role == "assistant") != bool(place % 2) for place, turn in enumerate(turns)):
        raise _cannot(pair, form, "a conversation in which the two do not take turns")
    return "\n\n".join(system), turns


def _joined(role: str, messages: list[Message]) -> list[Message]:
    """Return neighbours of one role as one turn; a model's turns stay apart."""
    if role == "assistant" or len(messages) == 1:
        return messages
    text = "\n\n".join(message.text for message in messages)
    return [messages[0].model_copy(update={"text": text})]


def _cannot(pair: Pair, form: Format, what: str) -> TrainingDataError:
    place = f"run {pair.origin.run}, step {pair.origin.step}"
    return TrainingDataError(place=place, problem=f"{form} cannot hold {what}; use --format chat")
