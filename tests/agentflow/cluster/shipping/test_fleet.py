"""Workers on nodes have the driver's models, permits and money, and nothing of its keys."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow import Budget, Reply, parallel
from agentflow.cluster.fitting import fitting, misfit
from agentflow.cluster.shipping.fleet import Fleet
from agentflow.cluster.shipping.wire import Known, Setup
from agentflow.engine.ledger import Ledger
from agentflow.errors import BudgetExceededError, ModelRequestError, NodeRefusedError
from agentflow.models.openai import open_openai
from agentflow.models.protocol import Model, ModelSpec, OnText, Request, Usage
from agentflow.resources import Resources
from tests.agentflow.cluster.shipping.conftest import INHERITED
from tests.parts import Scripted
from tests.wire import WireServer, says

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("default"),  # Ray's own, at its import and start
]
OPENER = "tests.agentflow.cluster.shipping.shipped:open_asker"
KEY = "sk-that-nobody-else-may-have"


class Meeting(Scripted):
    """A model of two places: it answers two at once, waits for ever where told, and looks at the clock."""

    def __init__(self) -> None:
        super().__init__(str.upper, concurrency=2)
        self.now = self.most = self.given_up = 0
        self.met, self.is_waited_for = anyio.Event(), anyio.Event()
        self.times: list[float] = []

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        prompt = request.messages[-1].text
        self.times.append(time.monotonic())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if prompt == "wait":
                self.is_waited_for.set()
                await anyio.sleep_forever()
            if prompt == "refused":
                raise ModelRequestError(model="scripted:model", problem="too odd", status=400)
            if prompt == "odd":
                raise LookupError("a bug of the model")
            if prompt.startswith("meet"):
                if self.now == 2:
                    self.met.set()
                await self.met.wait()
            return await super().complete(request, on_text)
        except anyio.get_cancelled_exc_class():
            self.given_up += 1
            raise
        finally:
            self.now -= 1


class Held(Scripted):
    """A model that answers nobody before it is told to."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        super().__init__(answer)
        self.goes_on = anyio.Event()

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        await self.goes_on.wait()
        return await super().complete(request, on_text)


@asynccontextmanager
async def fleet(
    cluster: Any, model: Model, within: Ledger | None = None, **given: Any
) -> AsyncIterator[Fleet]:
    known = Known(price=model.price, concurrency=model.concurrency)
    setup = Setup(
        opener=given.pop("opener", OPENER),
        given=model.spec,
        packages=("agentflow.cluster",),
        models={model.spec.model_dump_json(): known},
    )
    async with (
        Resources({str(model.spec): model}) as resources,
        Fleet(cluster.address, setup, resources, within or Ledger(Budget()), **given) as workers,
    ):
        yield workers


async def asked(workers: Fleet, *prompts: str) -> str:
    found: str = await workers.done("a question", list(prompts), list(prompts))
    return found


@pytest.mark.long
async def test_room_errors_and_cancelling_are_those_of_a_model_here(cluster: Any) -> None:
    model = Meeting()
    async with fleet(cluster, model) as workers:
        answers = await parallel(asked(workers, f"meet {number}") for number in range(8))
        assert answers == [f"MEET {number}" for number in range(8)]
        assert model.most == 2
        with pytest.raises(ModelRequestError) as caught:
            await asked(workers, "refused")
        assert caught.value.facts == {
            "model": "scripted:model",
            "problem": "too odd",
            "status": 400,
        }
        with pytest.raises(Exception, match="LookupError: a bug of the model"):
            await asked(workers, "odd")
        assert await asked(workers, "wait", "quick") == "QUICK"
        model.is_waited_for = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(asked, workers, "wait")
            await model.is_waited_for.wait()
            group.cancel_scope.cancel()
        assert await asked(workers, "after") == "AFTER"
        assert (model.given_up, model.now) == (2, 0)


@pytest.mark.long
async def test_a_model_is_not_asked_faster_than_its_pace_by_all_together(cluster: Any) -> None:
    model = Meeting()
    model.spec = model.spec.model_copy(update={"requests_per_minute": 600.0})
    async with fleet(cluster, model) as workers:
        await parallel(asked(workers, f"question {number}") for number in range(6))
    gaps = [after - before for before, after in zip(model.times, model.times[1:], strict=False)]
    assert len(gaps) == 5
    assert min(gaps) > 0.09


async def test_one_account_refuses_all_workers_when_it_is_spent(cluster: Any) -> None:
    model, within = Held(lambda _prompt: "one two three"), Ledger(Budget(tokens=3_100))
    async with fleet(cluster, model, within) as workers:
        ended: list[object] = []

        async def one(number: int) -> None:
            try:
                ended.append(await asked(workers, f"question {number}"))
            except BudgetExceededError as error:
                ended.append(error)
                model.goes_on.set()

        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(one, number)
        refused = [error for error in ended if isinstance(error, BudgetExceededError)]
        assert refused
        assert {(e.kind, e.limit, e.shared, e.step) for e in refused} == {
            ("tokens", 3_100, True, "generate")
        }
        assert within.refusal is not None
        assert len(model.asked) == len(ended) - len(refused)
        assert within.usage == Usage(
            input_tokens=2 * len(model.asked), output_tokens=3 * len(model.asked)
        )
        # What was promised and not used has come back: one at a time, all the others have room.
        for _number in range(20):
            await asked(workers, "again")


async def test_the_key_of_a_model_stays_with_the_driver(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with WireServer(lambda _seen: says("yes")) as server:
        spec = ModelSpec(
            provider="openai",
            name="wire-1",
            base_url=server.openai_url,
            api_key_env="OPENAI_API_KEY",
        )
        async with fleet(cluster, open_openai(spec)) as workers:
            assert await asked(workers, "really?") == "yes"
            assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
            while len(workers.workers()) < 2:
                await anyio.sleep(0.01)
            for hand in workers.workers():
                process = Path("/proc", str(await hand.actor.process.remote()))
                assert b"OPENAI_API_KEY=\0" in (process / "environ").read_bytes()
                for key in (KEY, INHERITED):
                    assert key.encode() not in memory_of(process)


def memory_of(process: Path) -> bytes:
    """Return all that a process of ours has written in its memory."""
    found = []
    with (process / "mem").open("rb", buffering=0) as memory:
        for line in (process / "maps").read_text().splitlines():
            span, rights, *_rest = line.split()
            if rights.startswith("rw") and "/dev/shm" not in line:
                begin, end = (int(part, 16) for part in span.split("-"))
                memory.seek(begin)
                try:
                    found.append(memory.read(end - begin))
                except OSError:  # what the kernel keeps for itself
                    continue
    return b"".join(found)


async def refusing(_given: object, _bench: object) -> None:
    raise NodeRefusedError(node="here", problem="it is Monday", remedy="wait a day")


@pytest.mark.long
async def test_a_node_that_cannot_be_used_says_why(cluster: Any) -> None:
    opener = "tests.agentflow.cluster.shipping.test_fleet:refusing"
    with pytest.raises(NodeRefusedError, match="is not used: it is Monday; wait a day"):
        async with fleet(cluster, Scripted(str.upper), opener=opener) as workers:
            await asked(workers, "anybody?")


def test_other_code_on_a_node_is_a_reason_to_refuse_it() -> None:
    packages = ("agentflow.cluster",)
    here = fitting(packages)
    assert misfit(here, packages) == ""
    assert "agentflow.cluster" in misfit({**here, "agentflow.cluster": "other"}, packages)
