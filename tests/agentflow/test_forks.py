"""A fork changes one step and takes over all that the change does not touch."""

import json

import pytest

from agentflow import Change, Reply, Runner, flow, generate, idempotency_key, parallel, tool
from agentflow.errors import ForkError, OutputError
from agentflow.journal.diff import diff_runs
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import ModelSpec, Price
from tests.parts import Scripted

pytestmark = pytest.mark.anyio

done: list[str] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


@tool
async def fetch(page: int) -> str:
    """Return a page."""
    done.append(f"fetch {page}")
    return f"page {page}"


@tool(effect=True)
async def publish(text: str) -> str:
    """Publish a text."""
    done.append(f"publish {text} {idempotency_key()[:8]}")
    return f"published {text}"


@flow
async def summary(page: int) -> str:
    """Fetch a page and have it summed up."""
    text = await fetch(page)
    reply: Reply = await generate(f"Sum up: {text}")
    return reply.text


@flow
async def report(pages: int) -> str:
    """Sum up all pages and publish them."""
    parts = await parallel(summary(page) for page in range(pages))
    return await publish(" | ".join(parts))


def model(mark: str = "") -> Scripted:
    return Scripted(lambda prompt: prompt.removeprefix("Sum up: ").upper() + mark)


def step_of(record: RunRecord, name: str, holding: str = "") -> int:
    found = [
        step for step in record.steps.values() if step.name == name and holding in str(step.input)
    ]
    return found[0].number


def names(record: RunRecord, *, live: bool) -> list[str]:
    return [step.name for step in record.steps.values() if ("origin" not in step.details) == live]


async def first_run(journal: str) -> tuple[Runner, RunRecord]:
    runner = Runner(journal=journal, model=model())
    record = (await runner.run_async(report, 3)).record
    done.clear()
    return runner, record


async def test_a_given_output_reruns_only_what_depends_on_it(journal: str) -> None:
    runner, record = await first_run(journal)
    at = step_of(record, "generate", "page 1")
    forked = await runner.fork(report, record.id, at=at, change=Change(output={"text": "better"}))
    assert forked.output == "published PAGE 0 | better | PAGE 2"
    assert [what.split()[0] for what in done] == ["publish"]
    assert names(forked.record, live=True) == ["report", "summary", "publish"]
    origins = [
        step.details["origin"] for step in forked.record.steps.values() if "origin" in step.details
    ]
    assert {origin.get("run") for origin in origins} == {record.id, None}
    assert forked.record.parent == record.id
    assert forked.usage.total_tokens == 0, "what is taken over costs nothing"


async def test_another_prompt_asks_the_model_once_and_no_more(journal: str) -> None:
    runner, record = await first_run(journal)
    asked = runner.model.asked  # type: ignore[union-attr]
    asked.clear()
    at = step_of(record, "generate", "page 2")
    forked = await runner.fork(report, record.id, at=at, change=Change(prompt="Sum up: the end"))
    assert forked.output == "published PAGE 0 | PAGE 1 | THE END"
    assert asked == ["Sum up: the end"]


async def test_another_model_holds_for_every_call_below_the_step(journal: str) -> None:
    _runner, record = await first_run(journal)
    other = model("!")
    other.spec = ModelSpec(provider="openai", name="other", price=Price(input=1e6, output=1e6))
    lent = Runner(journal=journal, model=other)
    at = step_of(record, "summary", '"page":1')
    change = Change(model="openai:other")
    plan = await lent.plan_fork(report, record.id, at=at, change=change)
    assert [(step.name, step.number > at) for step in plan.rerun] == [("generate", True)]
    services_know_it_as = str(other.spec)
    assert services_know_it_as == "openai:other"
    forked = await lent.fork(report, record.id, at=at, change=change)
    assert forked.output == "published PAGE 0 | PAGE 1! | PAGE 2"
    assert done == [done[0]], "the page itself is taken over"
    with pytest.raises(ForkError, match="cannot use that model"):
        await lent.fork(report, record.id, at=at, change=Change(model="nowhere:x"))


async def test_another_input_of_the_root_keeps_the_branches_it_does_not_touch(journal: str) -> None:
    runner, record = await first_run(journal)
    forked = await runner.fork(report, record.id, at=1, change=Change(input={"pages": 4}))
    assert forked.output == "published PAGE 0 | PAGE 1 | PAGE 2 | PAGE 3"
    assert [what for what in done if what.startswith("fetch")] == ["fetch 3"]


async def test_without_a_change_the_step_and_all_below_it_is_done_again(journal: str) -> None:
    runner, record = await first_run(journal)
    at = step_of(record, "summary", '"page":1')
    forked = await runner.fork(report, record.id, at=at)
    assert done == ["fetch 1"], "the same texts come out, so nothing else has to run"
    assert forked.output == record.value()


