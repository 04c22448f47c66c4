"""An `interrupt()` of LangGraph as a question of ours.

Owns the words of the question and the reading of its answer: text that is JSON is read as JSON, other text
stays text. The answer is an `ask` step, so the run may pause there and its process may end.
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any, cast

from langgraph.errors import GraphInterrupt, NodeInterrupt
from langgraph.types import Interrupt
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from agentflow.data import NotPlainError, canonical, encode
from agentflow.engine.people import ask
from agentflow.errors import AskError, PayloadError, UnmappableError
from agentflow.interop.langgraph.codec import Codec


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that a node has interrupted itself for; `schema` is that of its answer, {} for any."""

    text: str
    schema: dict[str, Any]


def asked_by(stop: GraphInterrupt, node: str, codec: Codec) -> tuple[Asked, ...]:
    """Return what a node asks by interrupting itself.

    Raises:
        PayloadError: What it asks cannot be written down.
        UnmappableError: It raised a `NodeInterrupt`, which takes no answer.
    """
    if isinstance(stop, NodeInterrupt):
        raise UnmappableError(graph=node, problem="NodeInterrupt takes no answer: use interrupt()")
    interrupts: tuple[Interrupt[Any], ...] = stop.args[0]
    return tuple(
        Asked(_text(item.value, node, codec), _schema(item.response_schema)) for item in interrupts
    )


async def answer_to(asked: Asked) -> Any:
    """Ask, and return the answer.

    Raises:
        AskError: Nobody can answer, or the answer is null, which LangGraph takes for none.
    """
    kind: Any = Annotated[Any, BeforeValidator(_read), _JSON, WithJsonSchema(asked.schema)]
    answer = await ask(asked.text, output=cast("type[Any]", kind))
    if answer is None:
        raise AskError(question=asked.text, problem="LangGraph takes null for no answer")
    return answer


def _text(value: Any, node: str, codec: Codec) -> str:
    if isinstance(value, str):
        return value
    try:
        return canonical(codec.write(value)).decode()
    except NotPlainError as error:
        raise PayloadError(step=f"interrupt of {node}", problem=str(error)) from error


def _schema(declared: Any) -> dict[str, Any]:
    return declared if isinstance(declared, dict) else {}


def _read(answer: Any) -> Any:
    if not isinstance(answer, str):
        return answer
    try:
        return json.loads(answer)
    except ValueError:
        return answer


_JSON = PlainSerializer(encode, when_used="json")
