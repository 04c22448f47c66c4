"""Ask the person in front of the terminal."""

from collections.abc import Callable

import click

from agentflow.cli.screen import Screen
from agentflow.cli.words import clean
from agentflow.engine.people import Question


def ask_on_terminal(screen: Screen) -> Callable[[Question], str]:
    """Return a function that puts a question to the person at the terminal."""

    def answer(question: Question) -> str:
        screen.pause()
        choices = click.Choice(question.choices) if question.choices else None
        reply: str = click.prompt(
            clean(question.text), default=question.default, type=choices, err=True
        )
        return reply

    return answer
