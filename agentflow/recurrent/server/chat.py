"""`POST /v1/chat/completions`.

Owns the words of Chat Completions: what a request may say, and the whole reply or its chunks.
"""

import secrets
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

from pydantic import Field, model_validator

from agentflow.recurrent.engine import Engine
from agentflow.recurrent.generation import Generation
from agentflow.recurrent.requests import GenerationRequest, Outcome, Piece
from agentflow.recurrent.server.answer import Answer
from agentflow.recurrent.server.constraints import ResponseFormat, constraint
from agentflow.recurrent.server.drafts import Draft, News, usage_of
from agentflow.recurrent.server.fields import MOST_SEVERAL, Body, read
from agentflow.recurrent.server.messages import MessageList, OwnReplies, of_chat, told_message
from agentflow.recurrent.server.prompting import conversation, reply_tokens
from agentflow.recurrent.server.service import Service
from agentflow.recurrent.server.tools import Choice, ToolChoice, Tools, check_choice
from agentflow.recurrent.server.waiting import together


class ChatBody(Body):
    """What a request may say. `store` has no effect: only Responses are stored."""

    messages: MessageList
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: int = Field(default=1, ge=1, le=MOST_SEVERAL)
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: Tools = Field(default_factory=list)
    tool_choice: Choice = ToolChoice()
    repeat_context: int = Field(default=1, ge=1, le=4)
    store: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("`top_logprobs` needs `logprobs`: true")
        check_choice(self.tools, self.tool_choice)
        return self

    @property
    def alternatives(self) -> int | None:
        """How many probabilities are told with each token."""
        return (self.top_logprobs or 0) if self.logprobs else None


async def chat(service: Service, data: bytes, answer: Answer) -> None:
    """Answer a request."""
    body = read(ChatBody, data)
    service.check_model(body.model)
    engine = service.engine
    requests = await service.prepare(partial(_requests, engine, service.own, body))
    with service.generating(requests) as generations:
        tools = body.tools if body.tool_choice.mode != "none" else []
        drafts = [Draft(engine.tokenizer, tools) for _ in requests]
        reply = _Reply(service, body, drafts)
        if body.stream:
            await reply.stream(generations, answer)
        else:
            await reply.whole(generations, answer)


def _requests(engine: Engine, own: OwnReplies, body: ChatBody) -> list[GenerationRequest]:
    """Return one request for each reply; they share their prompt, so it is read once."""
    messages = of_chat(body.messages, own)
    prompt = conversation(engine, messages, body.tools, body.repeat_context)
    grammar = constraint(engine.grammars, body, body.response_format, body.tools, body.tool_choice)
    asked = body.max_completion_tokens or body.max_tokens
    return [
        GenerationRequest(
            prompt=prompt,
            max_tokens=reply_tokens(engine, prompt, asked),
            sampling=body.sampling(index),
            stop=(*body.stop, *engine.prompts.stop),
            stop_tokens=engine.tokenizer.end_tokens,
            grammar=grammar,
            logprobs=body.alternatives,
        )
        for index in range(body.n)
    ]


class _Reply:
    """The replies to one request."""

    def __init__(self, service: Service, body: ChatBody, drafts: Sequence[Draft]) -> None:
        self._service, self._body, self._drafts = service, body, drafts
        self._id = f"chatcmpl-{secrets.token_hex(16)}"
        self._created = int(time.time())

    async def whole(self, generations: Sequence[Generation], answer: Answer) -> None:
        """Send everything at the end."""
        await self._follow(generations, None)
        choices = [
            {
                "index": index,
                "message": _message(draft),
                "logprobs": {"content": draft.logprobs} if self._body.logprobs else None,
                "finish_reason": draft.finish,
            }
            for index, draft in enumerate(self._drafts)
        ]
        await answer.json({**self._envelope("chat.completion", choices), **self._account()})

    async def stream(self, generations: Sequence[Generation], answer: Answer) -> None:
        """Send each piece as it comes."""
        await self._follow(generations, answer)
        if self._body.stream_options.include_usage:
            last = self._envelope("chat.completion.chunk", [])
            await answer.event({**last, **self._account()})
        await answer.end(b"data: [DONE]\n\n")

    async def _follow(self, generations: Sequence[Generation], answer: Answer | None) -> None:
        await together(
            partial(self._one, index, generation, answer)
            for index, generation in enumerate(generations)
        )

    async def _one(self, index: int, generation: Generation, answer: Answer | None) -> None:
        """Read one reply; `answer` is told of it as it grows."""
        draft = self._drafts[index]

        async def send(news: News) -> None:
            if answer is not None and news:
                await self._chunk(answer, index, _delta(news, len(draft.calls)), news)

        async def take(piece: Piece) -> None:
            await send(draft.take(piece))

        if answer is not None:
            await self._chunk(answer, index, {"role": "assistant", "content": ""})
        outcome = await self._service.follow(generation, take)
        await send(draft.end(outcome))
        self._remember(draft, outcome)
        if answer is not None:
            await self._chunk(answer, index, {}, finish=draft.finish)

    def _remember(self, draft: Draft, outcome: Outcome) -> None:
        if draft.calls:
            self._service.own.remember(told_message(draft.text, draft.calls), outcome.text)

    async def _chunk(
        self,
        answer: Answer,
        index: int,
        delta: dict[str, Any],
        news: News | None = None,
        finish: str | None = None,
    ) -> None:
        choice: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": finish}
        if self._body.logprobs:
            choice["logprobs"] = {"content": news.logprobs} if news and news.logprobs else None
        chunk = self._envelope("chat.completion.chunk", [choice])
        if self._body.stream_options.include_usage:
            chunk["usage"] = None
        await answer.event(chunk)

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._service.name,
            "choices": choices,
        }

    def _account(self) -> dict[str, Any]:
        """Return what was used, and our own field: which state the first reply has led to."""
        outcomes = [draft.outcome for draft in self._drafts if draft.outcome]
        prompt, cached, reply = usage_of(outcomes)
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": reply,
            "total_tokens": prompt + reply,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        return {"usage": usage, "agentflow_state": outcomes[0].handle if outcomes else None}


def _message(draft: Draft) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": draft.text, "refusal": None}
    if draft.calls:
        message["content"] = draft.text or None
        message["tool_calls"] = [_call(*call) for call in draft.calls]
    return message


def _delta(news: News, calls: int) -> dict[str, Any]:
    """Return what a chunk adds; a call is told whole, since only then it is known to be one."""
    delta: dict[str, Any] = {}
    if news.text:
        delta["content"] = news.text
    if news.calls:
        first = calls - len(news.calls)
        delta["tool_calls"] = [
            {"index": first + place, **_call(*call)} for place, call in enumerate(news.calls)
        ]
    return delta


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
