"""LangGraph's checkpointers, by the name of a configuration: `none`, `memory`, `aiosqlite async`, ...

The second word of a configuration is LangGraph's durability mode. `sqlite` is the synchronous
saver: graphs run through `invoke`, with nodes that are not async.
"""

import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

NO_LIMIT = 10**6


@dataclass(frozen=True, kw_only=True)
class Saving:
    """A checkpointer, open, and how a graph that has it is run."""

    saver: Any
    durability: str | None
    is_async: bool

    async def run(self, graph: Any, given: Any) -> Any:
        """Run `graph` under a new thread id."""
        config = {"recursion_limit": NO_LIMIT, "configurable": {"thread_id": str(uuid.uuid4())}}
        options = {} if self.durability is None else {"durability": self.durability}
        if self.is_async:
            return await graph.ainvoke(given, config, **options)
        return graph.invoke(given, config, **options)


@asynccontextmanager
async def saving(configuration: str, folder: Path) -> AsyncIterator[Saving]:
    """Open the checkpointer that `configuration` names."""
    kind, _, durability = configuration.partition(" ")
    path = str(folder / "checkpoints.db")
    match kind:
        case "none":
            yield Saving(saver=None, durability=None, is_async=True)
        case "memory":
            yield Saving(saver=InMemorySaver(), durability=None, is_async=True)
        case "aiosqlite":
            async with AsyncSqliteSaver.from_conn_string(path) as saver:
                await saver.setup()
                yield Saving(saver=saver, durability=durability, is_async=True)
        case "sqlite":
            connection = sqlite3.connect(path, check_same_thread=False)
            sync_saver = SqliteSaver(connection)
            sync_saver.setup()
            yield Saving(saver=sync_saver, durability=durability, is_async=False)
            connection.close()
        case _:
            raise ValueError(f"no such configuration: {configuration}")


def either(saving: Saving, when_async: Callable[..., Any], when_not: Callable[..., Any]) -> Any:
    """Return the body that fits how the graph is run."""
    return when_async if saving.is_async else when_not
