"""One call of a model as a pair to learn from: what it was shown, what it should say.

Owns the way from a recorded call to a `Pair`, with or without the worked examples of its prompt. Knows no
file format. What a pair says was said in the run: nothing is reworded.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from agentflow.engine.shapes import MisfitError, SchemaShape
from agentflow.errors import InputError, TrainingDataError
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.models.protocol import Message, Reply, Request, ToolSpec
from agentflow.training.outcomes import Call, Outcome
from agentflow.training.rewards import planner_of

WHOLE = ("stop", "tool_calls")  # how a reply ends that was neither cut off nor refused


class Value(BaseModel):
    """Base of the immutable values here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tokens(Value):
    """Tokens of the call as it was made, examples and all; None where its answer was taken over."""

    prompt: int | None
    completion: int | None


class Origin(Value):
    """Where a pair comes from. `name` is the function, sub-task or flow that asked the model."""

    run: str
    step: int
    name: str
    planner: str
    depth: int
    reward: float
    tokens: Tokens
    model: str
    outcome: Outcome


class Pair(Value):
    """A prompt and its reply; the reply begins with what the prompt began for it, if it did."""

    prompt: tuple[Message, ...]
    reply: Message
    tools: tuple[ToolSpec, ...]
    origin: Origin

    @property
    def identity(self) -> bytes:
        """A hash of what would be learned, whatever run it comes from."""
        content = self.model_dump_json(exclude={"origin"}).encode()
        return hashlib.blake2b(content, digest_size=16).digest()


def pair_of(record: RunRecord, call: Call, *, reward: float, strip_examples: bool) -> Pair:
    """Return the pair of one call.

    Args:
        record: The run that made it.
        call: A call of that run.
        reward: What the run is worth.
        strip_examples: Keep of the prompt only system messages and what follows the first question
            that the caller itself asked: a repair keeps what it repairs, worked examples go.

    Raises:
        TrainingDataError: The record of the call cannot be read.
    """
    request, reply = _request(record, call.step), _reply(record, call.step)
    prompt, begun = list(request.messages), ""
    if prompt and prompt[-1].role == "assistant" and not prompt[-1].tool_calls:
        begun = prompt.pop().text
    if strip_examples:
        asked = {_question(_request(record, step).messages) for step in call.asked}
        prompt = _without_examples(prompt, asked)
    origin = Origin(
        run=record.id,
        step=call.step.number,
        name=call.owner.name,
        planner=planner_of(record),
        depth=call.depth,
        reward=reward,
        tokens=_tokens(call.step),
        model=_model(call.step),
        outcome=call.outcome if _is_whole(request, reply, begun) else "failed",
    )
    said = Message(role="assistant", text=begun + reply.text, tool_calls=reply.tool_calls)
    return Pair(prompt=tuple(prompt), reply=said, tools=request.tools, origin=origin)


def _is_whole(request: Request, reply: Reply, begun: str) -> bool:
    """Return whether a reply says something, to its end, in the shape that was asked for."""
    if reply.finish not in WHOLE or not (reply.text.strip() or reply.tool_calls):
        return False
    if request.output_schema is None or reply.tool_calls:
        return True
    try:
        SchemaShape(request.output_schema).read(begun + reply.text)
    except (MisfitError, InputError):
        return False
    return True


def _without_examples(prompt: Sequence[Message], asked: set[str | None]) -> list[Message]:
    questions = (
        index
        for index, message in enumerate(prompt)
        if message.role == "user" and message.text in asked
    )
    first = next(questions, 0)
    return [message for message in prompt[:first] if message.role == "system"] + list(
        prompt[first:]
    )


def _question(messages: Sequence[Message]) -> str | None:
    """Return the last thing a prompt asks."""
    return next((message.text for message in reversed(messages) if message.role == "user"), None)


def _tokens(step: StepRecord) -> Tokens:
    usage = step.details.get("usage")
    if not usage or "origin" in step.details:
        return Tokens(prompt=None, completion=None)
    return Tokens(prompt=step.usage.input_tokens, completion=step.usage.output_tokens)


def _model(step: StepRecord) -> str:
    """Return the model that answered; `given` where a person wrote the answer into a fork."""
    return "given" if step.origin == "given" else str(step.details.get("model", ""))


def _request(record: RunRecord, step: StepRecord) -> Request:
    try:
        content: Any = json.loads(step.input)
        return Request.model_validate(content["request"])
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(record, step) from error


def _reply(record: RunRecord, step: StepRecord) -> Reply:
    try:
        return Reply.model_validate_json(step.output or b"")
    except ValidationError as error:
        raise _unreadable(record, step) from error


def _unreadable(record: RunRecord, step: StepRecord) -> TrainingDataError:
    problem = "it is no call of a model as this version records them; leave the run out"
    return TrainingDataError(place=f"run {record.id}, step {step.number}", problem=problem)
