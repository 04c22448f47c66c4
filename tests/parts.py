"""Small real parts that tests share."""

from collections.abc import Callable

from agentflow import Reply
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Finish, ModelSpec, OnText, Price, Request, Usage


class Scripted:
    """A model that answers from a function of the prompt and keeps what it was asked.

    A real `Model`: it streams, counts tokens (one a word), costs what its price says, and cuts off what is
    longer than `longest` characters.
    """

    def __init__(
        self,
        answer: Callable[[str], str],
        *,
        price: Price | None = None,
        concurrency: int | None = None,
        longest: int | None = None,
    ) -> None:
        self.spec = ModelSpec(provider="scripted", name="model", price=price, retries=0)
        self.concurrency = concurrency
        self.asked: list[str] = []
        self._answer, self._longest = answer, longest

    @property
    def price(self) -> Price | None:
        return self.spec.price

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        prompt = request.messages[-1].text
        self.asked.append(prompt)
        whole = self._answer(prompt)
        text = whole[: self._longest]
        on_text(text)
        usage = Usage(input_tokens=len(prompt.split()), output_tokens=len(text.split()))
        finish: Finish = "stop" if text == whole else "length"
        return Reply(text=text, usage=usage, model="scripted-1", finish=finish)

    async def aclose(self) -> None:
        """Nothing to close."""


def shape(record: RunRecord) -> list[tuple[int, bytes, str, str, str]]:
    """Return what makes two runs the same tree: numbers, identities, names, kinds and ends."""
    steps = sorted(record.steps.values(), key=lambda step: step.number)
    return [(step.number, step.key, step.name, step.kind, step.status) for step in steps]
