"""A model that answers from a file: for tests, examples and the replay of one model's words.

Owns the file format: one JSON object a line, `{"reply": {...}}` to be given in order, or
`{"request": {...}, "reply": {...}}` to be given to that very request.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentflow.errors import ModelRequestError, UnknownModelError
from agentflow.models.protocol import Model, ModelSpec, OnText, Price, Reply, Request


class RecordedModel:
    """Replies from a JSONL file; `spec.name` is its path."""

    concurrency: int | None = None

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._by_request: dict[str, list[Reply]] = {}
        self._in_order: list[Reply] = []
        for request, reply in _lines(spec):
            if request is None:
                self._in_order.append(reply)
            else:
                self._by_request.setdefault(request, []).append(reply)

    @property
    def price(self) -> Price:
        """Free."""
        return Price(input=0, output=0)

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        """Give the recorded reply.

        Raises:
            ModelRequestError: There is none for this request, and none left to give in order.
        """
        matching = self._by_request.get(_form(request))
        waiting = matching or self._in_order
        if not waiting:
            shown = request.messages[-1].text[:80] if request.messages else ""
            problem = f"no recorded reply is left for the request that ends in {shown!r}"
            raise ModelRequestError(model=str(self.spec), problem=problem)
        # The last reply of a request may be given again: a retry asks the same once more.
        reply = waiting[0] if matching and len(matching) == 1 else waiting.pop(0)
        if reply.text:
            on_text(reply.text)
        return reply

    async def aclose(self) -> None:
        """Nothing to free."""


class Recorder:
    """Another model, with every exchange that succeeds added to a file."""

    def __init__(self, model: Model, path: Path) -> None:
        self._model, self._path = model, path
        self.spec, self.concurrency = model.spec, model.concurrency

    @property
    def price(self) -> Price | None:
        """The other model's price."""
        return self._model.price

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        """Ask the other model and write the exchange down."""
        reply = await self._model.complete(request, on_text)
        line = {
            "request": request.model_dump(mode="json", exclude_defaults=True),
            "reply": reply.model_dump(mode="json", exclude_defaults=True),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return reply

    async def aclose(self) -> None:
        """Close the other model."""
        await self._model.aclose()


def open_recorded(spec: ModelSpec) -> Model:
    """Return the model that answers from the file `spec.name`.

    Raises:
        UnknownModelError: The file is missing or a line of it is wrong.
    """
    return RecordedModel(spec)


def _lines(spec: ModelSpec) -> Iterator[tuple[str | None, Reply]]:
    path = Path(spec.name)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnknownModelError(model=str(spec), problem=f"cannot read {path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _exchange(spec, path, number, line)


def _exchange(spec: ModelSpec, path: Path, number: int, line: str) -> tuple[str | None, Reply]:
    try:
        found: dict[str, Any] = json.loads(line)
        request = found.get("request")
        reply = Reply.model_validate(found["reply"])
        return (None if request is None else _form(Request.model_validate(request))), reply
    except (ValueError, ValidationError, LookupError, TypeError, AttributeError) as error:
        problem = (
            f'{path}:{number}: not {{"request": ..., "reply": ...}}: {str(error).splitlines()[0]}'
        )
        raise UnknownModelError(model=str(spec), problem=problem) from error


def _form(request: Request) -> str:
    return request.model_dump_json(exclude_defaults=True)
