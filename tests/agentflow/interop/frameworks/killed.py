"""Flows of other frameworks for a process that is killed in the middle.

python -m tests.agentflow.interop.frameworks.killed KIND JOURNAL URL NOTES
"""

import sys
from pathlib import Path
from typing import Any

import anyio

from agentflow import Runner
from agentflow.flows import Flow
from agentflow.models.protocol import ModelSpec

QUESTION = "How heavy is tea?"


def weighing(notes: Path) -> Any:
    """Return a tool that writes down each time it is called."""

    def weigh(item: str) -> str:
        """Weigh an item."""
        with notes.open("a") as lines:
            lines.write(f"{item}\n")
        return f"{item}: 7 g"

    return weigh


def made(kind: str, notes: Path) -> Flow[..., Any]:
    """Return the flow under test."""
    weigh = weighing(notes)
    if kind == "pydantic-ai":
        from pydantic_ai import Agent

        from agentflow.interop.pydantic_ai import from_pydantic_ai

        return from_pydantic_ai(Agent(name="scales", tools=[weigh]), effects=["weigh"])
    import dspy

    from agentflow.interop.dspy import from_dspy

    agent = dspy.ReAct("question -> answer", tools=[weigh])
    return from_dspy(agent, name="scales", effects=["weigh"])


def runner(journal: str, url: str) -> Runner:
    """Return how it runs."""
    spec = ModelSpec(provider="openai", name="m", base_url=url, retries=0)
    return Runner(model=spec, journal=journal)


if __name__ == "__main__":
    kind, journal, url, notes = sys.argv[1:]
    flow = made(kind, Path(notes))
    anyio.run(lambda: runner(journal, url).run_as("r", flow, QUESTION))
