"""Write a conversation as marked text, by the model's chat template or in a plain form.

Owns what happens to messages on the way: parts of a content are joined, arguments of tool calls become objects, other
people's text is quoted (`quoting`). Knows no ids and no cuts.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agentflow.recurrent.text.quoting import Quotes
from agentflow.recurrent.text.tokenizer import Tokenizer

Message = Mapping[str, Any]


class Renderer:
    """Renders for one tokenizer. In the result only the template's own control tokens are marks.

    Precisely: no text of a message or tool holds, begins or ends a control token, however the template joins, strips
    or repeats texts. Two things are left as they are: a reply's own markup (`<think>`, `<tool_call>`: control tokens
    that are not special, in the text of assistant messages), and words. Where a model tells roles by words alone, as
    in the plain form, anybody can write such words.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._encoder = tokenizer, tokenizer.encoder
        control = self._encoder.control
        special = [
            text for text in self._encoder.writable if control[text] in self._encoder.special
        ]
        self._quotes = Quotes(self._encoder.writable, special)
        self._knows_developers = "developer" in tokenizer.template
        marks = (self._encoder.mark_of(token) for token in tokenizer.beginning)
        self._beginning = "".join(mark for mark in marks if mark is not None)

    def prepared(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Return messages as templates want them, their texts quoted.

        Raises:
            ValueError: A message is no message, or has something but text in it.
        """
        return [self._prepared(message, place) for place, message in enumerate(messages)]

    def tools(self, tools: Sequence[Message] | None) -> list[dict[str, Any]] | None:
        """Return tools with their texts quoted."""
        return [self._quotes.anybody(dict(tool)) for tool in tools] if tools else None

    def render(
        self, prepared: Sequence[Message], tools: Sequence[Message] | None, *, add_reply: bool
    ) -> str:
        """Return the marked text of prepared messages and tools.

        Raises:
            ValueError: The template refuses them.
        """
        if self._tokenizer.has_template:
            text = self._tokenizer.render(prepared, tools, add_reply=add_reply)
            return self._marked(text)
        return self._beginning + self._marked(_plain(prepared, tools, add_reply=add_reply))

    def reply(self, text: str) -> str:
        """Return the text of a reply as it is rendered by a template that leaves it as it is."""
        return self._marked(self._quotes.reply(text))

    def raw(self, text: str) -> str:
        """Return text in which control tokens are meant, with the beginning that texts have."""
        marked = self._encoder.mark(text)
        return marked if marked.startswith(self._beginning) else self._beginning + marked

    def _marked(self, quoted: str) -> str:
        return self._quotes.removed(self._encoder.mark(quoted))

    def _prepared(self, message: Message, place: int) -> dict[str, Any]:
        role = message.get("role")
        if not isinstance(role, str):
            raise ValueError(f"message {place} has no role")  # noqa: TRY004 - wrong input
        if role == "developer" and not self._knows_developers:
            role = "system"
        kept = {name: value for name, value in message.items() if value is not None}
        content = _text(kept.pop("content", ""), place)
        calls = kept.pop("tool_calls", None)
        if role == "assistant":
            texts = {name: self._of_reply(value) for name, value in kept.items()}
            found = texts | {"content": self._quotes.reply(content)}
        else:
            texts = {name: self._quotes.anybody(value) for name, value in kept.items()}
            found = texts | {"content": self._quotes.anybody(content)}
        found["role"] = self._quotes.anybody(role)
        if calls:
            found["tool_calls"] = [self._quotes.anybody(_read_arguments(call)) for call in calls]
        return found

    def _of_reply(self, value: Any) -> Any:
        return self._quotes.reply(value) if isinstance(value, str) else self._quotes.anybody(value)


def _text(content: Any, place: int) -> str:
    """Return a content's text; parts are joined as they are."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        problem = f"message {place} has a content of type {type(content).__name__}, not text"
        raise ValueError(problem)  # noqa: TRY004 - wrong input
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, Mapping) else part
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            problem = f"message {place} has a part of type {kind}; this model reads text only"
            raise ValueError(problem)  # noqa: TRY004 - wrong input
        texts.append(text)
    return "".join(texts)


def _read_arguments(call: Any) -> Any:
    """Return a tool call with arguments as an object, as templates expect it; the API has them as JSON."""
    if not isinstance(call, Mapping) or not isinstance(call.get("function"), Mapping):
        return call
    function = dict(call["function"])
    try:
        arguments = json.loads(function.get("arguments", ""))
    except (TypeError, ValueError):
        return call
    if not isinstance(arguments, dict):
        return call
    return {**call, "function": {**function, "arguments": arguments}}


def _plain(messages: Sequence[Message], tools: Sequence[Message] | None, *, add_reply: bool) -> str:
    """Return `role: text` blocks with an empty line after each; a reply begins right after its colon."""
    blocks = [("tools", json.dumps(tools, ensure_ascii=False))] if tools else []
    for message in messages:
        calls = message.get("tool_calls")
        text = message["content"] + (json.dumps(calls, ensure_ascii=False) if calls else "")
        blocks.append((message["role"], text))
    texts = [f"{role}:{'' if text[:1].isspace() else ' '}{text}\n\n" for role, text in blocks]
    return "".join(texts) + ("assistant:" if add_reply else "")
