"""Tell a response of `/v1/responses`, whole or as events.

Owns the items of a response and the order of their events: each is added, grows and is done, one after the other. What
is told at the end is what the events have built.
"""

import secrets
import time
from collections.abc import Iterator
from typing import Any

from agentflow.recurrent.generation import Generation
from agentflow.recurrent.requests import Outcome, Piece
from agentflow.recurrent.server.answer import Answer
from agentflow.recurrent.server.drafts import CallText, Draft, News, usage_of
from agentflow.recurrent.server.messages import told_message
from agentflow.recurrent.server.service import Service

Event = dict[str, Any]


class Output:
    """The items of a response as they grow; every method yields the events of what it changes."""

    def __init__(self, *, has_logprobs: bool) -> None:
        self.items: list[dict[str, Any]] = []
        self._has_logprobs = has_logprobs
        self._part: dict[str, Any] | None = None  # the text of the last item while it grows

    def grow(self, news: News) -> Iterator[Event]:
        """Add what a piece has told."""
        if news.text or news.logprobs:
            yield from self._text(news)
        for call in news.calls:
            yield from self.close("completed")
            yield from self._call(call)

    def close(self, status: str) -> Iterator[Event]:
        """Finish the text that grows."""
        if self._part is None:
            return
        part, self._part = self._part, None
        item, place = self.items[-1], self._place()
        yield {
            "type": "response.output_text.done",
            **place,
            "content_index": 0,
            "text": part["text"],
            "logprobs": part.get("logprobs", []),
        }
        yield {"type": "response.content_part.done", **place, "content_index": 0, "part": part}
        item["status"] = status
        yield self._item_event("done")

    def end(self, status: str) -> Iterator[Event]:
        """Finish the last item; a reply of nothing is a message without text."""
        if not self.items:
            yield from self._open_text()
        yield from self.close(status)

    def _text(self, news: News) -> Iterator[Event]:
        if self._part is None:
            yield from self._open_text()
        assert self._part is not None
        self._part["text"] += news.text
        if self._has_logprobs:
            self._part["logprobs"].extend(news.logprobs)
        yield {
            "type": "response.output_text.delta",
            **self._place(),
            "content_index": 0,
            "delta": news.text,
            "logprobs": list(news.logprobs),
        }

    def _open_text(self) -> Iterator[Event]:
        item_id = f"msg_{secrets.token_hex(16)}"
        item = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress"}
        self.items.append({**item, "content": []})
        yield self._item_event("added")
        part: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}
        self._part = part | ({"logprobs": []} if self._has_logprobs else {})
        self.items[-1]["content"].append(self._part)
        added = {"type": "response.content_part.added", **self._place(), "content_index": 0}
        yield {**added, "part": {**self._part}}

    def _call(self, call: CallText) -> Iterator[Event]:
        call_id, name, arguments = call
        item = {
            "id": f"fc_{secrets.token_hex(16)}",
            "type": "function_call",
            "call_id": call_id,
            "name": name,
            "arguments": "",
            "status": "in_progress",
        }
        self.items.append(item)
        yield self._item_event("added")
        arguments_event = {"type": "response.function_call_arguments.delta", **self._place()}
        yield {**arguments_event, "delta": arguments}
        done = {"type": "response.function_call_arguments.done", **self._place(), "name": name}
        yield {**done, "arguments": arguments}
        item |= {"arguments": arguments, "status": "completed"}
        yield self._item_event("done")

    def _item_event(self, change: str) -> Event:
        """Return the event of the last item; it is written down at once, so it may hold what still grows."""
        place = {"output_index": len(self.items) - 1, "item": self.items[-1]}
        return {"type": f"response.output_item.{change}", **place}

    def _place(self) -> dict[str, Any]:
        return {"item_id": self.items[-1]["id"], "output_index": len(self.items) - 1}


class Responding:
    """One response on its way; events go to `answer`, if it is given."""

    def __init__(
        self, service: Service, echo: dict[str, Any], draft: Draft, answer: Answer | None
    ) -> None:
        self._service, self._draft, self._answer = service, draft, answer
        self._sequence = 0
        self._output = Output(has_logprobs=False)
        self.response: dict[str, Any] = {
            "id": f"resp_{service.mark}{secrets.token_hex(16)}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": service.name,
            "output": [],
            "usage": None,
            **echo,
        }

    async def follow(self, generation: Generation) -> Outcome:
        """Read the reply to its end."""
        self._output = Output(has_logprobs=generation.request.logprobs is not None)

        async def take(piece: Piece) -> None:
            await self._tell(self._output.grow(self._draft.take(piece)))

        for kind in ("response.created", "response.in_progress"):
            await self._tell(iter([{"type": kind, "response": self.response}]))
        outcome = await self._service.follow(generation, take)
        await self._tell(self._output.grow(self._draft.end(outcome)))
        is_cut = outcome.finish == "length"
        await self._tell(self._output.end("incomplete" if is_cut else "completed"))
        self._finish(outcome, is_cut=is_cut)
        return outcome

    async def end(self, answer: Answer) -> None:
        """Send the response: whole, or as the last event."""
        if self._answer is None:
            await answer.json(self.response)
            return
        kind = f"response.{self.response['status']}"
        await self._tell(iter([{"type": kind, "response": self.response}]))
        await answer.end()

    def _finish(self, outcome: Outcome, *, is_cut: bool) -> None:
        prompt, cached, reply = usage_of([outcome])
        self.response |= {
            "status": "incomplete" if is_cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "completed_at": None if is_cut else int(time.time()),
            "output": self._output.items,
            "agentflow_state": outcome.handle,
            "usage": {
                "input_tokens": prompt,
                "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
                "output_tokens": reply,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": prompt + reply,
            },
        }
        if self._draft.calls:
            told = told_message(self._draft.text, self._draft.calls)
            self._service.own.remember(told, outcome.text)

    async def _tell(self, events: Iterator[Event]) -> None:
        for event in events:
            if self._answer is not None:
                await self._answer.event(
                    {**event, "sequence_number": self._sequence}, name=event["type"]
                )
                self._sequence += 1
