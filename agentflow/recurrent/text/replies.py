"""Remember which ids a text was, where a model wrote a part of it.

Owns the replies of late: encoding their text again may give other ids, and a state is of ids. Bounded, thread-safe.
Texts are kept as hashes and ids as 4 bytes each.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from agentflow.recurrent.text.bounded import Bounded

_MOST, _MOST_BYTES = 4096, 64 * 2**20
_MOST_SIBLINGS = 64
_ENTRY_BYTES = 400


@dataclass(frozen=True)
class Reply:
    """What was generated: the marked text, the ids behind it, and the control token that ended it, if any did."""

    text: str
    tokens: tuple[int, ...]
    end: int | None


@dataclass(frozen=True)
class Asked:
    """A prompt and the replies that it got, the latest last."""

    tokens: "array[int]"
    cuts: tuple[int, ...]
    replies: tuple[Reply, ...]

    @property
    def size_bytes(self) -> int:
        """About what it takes."""
        told = sum(_ENTRY_BYTES + 4 * len(r.text) + 16 * len(r.tokens) for r in self.replies)
        return _ENTRY_BYTES + 4 * len(self.tokens) + 16 * len(self.cuts) + told


class Replies:
    """Replies by the rendered text of their prompts. A prompt must be noted before a reply to it is kept."""

    def __init__(self, *, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._texts: Bounded[bytes, bytes] = Bounded(most=4 * most, most_bytes=most_bytes)
        self._asked: Bounded[bytes, Asked] = Bounded(most=most, most_bytes=most_bytes)

    def note(self, tokens: Sequence[int], text: str) -> None:
        """Remember which text a prompt's ids are."""
        self._texts.put(_hash_of_ids(tokens), _hash_of_text(text), size_bytes=_ENTRY_BYTES)

    def keep(self, tokens: Sequence[int], cuts: tuple[int, ...], reply: Reply) -> None:
        """Remember a reply; one to a prompt that was not noted, or long ago, is not kept."""
        key = self._texts.get(_hash_of_ids(tokens))
        if key is None:
            return
        before = self._asked.get(key)
        others = [r for r in before.replies if r.text != reply.text] if before else []
        told = (*others[1 - _MOST_SIBLINGS :], reply)
        asked = Asked(array("I", tokens), cuts, told)
        self._asked.put(key, asked, size_bytes=asked.size_bytes)

    def to(self, text: str) -> Asked | None:
        """Return what was asked with this rendered text."""
        return self._asked.get(_hash_of_text(text))


def _hash_of_text(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


def _hash_of_ids(tokens: Sequence[int]) -> bytes:
    return blake2b(array("I", tokens).tobytes(), digest_size=20).digest()
