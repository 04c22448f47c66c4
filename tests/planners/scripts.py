"""Models for tests of planners: real ones, which answer from a script and may ask for tools."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from agentflow import Flow, Reply, Result, Runner, RunResult, Task
from agentflow.models.protocol import OnText, Request, ToolCall
from tests.parts import Scripted, shape

CALL = re.compile(r"^CALL (\w+) (\{.*\})$", re.MULTILINE)


class Acting(Scripted):
    """A model whose lines `CALL name {json}` are tool calls, and which keeps whole requests."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        super().__init__(answer)
        self.requests: list[Request] = []

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        self.requests.append(request)
        reply = await super().complete(request, on_text)
        calls = tuple(
            ToolCall(id=f"call_{number}", name=name, arguments=json.loads(arguments))
            for number, (name, arguments) in enumerate(CALL.findall(reply.text))
        )
        return reply.model_copy(update={"tool_calls": calls, "text": "" if calls else reply.text})


class Meeting(Acting):
    """A model that answers prompts which speak of `words` only when all of these are asked for."""

    def __init__(self, answer: Callable[[str], str], words: Sequence[str]) -> None:
        super().__init__(answer)
        self._missing, self._all = set(words), anyio.Event()
        self._words = tuple(words)

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        prompt = request.messages[-1].text
        spoken = [word for word in self._words if word in prompt]
        self._missing -= set(spoken)
        if not self._missing:
            self._all.set()
        if spoken:
            await self._all.wait()  # one after the other would wait here for ever
        return await super().complete(request, on_text)


def in_turn(*replies: str) -> Callable[[str], str]:
    """Return an answer function that gives these replies one after the other."""
    left = list(replies)
    return lambda _prompt: left.pop(0)


async def solved(
    planner: Flow[..., Result],
    model: Scripted,
    task: Task,
    *,
    journal: str,
    tools: Sequence[Any] = (),
    **options: Any,
) -> RunResult[Any]:
    """Run a planner, and replay the run: it must come to the same without the model."""
    runner = Runner(journal=journal, model=model, tools=tools)
    result = await runner.run_async(planner, task, **options)
    asked = len(model.asked)
    replayed = await Runner(journal=journal, tools=tools).replay(planner, result.id)
    assert replayed.output == result.output
    assert shape(replayed.record) == shape(result.record)
    assert len(model.asked) == asked, "a replay asks nobody"
    return result


def notes_of(result: RunResult[Any]) -> str:
    """Return all remarks of a run, one a line."""
    return "\n".join(note.text for step in result.record.steps.values() for note in step.notes)
