"""Ask the person in front of the terminal."""

from collections.abc import Awaitable, Callable

import anyio.to_thread
import click

from agentflow.cli.screen import Screen
from agentflow.cli.words import clean
from agentflow.engine.people import Question


def ask_on_terminal(screen: Screen) -> Callable[[Question], Awaitable[str]]:
    """Return a function that puts a question to the person at the terminal; other branches go on."""

    async def answer(question: Question) -> str:
        screen.pause()
        # Abandoned, because nothing can end a thread that waits for a key; the process may still stop.
        return await anyio.to_thread.run_sync(_prompt, question, abandon_on_cancel=True)

    return answer


def _prompt(question: Question) -> str:
    choices = click.Choice(question.choices) if question.choices else None
    reply: str = click.prompt(
        clean(question.text), default=question.default, type=choices, err=True
    )
    return reply
