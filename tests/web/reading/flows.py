"""Flows whose runs have something of everything to show."""

from typing import Any

from agentflow import Runner, ask, flow, generate, note, parallel, tool
from agentflow.errors import ToolError
from agentflow.models.protocol import Message, Price
from tests.parts import Scripted

LONG = "a long text with Grüße in it, " * 40


@tool
def shout(text: str, times: int = 1) -> str:
    """Return `text` in capitals."""
    if not text:
        raise ValueError("nothing to shout\nat all")
    return text.upper() * times


@tool(effect=True)
def send(text: str) -> str:
    """Pretend to send `text`."""
    return f"sent {text}"


@flow
async def shouts(texts: list[str]) -> list[str]:
    note("shouting", count=len(texts))
    return await parallel(shout(text, 40) for text in texts)


@flow
async def talk(topic: str, turns: int = 2) -> str:
    said = [Message(role="user", text=f"hello {topic} {LONG}")]
    for turn in range(turns):
        reply = await generate(said)
        said += [
            Message(role="assistant", text=reply.text),
            Message(role="user", text=f"go on, {turn}"),
        ]
    await send(topic)
    return said[-2].text


@flow
async def asks(question: str) -> str:
    return await ask(question, choices=("yes", "no"))


@flow
async def fails(text: str) -> str:
    try:
        await shout(text)
    except ToolError as error:
        note(f"it failed: {error}")
    return await shout(text)


def runner(journal: str, **settings: Any) -> Runner:
    model = Scripted(lambda prompt: f'you said "{prompt[:20]}"', price=Price(input=1, output=2))
    return Runner(journal=journal, model=model, **settings)
