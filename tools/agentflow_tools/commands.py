"""How worlds of many possible commands list them: those that were asked for, and not too many."""

from collections.abc import Iterable

SHOWN_COMMANDS = 60


def commands_with(commands: Iterable[str], words: str) -> list[str]:
    """Return the first 60 commands that contain all of the words, whatever their case."""
    wanted = words.lower().split()
    found = [text for text in commands if all(word in text.lower() for word in wanted)]
    return found[:SHOWN_COMMANDS]
