"""What several runs share: one model with its limits for all of them, closed once, at the end."""

import anyio
import pytest

from agentflow import Reply, Resources, Runner, flow, generate
from agentflow.journal.journal import Journal
from agentflow.models.protocol import ModelSpec, OnText, Request

pytestmark = pytest.mark.anyio


class Single:
    """A model that asks for one request at a time, tells if it got more, and can wait for that."""

    concurrency: int | None = 1
    price = None

    def __init__(self, *, waits_for: int = 1) -> None:
        self.waits_for = waits_for
        self.spec = ModelSpec(provider="scripted", name="single", retries=0)
        self.under_way = self.most = self.closed = 0

    async def complete(self, _request: Request, _on_text: OnText) -> Reply:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        while self.most < self.waits_for:
            await anyio.lowlevel.checkpoint()
        self.under_way -= 1
        return Reply(text="done")

    async def aclose(self) -> None:
        self.closed += 1


@flow
async def ask() -> str:
    return (await generate("Well?")).text


async def run_three(runner: Runner) -> None:
    async with anyio.create_task_group() as group:
        for _number in range(3):
            group.start_soon(runner.run_async, ask)


async def test_the_limit_of_a_model_holds_for_all_runs_that_share_it(journal: str) -> None:
    model = Single()
    async with Resources({str(model.spec): model}) as resources:
        await run_three(Runner(model=model.spec, journal=journal, resources=resources))
    assert (model.most, model.closed) == (1, 0)  # lent: it is the lender's to close


async def test_runs_that_share_nothing_know_nothing_of_each_other(journal: str) -> None:
    model = Single(waits_for=3)
    await run_three(Runner(model=model, journal=journal))
    assert model.most == 3


async def test_a_run_that_ends_leaves_what_it_was_lent_open(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Single()
    monkeypatch.setattr("agentflow.resources.open_model", lambda _spec: model)
    async with Resources() as resources:
        runner = Runner(model=model.spec, journal=journal, resources=resources)
        await runner.run_async(ask)
        await runner.run_async(ask)
        assert model.closed == 0
    assert model.closed == 1


async def test_labels_are_recorded_with_the_run(journal: str) -> None:
    model = Single()
    run = await Runner(model=model, journal=journal, labels={"batch": "7"}).run_async(ask)
    with Journal(journal) as opened:
        assert opened.run(run.id).settings["labels"] == {"batch": "7"}
