"""Conversations as token ids, with a mark on those that are learnt.

Owns the ids: those of a conversation are the ids that the engine would read and write in it. The tokenizer's template
puts nothing between messages, so each is encoded by itself; a test holds this against the engine's own prompts.
Knows no batches. All sequences stand one after the other, which a file holds and a process loads at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from agentflow.recurrent.mixers.folder import read_tensors, write_tensors
from agentflow.recurrent.text.tokenizer import Tokenizer
from agentflow.training.student.conversations import Conversation
from agentflow.training.student.tokenizers import END, ROLE_TOKENS


@dataclass(frozen=True, eq=False)
class Encoded:
    """Sequences of ids.

    Attributes:
        tokens: (all tokens,) int32, sequence after sequence.
        learnt: (all tokens,) bool: whether the model is to say this token.
        starts: (sequences + 1,) int64: where each begins, and the end of the last.
        lessons: (sequences,) int32: when each is read first; see `Conversation`.
    """

    tokens: Tensor
    learnt: Tensor
    starts: Tensor
    lessons: Tensor

    def __len__(self) -> int:
        return len(self.starts) - 1

    def save(self, path: Path) -> None:
        """Write them to one file in place of what was there."""
        held = {"tokens": self.tokens, "learnt": self.learnt}
        held |= {"starts": self.starts, "lessons": self.lessons}
        write_tensors(path, held, {"format": "pt"})

    @classmethod
    def load(cls, path: Path) -> "Encoded":
        """Read them again.

        Raises:
            WeightsError: The file is missing or damaged.
        """
        held = read_tensors(path, path.parent)
        return cls(held["tokens"], held["learnt"], held["starts"], held["lessons"])


def encode(conversation: Conversation, tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """Return the ids of a conversation, and which of them are learnt: replies and the ends of replies.

    Raises:
        TrainingDataError: It has no reply that can be learnt.
    """
    wanted = set(conversation.learnt())
    control = tokenizer.encoder.control
    ids, learnt = list[int](), list[bool]()
    for place, message in enumerate(conversation.messages):
        said = tokenizer.encode(message.text)
        if message.role == "assistant":
            said = [*said, control[END]]
        ids += [control[ROLE_TOKENS[message.role]], *said]
        learnt += [False, *[place in wanted] * len(said)]
    return ids, learnt


def encode_all(conversations: Iterable[Conversation], tokenizer: Tokenizer) -> Encoded:
    """Return all conversations, a sequence each.

    Raises:
        TrainingDataError: One has no reply that can be learnt.
    """
    parts, marks, starts, lessons = list[Tensor](), list[Tensor](), [0], list[int]()
    for conversation in conversations:
        ids, learnt = encode(conversation, tokenizer)
        parts.append(torch.tensor(ids, dtype=torch.int32))
        marks.append(torch.tensor(learnt))
        starts.append(starts[-1] + len(ids))
        lessons.append(conversation.lesson)
    return Encoded(
        torch.cat(parts) if parts else torch.empty(0, dtype=torch.int32),
        torch.cat(marks) if marks else torch.empty(0, dtype=torch.bool),
        torch.tensor(starts),
        torch.tensor(lessons, dtype=torch.int32),
    )
