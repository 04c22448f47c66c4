"""Runs to keep in order, and ways to damage them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import insert

from agentflow import Runner, ask, flow, generate, note, parallel, tool
from agentflow.journal import tables
from agentflow.journal.content import Payloads
from agentflow.journal.events import Stored
from agentflow.journal.rows import COLUMNS, to_rows
from agentflow.journal.store import Store
from agentflow.models.protocol import Message
from tests.parts import Scripted

LONG = "a long text " * 40


@tool
def shout(text: str, times: int = 1) -> str:
    """Return `text` in capitals."""
    if not text:
        raise ValueError("nothing to shout")
    return text.upper() * times


@flow
async def shouts(texts: list[str]) -> list[str]:
    note("shouting", count=len(texts))
    return await parallel(shout(text, 40) for text in texts)


@flow
async def talk(turns: int) -> str:
    said = [Message(role="user", text=f"hello {LONG}")]
    for turn in range(turns):
        reply = await generate(said)
        said += [
            Message(role="assistant", text=reply.text),
            Message(role="user", text=f"go on, {turn}"),
        ]
    return said[-2].text


@flow
async def asks() -> str:
    return await ask("how?")


@flow
async def tree(node: list[Any]) -> int:
    """Run a tree: `["text", n]` is a leaf, `[way, child, ...]` a flow."""
    way, *below = node
    if way in ("tool", "model"):
        if way == "tool":
            return len(await shout(*below))
        return len((await generate(f"repeat: {below[0]}")).text)
    note(way, children=len(below), texts=[str(child)[:9] for child in below])
    if way == "parallel":
        return sum(await parallel(tree(child) for child in below))
    total = 0
    for child in below:
        try:
            total += await tree(child)
        except Exception as error:
            if way == "raises":
                raise
            note(str(error))
    return total


def runner(journal: str) -> Runner:
    return Runner(journal=journal, model=Scripted(lambda prompt: f"you said {prompt}"))


@contextmanager
def opened(journal: str, *, create: bool = False) -> Iterator[Store]:
    store = Store(journal, create=create)
    try:
        yield store
    finally:
        store.close()


def execute(journal: str, *statements: Any) -> None:
    """Do what no code of ours would do to a journal."""
    with opened(journal) as store, store.writing() as connection:
        for statement in statements:
            connection.execute(statement)


def append(journal: str, number: int, events: Sequence[Stored]) -> None:
    """Write events to a run that nobody holds."""
    payloads: Payloads = {}
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in to_rows(number, events, payloads)]
    execute(journal, *(insert(tables.events).values(row) for row in rows))