async def test_an_effect_of_a_fork_has_an_idempotency_key_of_its_own(journal: str) -> None:
    runner = Runner(journal=journal, model=model())
    first = await runner.run_async(report, 1)
    await runner.fork(report, first.id, at="publish")
    keys = [what.split()[-1] for what in done if what.startswith("publish")]
    assert len(keys) == len(set(keys)) == 2


async def test_a_dry_run_lists_what_would_happen_and_does_nothing(journal: str) -> None:
    runner, record = await first_run(journal)
    at = step_of(record, "fetch", '"page":1')
    plan = await runner.plan_fork(report, record.id, at=at)
    assert done == []
    assert [step.number for step in plan.rerun] == [at]
    assert sorted(step.name for step in plan.open) == ["generate", "publish"]
    assert [step.name for step in plan.effects] == ["publish"]
    untouched = {step.name for step in plan.reused}
    assert untouched == {"summary", "fetch", "generate"}
    with Journal(journal) as opened:
        assert len(opened.heads()) == 1, "a dry run leaves no run behind"


async def test_the_dry_run_tells_the_price_of_what_would_run(journal: str) -> None:
    priced = Scripted(lambda prompt: prompt, price=Price(input=1e6, output=0))
    runner = Runner(journal=journal, model=priced)
    record = (await runner.run_async(report, 2)).record
    plan = await runner.plan_fork(report, record.id, at=step_of(record, "generate", "page 0"))
    one_call = next(step for step in record.steps.values() if step.kind == "model")
    assert plan.cost_usd == one_call.cost_usd != 0


async def test_a_fork_of_a_fork_keeps_the_changes_of_both(journal: str) -> None:
    runner, record = await first_run(journal)
    at = step_of(record, "generate", "page 0")
    second = await runner.fork(report, record.id, at=at, change=Change(prompt="Sum up: one"))
    at = step_of(second.record, "publish")
    third = await runner.fork(report, second.id, at=at, change=Change(input={"text": "short"}))
    assert third.output == "published short"
    at = step_of(third.record, "publish")
    fourth = await runner.fork(report, third.id, at=at)
    assert fourth.output == "published short"
    for run in (second, third, fourth):
        assert (await runner.replay(report, run.id)).output == run.output


async def test_a_fork_that_was_stopped_resumes_and_still_takes_over_from_its_parent(
    journal: str,
) -> None:
    runner, record = await first_run(journal)
    at = step_of(record, "generate", "page 1")
    broken = Scripted(lambda _prompt: 1 / 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        await Runner(journal=journal, model=broken).fork(
            report, record.id, at=at, change=Change(prompt="Sum up: again"), new_run="stopped"
        )
    done.clear()
    resumed = await runner.resume(report, "stopped")
    assert resumed.output == "published PAGE 0 | AGAIN | PAGE 2"
    assert [what.split()[0] for what in done] == ["publish"]


async def test_what_cannot_be_changed_is_refused_with_the_reason(journal: str) -> None:
    runner, record = await first_run(journal)

    async def refused(at: int | str, change: Change) -> str:
        with pytest.raises(ForkError) as caught:
            await runner.plan_fork(report, record.id, at=at, change=change)
        return str(caught.value)

    assert "no step '99'" in await refused(99, Change())
    assert "3 steps are called 'fetch'" in await refused("fetch", Change())
    assert "has no input 'colour' (it has pages)" in await refused(1, Change(input={"colour": 1}))
    assert "has no prompt" in await refused(1, Change(prompt="x"))
    assert "make no difference" in await refused(1, Change(output=1, prompt="x"))


async def test_an_output_of_the_wrong_type_is_refused_where_it_is_used(journal: str) -> None:
    runner, record = await first_run(journal)
    at = step_of(record, "fetch", '"page":0')
    with pytest.raises(OutputError, match="fetch"):
        await runner.fork(report, record.id, at=at, change=Change(output={"not": "text"}))


async def test_two_runs_are_compared_step_by_step(journal: str) -> None:
    runner, record = await first_run(journal)
    at = step_of(record, "generate", "page 1")
    forked = await runner.fork(report, record.id, at=at, change=Change(output={"text": "better"}))
    found = {item.step.key: item for item in diff_runs(record, forked.record)}
    assert len(found) == len(record.steps), "the same steps, by identity"
    changed = {(item.step.name, item.changed) for item in found.values() if item.what == "changed"}
    assert changed == {
        ("report", ("output",)),
        ("summary", ("output",)),
        ("generate", ("output",)),
        ("publish", ("input", "output")),
    }
    more = await runner.run_async(report, 4)
    added = [item for item in diff_runs(record, more.record) if item.what == "added"]
    assert [item.step.name for item in added] == ["summary", "fetch", "generate"]
    assert json.loads(added[0].step.input) == {"page": 3}
