"""`/v1/responses`: create, read, delete.

Owns the words of Responses requests, and how one goes on from an earlier one: `previous_response_id` names a state of
the engine, whose tokens are the beginning of the new prompt.

Unlike OpenAI's service, instructions and tools of the earlier response hold on unless others are given: the state has
read them already.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from agentflow.recurrent.engine import Engine
from agentflow.recurrent.requests import GenerationRequest, Prompt
from agentflow.recurrent.server.answer import Answer
from agentflow.recurrent.server.constraints import ResponseFormat, constraint
from agentflow.recurrent.server.drafts import Draft
from agentflow.recurrent.server.fields import Body, Part, read
from agentflow.recurrent.server.messages import Item, Told, of_items
from agentflow.recurrent.server.prompting import conversation, reply_tokens
from agentflow.recurrent.server.responding import Responding
from agentflow.recurrent.server.service import Service
from agentflow.recurrent.server.stored import Stored
from agentflow.recurrent.server.tools import Choice, Tool, ToolChoice, Tools, check_choice

LOGPROBS = "message.output_text.logprobs"


def _items(given: Any) -> Any:
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


class TextConfig(Part):
    """What the text of a reply is."""

    format: ResponseFormat | None = None


class ResponsesBody(Body):
    """What a request may say."""

    input: Annotated[list[Item], BeforeValidator(_items), Field(min_length=1, max_length=100_000)]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool = True
    max_output_tokens: int | None = Field(default=None, ge=1)
    text: TextConfig = TextConfig()
    tools: Tools | None = None
    tool_choice: Choice = ToolChoice()
    include: list[Literal["message.output_text.logprobs"]] = Field(default_factory=list)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    repeat_context: int | None = Field(default=None, ge=1, le=4)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.top_logprobs and not self.include:
            raise ValueError(f"`top_logprobs` needs `include`: ['{LOGPROBS}']")
        if self.tools is not None or self.previous_response_id is None:
            check_choice(self.tools or [], self.tool_choice)
        return self


async def respond(service: Service, data: bytes, answer: Answer) -> None:
    """Answer a request."""
    body = read(ResponsesBody, data)
    service.check_model(body.model)
    engine, turn = service.engine, _Turn(service, body)
    request = await service.prepare(partial(_request, engine, body, turn))
    with service.generating([request]) as (generation,):
        draft = Draft(engine.tokenizer, turn.tools if body.tool_choice.mode != "none" else ())
        responding = Responding(service, turn.echo(), draft, answer if body.stream else None)
        outcome = await responding.follow(generation)
        if body.store and outcome.handle is not None and engine.pin(outcome.handle):
            stored = Stored(
                response=responding.response,
                handle=outcome.handle,
                prompt_tokens=outcome.prompt_tokens,
                instructions=turn.instructions,
                messages=(*turn.messages, {"role": "assistant", "content": outcome.text}),
                tools=tuple(turn.tools),
                repeat_context=turn.repeat_context,
                size_bytes=len(data),
            )
            service.stored.add(stored)
        await responding.end(answer)


class _Turn:
    """A request together with what it goes on from."""

    def __init__(self, service: Service, body: ResponsesBody) -> None:
        self._body, self.before, before_id = body, None, body.previous_response_id
        if before_id is not None:
            self.before = service.stored.find(before_id, "previous_response_id")
        earlier = self.before
        self.tools: Sequence[Tool] = body.tools or ()
        self.instructions = body.instructions
        if earlier is not None and body.tools is None:
            self.tools = earlier.tools
        if earlier is not None and body.instructions is None:
            self.instructions = earlier.instructions
        self.repeat_context = body.repeat_context or (earlier.repeat_context if earlier else 1)
        items = of_items(body.input, service.own)
        self.messages: list[Told] = [*(earlier.messages if earlier else ()), *items]

    @property
    def told(self) -> list[Told]:
        """All messages as the template reads them."""
        if self.instructions is None:
            return self.messages
        return [{"role": "system", "content": self.instructions}, *self.messages]

    def echo(self) -> dict[str, Any]:
        """Return what a response repeats of its request."""
        body = self._body
        wanted = body.text.format
        form: dict[str, Any] = {"type": wanted.type if wanted else "text"}
        if wanted and wanted.json_schema:
            form |= wanted.json_schema.model_dump(by_alias=True, exclude_none=True)
        choice = body.tool_choice
        return {
            "instructions": self.instructions,
            "max_output_tokens": body.max_output_tokens,
            "parallel_tool_calls": True,
            "previous_response_id": body.previous_response_id,
            "store": body.store,
            "temperature": body.temperature,
            "text": {"format": form},
            "tool_choice": {"type": "function", "name": choice.name}
            if choice.name
            else choice.mode,
            "tools": [
                {"type": "function", "strict": None, **tool.told["function"]} for tool in self.tools
            ],
            "top_p": body.top_p,
            "truncation": "disabled",
            "metadata": {},
        }


def _request(engine: Engine, body: ResponsesBody, turn: _Turn) -> GenerationRequest:
    if turn.before is not None:
        _learn_again(engine, turn.before)
    prompt = conversation(engine, turn.told, turn.tools, turn.repeat_context)
    grammar = constraint(engine.grammars, body, body.text.format, turn.tools, body.tool_choice)
    return GenerationRequest(
        prompt=prompt,
        max_tokens=reply_tokens(engine, prompt, body.max_output_tokens),
        sampling=body.sampling(0),
        stop=(*body.stop, *engine.prompts.stop),
        stop_tokens=engine.tokenizer.end_tokens,
        grammar=grammar,
        logprobs=(body.top_logprobs or 0) if body.include else None,
    )


def _learn_again(engine: Engine, before: Stored) -> None:
    """Make sure that the earlier reply is written with the ids that it was generated with.

    The engine's memory of replies is bounded; a state's tokens are known as long as its handle is.
    """
    known = engine.prompt_of(before.handle)
    if known is not None:
        prompt, reply = known.tokens[: before.prompt_tokens], known.tokens[before.prompt_tokens :]
        engine.prompts.learn(Prompt(tokens=prompt), reply)


async def retrieve(service: Service, response_id: str, answer: Answer) -> None:
    """Send a stored response again."""
    await answer.json(service.stored.find(response_id).response)


async def delete(service: Service, response_id: str, answer: Answer) -> None:
    """Forget a stored response and free its state."""
    service.stored.delete(response_id)
    await answer.json({"id": response_id, "object": "response", "deleted": True})
