"""Build prompts whose states others can go on from.

Owns the cuts, and that a reply of ours comes back with the ids it was generated as. Knows no model and no states.
The text of a prompt is always what the template writes for the messages; how its ids were found changes only how
much of it has been read before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from agentflow.recurrent.requests import Prompt
from agentflow.recurrent.sequences import shared
from agentflow.recurrent.text.rendering import Message, Renderer
from agentflow.recurrent.text.replies import Replies, Reply
from agentflow.recurrent.text.tokenizer import Tokenizer

MOST_CUTS = 128
_PROBE = "\N{BLACK SQUARE}"  # a first word that no person's message begins with


@dataclass(frozen=True)
class _Known:
    """The beginning of a text that a prompt and a reply of ours stand for: its ids and what they came to."""

    characters: int = 0
    ids: tuple[int, ...] = ()
    cuts: tuple[int, ...] = ()
    messages: int = 0


class Prompts:
    """Builds prompts for one tokenizer and remembers replies. Thread-safe.

    What a message's text can do and cannot do: see `rendering.Renderer`.
    """

    def __init__(self, tokenizer: Tokenizer, replies: Replies | None = None) -> None:
        self._encoder, self._decode = tokenizer.encoder, tokenizer.decode
        self._end_tokens = tokenizer.end_tokens | tokenizer.special
        self._renderer = Renderer(tokenizer)
        self._replies = Replies() if replies is None else replies
        self.stop: tuple[str, ...] = () if tokenizer.has_template else ("\n\nuser:",)
        """Texts that end a reply where the model has no token for it: without a template."""

    def build(
        self,
        messages: Sequence[Message],
        tools: Sequence[Message] | None = None,
        add_reply: bool = True,
        repeat_context: int = 1,
    ) -> Prompt:
        """Return the prompt of a conversation.

        Args:
            messages: In the form of Chat Completions; contents are text or text parts.
            tools: In the form of Chat Completions.
            add_reply: Ends with what an assistant's message begins with.
            repeat_context: How often the first message's text is said, with an empty line between. Twice helps
                recurrent models to recall it (JRT prompting, arXiv:2407.05483), and a tree of prompts reads it once.

        Returns:
            Ids, cut at the end of what comes before the first question, at the end of each of the latest messages,
            and before each assistant's reply. A cut is where the ids of the shorter conversation and of this one part.

        Raises:
            ValueError: The messages are none, or the template refuses them.
        """
        if not messages:
            raise ValueError("a prompt needs at least one message")
        if repeat_context < 1:
            raise ValueError(f"the context is said once at least, not {repeat_context} times")
        prepared = self._renderer.prepared(messages)
        prepared[0]["content"] = "\n\n".join([prepared[0]["content"]] * repeat_context)
        render = partial(self._renderer.render, tools=self._renderer.tools(tools))
        text = render(prepared, add_reply=add_reply)
        known = self._known(text, prepared, render)
        ids = self._ids(text, text, known)
        shorter = self._shorter(prepared, known, render, add_reply=add_reply)
        cuts = {shared(ids, self._ids(other, text, known)) for other in shorter} | {*known.cuts}
        prompt = Prompt(tokens=tuple(ids), cuts=tuple(sorted(cuts - {0, len(ids)})))
        self._replies.note(prompt.tokens, text)
        return prompt

    def text(self, text: str) -> Prompt:
        """Return the prompt of a bare text; control tokens written in it are meant."""
        return Prompt(tokens=tuple(self._encoder.encode(self._renderer.raw(text))))

    def learn(self, prompt: Prompt, tokens: Sequence[int]) -> None:
        """Remember the ids of a reply, so that a conversation which goes on from it begins with just these.

        That holds as long as prompt and reply are among the latest, and while the template writes the reply's text
        as it was; where it does not (strips spaces or thinking), the text is encoded again.
        """
        ended = bool(tokens) and tokens[-1] in self._end_tokens
        body = tuple(tokens[:-1] if ended else tokens)
        reply = Reply(self._renderer.reply(self._decode(body)), body, tokens[-1] if ended else None)
        self._replies.keep(prompt.tokens, prompt.cuts, reply)

    def _known(self, text: str, prepared: Sequence[Message], render: Any) -> _Known:
        """Return the longest beginning of a text that ends with a reply of ours."""
        for place in range(len(prepared) - 1, -1, -1):
            if prepared[place]["role"] != "assistant":
                continue
            asked = _or_none(render, prepared[:place], add_reply=True)
            if (
                asked is None
                or not text.startswith(asked)
                or not (found := self._replies.to(asked))
            ):
                continue
            hits = [self._hit(reply, text, len(asked)) for reply in found.replies]
            characters, ids = max((hit for hit in hits if hit), default=(0, ()))
            if characters:
                before = tuple(found.tokens)
                cuts = (*found.cuts, len(before), len(before) + len(ids))
                return _Known(characters, before + ids, cuts, place + 1)
        return _Known()

    def _hit(self, reply: Reply, text: str, at: int) -> tuple[int, tuple[int, ...]] | None:
        """Return where a reply ends in a text and its ids there; None when the text goes on differently."""
        if not text.startswith(reply.text, at):
            return None
        at += len(reply.text)
        mark = None if reply.end is None else self._encoder.mark_of(reply.end)
        if mark is not None and reply.end is not None and text.startswith(mark, at):
            return at + len(mark), (*reply.tokens, reply.end)
        is_whole = at == len(text) or self._encoder.starts_with_mark(text[at:])
        return (at, reply.tokens) if is_whole or not self._encoder.prepends else None

    def _ids(self, text: str, whole: str, known: _Known) -> list[int]:
        """Return the ids of a text, beginning with those known if it begins as the whole one does."""
        if known.characters and text.startswith(whole[: known.characters]):
            rest = self._encoder.encode(text[known.characters :], continues=True)
            return [*known.ids, *rest]
        return self._encoder.encode(text)

    def _shorter(
        self, prepared: Sequence[Message], known: _Known, render: Any, *, add_reply: bool
    ) -> Iterator[str]:
        """Yield the texts of shorter conversations that others may share with this one."""
        if not known.messages:
            systems = sum(1 for _ in _leading_systems(prepared))
            head = _or_none(
                render, [*prepared[:systems], {"role": "user", "content": _PROBE}], add_reply=False
            )
            if head is not None:
                yield head
        last = len(prepared) if add_reply else len(prepared) - 1
        for count in range(max(known.messages, 1, last - MOST_CUTS), last + 1):
            text = _or_none(render, prepared[:count], add_reply=False)
            if text is not None:
                yield text


def _leading_systems(prepared: Sequence[Message]) -> Iterator[Message]:
    for message in prepared:
        if message["role"] != "system":
            return
        yield message


def _or_none(render: Any, messages: Sequence[Message], *, add_reply: bool) -> str | None:
    """Return the text of messages; None when the template wants more of them (a question, an answer)."""
    try:
        text: str = render(messages, add_reply=add_reply)
    except ValueError:
        return None
    return text
