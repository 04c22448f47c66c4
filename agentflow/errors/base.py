"""The one base of all errors, and the way back from what the journal wrote of one."""

from typing import Any, ClassVar


class AgentflowError(Exception):
    """Base of everything the framework raises on purpose.

    Subclasses take keyword arguments only, each one JSON data: the facts.
    """

    facts: dict[str, Any]
    retryable: ClassVar[bool] = False
    _known: ClassVar[dict[str, type["AgentflowError"]]] = {}

    def __new__(cls, *_message: object, **facts: Any) -> "AgentflowError":
        """Keep the constructor's keyword arguments: they are what the journal stores."""
        self = super().__new__(cls)
        self.facts = facts
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        AgentflowError._known[cls.__name__] = cls


def rebuild(name: str, message: str, facts: dict[str, Any]) -> AgentflowError:
    """Return the error that was recorded as `name` with `facts`; an unknown name gives a `RecordedError`."""
    kind = AgentflowError._known.get(name)
    if kind is None or not facts:
        return RecordedError(name=name, message=message)
    return kind(**facts)


class RecordedError(AgentflowError):
    """A failure read back from a journal whose type is not one of ours."""

    def __init__(self, *, name: str, message: str) -> None:
        self.name, self.message = name, message
        super().__init__(f"{name}: {message}")
