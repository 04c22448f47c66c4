"""What a student learns from: conversations, and which of their replies count.

Owns the value and what makes one unusable. Knows no tokens and no source.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agentflow.errors import TrainingDataError
from agentflow.models.protocol import Message

Learn = Literal["all", "last"]


class Conversation(BaseModel):
    """Messages as a model is shown them, with the replies it is to give.

    Attributes:
        messages: In their order; those of role `assistant` are replies.
        learn: Every reply, or the last message alone.
        group: What kind of conversation it is; only counted.
        lesson: When it is read: lesson by lesson, each once, but for the last one, which is read until the training ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: tuple[Message, ...]
    learn: Learn = "all"
    group: str = ""
    lesson: int = 0

    def learnt(self) -> tuple[int, ...]:
        """Return the places of the messages that are learnt.

        Raises:
            TrainingDataError: There are none, or one is no reply that the engine could give: it calls tools, is empty,
                or answers nothing. What follows a reply directly would be its continuation.
        """
        places = tuple(self._replies())
        if not places:
            raise self.error("it has no reply to learn; end it with a message of the assistant")
        for place in places:
            message = self.messages[place]
            if message.tool_calls:
                problem = f"message {place} calls tools, which students do not learn; write what it does as text"
                raise self.error(problem)
            if not message.text:
                raise self.error(f"message {place} is an empty reply; leave the conversation out")
            if not place or self.messages[place - 1].role == "assistant":
                raise self.error(f"message {place} is a reply to nothing; put a question before it")
        return places

    def error(self, problem: str) -> TrainingDataError:
        """Return an error that names the conversation by its group and beginning."""
        begins = self.messages[0].text[:40] if self.messages else ""
        named = f" of {self.group!r}" if self.group else ""
        return TrainingDataError(place=f"conversation{named} ({begins!r}...)", problem=problem)

    def _replies(self) -> Iterator[int]:
        first = 0 if self.learn == "all" else len(self.messages) - 1
        for place, message in enumerate(self.messages):
            if place >= first and message.role == "assistant":
                yield place
