"""`POST /v1/completions`.

Owns the words of the older Completions API: prompts as text or token ids, several at once, and its form of logprobs.
"""

import secrets
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from agentflow.recurrent.engine import Engine
from agentflow.recurrent.generation import Generation
from agentflow.recurrent.requests import GenerationRequest, Outcome, Piece, Prompt
from agentflow.recurrent.server.answer import Answer
from agentflow.recurrent.server.constraints import ResponseFormat, constraint
from agentflow.recurrent.server.drafts import Draft, News, usage_of
from agentflow.recurrent.server.fields import MOST_SEVERAL, Body, read
from agentflow.recurrent.server.prompting import check_length, reply_tokens
from agentflow.recurrent.server.refusals import bad
from agentflow.recurrent.server.service import Service
from agentflow.recurrent.server.waiting import together

DEFAULT_TOKENS = 16  # OpenAI's


def _several(given: Any) -> Any:
    """Turn one prompt into a list of one."""
    several = given if isinstance(given, list) and not _is_prompt(given) else [given]
    if not all(map(_is_prompt, several)):
        raise ValueError("is text, a list of token ids, or a list of such")
    return several


def _is_prompt(given: Any) -> bool:
    """Whether this is one prompt; a boolean is no token id, though Python takes it for a number."""
    if isinstance(given, list):
        return bool(given) and all(type(token) is int for token in given)
    return isinstance(given, str)


class CompletionsBody(Body):
    """What a request may say."""

    prompt: Annotated[
        list[str | list[int]],
        BeforeValidator(_several),
        Field(min_length=1, max_length=MOST_SEVERAL),
    ]
    max_tokens: int = Field(default=DEFAULT_TOKENS, ge=1)
    n: int = Field(default=1, ge=1, le=MOST_SEVERAL)
    logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: ResponseFormat | None = None


async def completions(service: Service, data: bytes, answer: Answer) -> None:
    """Answer a request."""
    body = read(CompletionsBody, data)
    service.check_model(body.model)
    engine = service.engine
    requests = await service.prepare(partial(_requests, engine, body))
    with service.generating(requests) as generations:
        reply = _Reply(service, body, engine)
        if body.stream:
            await reply.stream(generations, answer)
        else:
            await reply.whole(generations, answer)


def _requests(engine: Engine, body: CompletionsBody) -> list[GenerationRequest]:
    if len(body.prompt) * body.n > MOST_SEVERAL:
        raise bad("n", f"prompts times replies are {MOST_SEVERAL} at most")
    grammar = constraint(engine.grammars, body, body.response_format)
    return [
        GenerationRequest(
            prompt=prompt,
            max_tokens=reply_tokens(engine, prompt, body.max_tokens),
            sampling=body.sampling(index),
            stop=tuple(body.stop),
            stop_tokens=engine.tokenizer.end_tokens,
            grammar=grammar,
            logprobs=body.logprobs,
        )
        for prompt in [_prompt(engine, given) for given in body.prompt]
        for index in range(body.n)
    ]


def _prompt(engine: Engine, given: str | list[int]) -> Prompt:
    if isinstance(given, str):
        prompt = engine.prompts.text(given)
    else:
        most = engine.model.vocabulary_size
        if not all(0 <= token < most for token in given):
            raise bad("prompt", f"token ids are from 0 to {most - 1:,} here")
        prompt = Prompt(tokens=tuple(given))
    check_length(engine, prompt)
    return prompt


class _Reply:
    """The replies to one request; those to one prompt stand together."""

    def __init__(self, service: Service, body: CompletionsBody, engine: Engine) -> None:
        self._service, self._body = service, body
        count = len(body.prompt) * body.n
        self._drafts = [Draft(engine.tokenizer) for _ in range(count)]
        self._lengths = [0] * count
        self._id = f"cmpl-{secrets.token_hex(16)}"
        self._created = int(time.time())

    async def whole(self, generations: Sequence[Generation], answer: Answer) -> None:
        """Send everything at the end."""
        await self._follow(generations, None)
        choices = [
            self._choice(index, draft.text, draft.logprobs, draft.finish)
            for index, draft in enumerate(self._drafts)
        ]
        await answer.json({**self._envelope(choices), "usage": self._usage()})

    async def stream(self, generations: Sequence[Generation], answer: Answer) -> None:
        """Send each piece as it comes."""
        await answer.begin()
        await self._follow(generations, answer)
        if self._body.stream_options.include_usage:
            await answer.event({**self._envelope([]), "usage": self._usage()})
        await answer.end(b"data: [DONE]\n\n")

    async def _follow(self, generations: Sequence[Generation], answer: Answer | None) -> None:
        await together(
            partial(self._one, index, generation, answer)
            for index, generation in enumerate(generations)
        )

    async def _one(self, index: int, generation: Generation, answer: Answer | None) -> None:
        draft = self._drafts[index]

        async def send(news: News, finish: str | None = None) -> None:
            if answer is not None and (news or finish):
                choice = self._choice(index, news.text, news.logprobs, finish)
                self._lengths[index] += len(news.text)
                chunk = self._envelope([choice])
                if self._body.stream_options.include_usage:
                    chunk["usage"] = None
                await answer.event(chunk)

        async def take(piece: Piece) -> None:
            await send(draft.take(piece))

        outcome = await self._service.follow(generation, take)
        await send(draft.end(outcome), outcome.finish)

    def _choice(
        self, index: int, text: str, logprobs: Sequence[dict[str, Any]], finish: str | None
    ) -> dict[str, Any]:
        has_any = self._body.logprobs is not None
        return {
            "index": index,
            "text": text,
            "logprobs": _legacy(logprobs, self._lengths[index]) if has_any else None,
            "finish_reason": finish,
        }

    def _envelope(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._service.name,
            "choices": choices,
        }

    def _usage(self) -> dict[str, Any]:
        """Return the tokens of all prompts, each counted once."""
        outcomes = [draft.outcome for draft in self._drafts if draft.outcome]
        several = self._body.n
        counts = [usage_of(group) for group in _groups(outcomes, several)]
        prompt, cached, reply = (sum(column) for column in zip(*counts, strict=True))
        return {
            "prompt_tokens": prompt,
            "completion_tokens": reply,
            "total_tokens": prompt + reply,
            "prompt_tokens_details": {"cached_tokens": cached},
        }


def _groups(outcomes: Sequence[Outcome], size: int) -> list[Sequence[Outcome]]:
    return [outcomes[start : start + size] for start in range(0, len(outcomes), size)]


def _legacy(logprobs: Sequence[dict[str, Any]], offset: int) -> dict[str, Any]:
    """Return probabilities in the columns of this API; offsets count characters of the reply."""
    offsets = []
    for one in logprobs:
        offsets.append(offset)
        offset += len(one["token"])
    return {
        "tokens": [one["token"] for one in logprobs],
        "token_logprobs": [one["logprob"] for one in logprobs],
        "top_logprobs": [
            {top["token"]: top["logprob"] for top in one["top_logprobs"]} for one in logprobs
        ],
        "text_offset": offsets,
    }
