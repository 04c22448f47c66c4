"""Flows that tests serve; copied into the folder that a server is started in.

What they did is in files there: a line for each call that must not be repeated. What waits, waits for a file.
"""

import asyncio
import os
from pathlib import Path

import anyio
from pydantic import BaseModel

from agentflow import Message, Result, Task, ask, flow, generate, note, parallel, tool


def did(text: str) -> None:
    """Write down that something was done, so that also a killed process has done it."""
    with Path("done.txt").open("a") as file:
        file.write(f"{os.getpid()} {text}\n")


async def until(name: str) -> None:
    while not Path(name).exists():
        await anyio.sleep(0.01)


@tool
def shout(text: str) -> str:
    """Say it loudly."""
    did(text)
    return text.upper()


@flow
async def echo(text: str) -> str:
    """Say it again, louder.

    This line is for those who read the code.
    """
    return await shout(text)


@flow
async def gated(text: str, gate: str = "gate") -> str:
    """Do one thing, wait, do another."""
    first = await shout(f"first {text}")
    await until(gate)
    return f"{first}, {await shout(f'second {text}')}"


@flow
async def polite(name: str) -> str:
    """Ask before it answers."""
    greeting = await shout(f"hello {name}")
    colour: str = await ask("Which colour?", choices=("red", "green"))
    return f"{greeting}: {colour}"


class Order(BaseModel):
    item: str
    count: int


@flow
async def price(order: Order, currency: str = "EUR") -> dict[str, str]:
    return {"item": order.item, "total": f"{order.count * 3} {currency}"}


@flow
async def recall(turns: list[Message]) -> str:
    return " | ".join(f"{turn.role}: {turn.text}" for turn in turns)


@flow
async def plan(task: Task) -> Result:
    return Result(output=f"{task.goal} / {task.context} / {sorted(task.inputs)}")


@flow
async def broken(text: str) -> str:
    await shout(text)
    raise RuntimeError(f"the password is hunter2, in {Path.cwd()}")


@flow
async def fan(count: int) -> int:
    """Take many steps."""
    for number in range(count):
        await shout(str(number))
        note(f"step {number}")
    return count


@flow
async def writer(text: str) -> str:
    return (await generate(text)).text


@flow
async def liar(text: str) -> str:
    said = await writer(text)
    return f"not {said}"


@flow
async def odd() -> object:
    """Give what JSON cannot say."""
    return {"infinite": float("inf"), "pair": (1, 2), "raw": b"\xff"}


@flow
async def slow() -> int:
    await until("gate")
    return 0


@flow
async def busy() -> int:
    """Ask, and do something else meanwhile."""

    async def asked() -> int:
        return await ask("How many?", output=int)

    return sum(await parallel([asked(), slow()]))


@flow
async def gives_up(text: str) -> str:
    """Cancel itself, as a library does that loses its connection."""
    raise asyncio.CancelledError(text)


@flow
async def quits(text: str) -> str:
    raise KeyboardInterrupt(text)


@tool
def hold() -> None:
    """Take a thread and keep it."""
    did("hold")
    while not Path("gate").exists():
        pass


@flow
async def holds() -> str:
    await hold()
    return "let go"
