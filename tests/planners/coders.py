"""A model that writes functions by a script, and tasks to give it."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio

from agentflow import Reply, Runner, RunResult, Task
from agentflow.flows import Flow
from agentflow.models.protocol import ModelSpec, OnText, Price, Request, Usage

_NAME = re.compile(r"(?:function|calls of|that a correct) `(\w+)`")
_KINDS = {"List": "inputs", "Write": "tests"}

Script = Mapping[str, str | Sequence[str] | Callable[[int], str]]


class Coder:
    """A local model, as far as planners see. Answers by kind and name: `divide f`, `write f`, `repair f`, `inputs f`, `tests f`.

    A list gives the replies for sample 0 (the first choice), 1, 2 and so on, the last one for all that
    follow; a function gets the sample's number. What has no entry is answered with nothing.
    """

    price = Price(input=1, output=1)
    concurrency: int | None = None

    def __init__(self, script: Script, *, latency_s: float = 0.0) -> None:
        self.spec = ModelSpec(provider="gguf", name="coder", retries=0, price=self.price)
        self.script, self.latency_s = script, latency_s
        self.asked: list[str] = []
        self.requests: list[Request] = []

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        kind, name = _kind_of(request)
        self.asked.append(f"{kind} {name}")
        self.requests.append(request)
        if self.latency_s:
            await anyio.sleep(self.latency_s)
        text = self._text(f"{kind} {name}", request.seed or 0)
        on_text(text)
        prompt = "".join(message.text for message in request.messages)
        usage = Usage(input_tokens=len(prompt.split()), output_tokens=len(text.split()))
        return Reply(text=text or "(nothing)", usage=usage, model="coder")

    async def aclose(self) -> None:
        """Nothing to close."""

    def _text(self, key: str, number: int) -> str:
        entry = self.script.get(key, "")
        if callable(entry):
            return entry(number)
        if isinstance(entry, str):
            return entry
        return entry[min(number, len(entry) - 1)]


def _kind_of(request: Request) -> tuple[str, str]:
    first = next(message.text for message in request.messages if message.role == "user")
    asked = first.rpartition("```\n\n")[2]  # the code comes before what is asked
    found = _NAME.search(asked)
    assert found is not None, first
    if any(message.text.startswith("That is wrong") for message in request.messages):
        return "repair", found[1]
    kind = _KINDS.get(asked.split()[0])
    if kind is None:
        kind = "divide" if "leave the helper unwritten" in asked else "write"
    return kind, found[1]


def code_task(code: str) -> Task:
    """Return a task whose answer is the code with its last unwritten function written."""
    return Task(goal="Write the function.", inputs={"code": code})


async def carried_out(
    planner: Flow[..., Any], script: Script, task: Task, **options: Any
) -> tuple[RunResult[Any], Coder]:
    """Run a planner with a scripted coder."""
    model = Coder(script)
    runner = Runner(model=model, journal=options.pop("journal", ":memory:"))
    return await runner.run_async(planner, task, **options), model


def called(source: str, call: str) -> Any:
    """Return what a call gives in an answer, for answers of the tests' own making."""
    names: dict[str, Any] = {}
    exec(source, names)
    return eval(call, names)
