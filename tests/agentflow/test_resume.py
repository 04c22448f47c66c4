"""A run goes on after whatever stopped it; changed code is noticed."""

import pytest

from agentflow import Budget, Runner, flow, idempotency_key, parallel, tool
from agentflow.errors import (
    BudgetExceededError,
    CodeChangedError,
    DriftError,
    JournalError,
    UnknownRunError,
)
from agentflow.flows import Flow
from agentflow.journal.journal import Journal
from agentflow.journal.store import Store

pytestmark = pytest.mark.anyio

state = {"healthy": False, "factor": 1}
calls: list[str] = []


@pytest.fixture(autouse=True)
def broken_again() -> None:
    state.update(healthy=False, factor=1)
    calls.clear()


@tool
async def measure(x: int) -> int:
    """Measure something."""
    calls.append(f"measure {x}")
    return x


@tool(effect=True)
async def pay(x: int) -> str:
    """Pay, unless the bank is down."""
    calls.append(f"pay {idempotency_key()}")
    if not state["healthy"]:
        raise ConnectionError("the bank is down")
    return f"paid {x}"


@flow
async def part(x: int) -> int:
    """Measure twice."""
    return await measure(x) + await measure(x * state["factor"])


@flow
async def whole() -> str:
    """Add the parts and pay."""
    return await pay(sum(await parallel(part(x) for x in (1, 2))))


async def stopped(journal: str) -> str:
    with pytest.raises(Exception, match="bank is down"):
        await Runner(journal=journal).run_as("stopped", whole)
    return "stopped"


async def test_finished_steps_are_kept_and_a_repeated_effect_has_its_key(journal: str) -> None:
    run = await stopped(journal)
    state["healthy"] = True
    resumed = await Runner(journal=journal).resume(whole, run)
    assert resumed.output == "paid 6"
    assert sorted(what.split()[0] for what in calls) == ["measure"] * 4 + ["pay"] * 2
    keys = [what.split()[1] for what in calls if what.startswith("pay")]
    assert keys[0] == keys[1], "the service can see that it is the same payment"
    notes = [remark.text for step in resumed.record.steps.values() for remark in step.notes]
    assert any("same idempotency key" in text for text in notes)


async def test_a_finished_subtree_is_one_look_up(journal: str) -> None:
    run = await stopped(journal)
    state["healthy"] = True
    resumed = await Runner(journal=journal).resume(whole, run)
    again = [step for step in resumed.record.steps.values() if step.number > 8]
    assert [(step.name, "origin" in step.details) for step in again] == [
        ("whole", False),
        ("part", True),
        ("part", True),
        ("pay", False),
    ]


async def test_usage_is_not_counted_twice_and_the_list_of_runs_agrees(journal: str) -> None:
    run = await stopped(journal)
    with Journal(journal) as opened:
        assert [(head.status, head.steps) for head in opened.heads()] == [("failed", 8)]
    state["healthy"] = True
    result = await Runner(journal=journal).resume(whole, run)
    with Journal(journal) as opened:
        head = opened.heads()[0]
        assert (head.status, head.steps) == ("succeeded", len(result.record.steps))


async def test_a_run_stopped_by_its_budget_goes_on_with_a_larger_one(journal: str) -> None:
    state["healthy"] = True
    with pytest.raises(BudgetExceededError, match="steps"):
        await Runner(journal=journal, budget=Budget(steps=5)).run_as("small", whole)
    before = len(calls)
    result = await Runner(journal=journal, budget=Budget(steps=50)).resume(whole, "small")
    assert result.output == "paid 6"
    assert len([what for what in calls if what.startswith("measure")]) == 4
    assert before < len(calls)


async def test_another_input_than_recorded_is_an_error_and_an_explicit_choice(journal: str) -> None:
    run = await stopped(journal)
    with Journal(journal) as opened:
        number = len(opened.run(run).steps)
    assert number == 8

    @flow(name="whole")
    async def other() -> str:
        return await pay(sum(await parallel(part(x) for x in (1, 5))))

    state["healthy"] = True
    with pytest.raises(DriftError, match=r'\{"x":2\}, now \{"x":5\}'):
        await Runner(journal=journal).resume(other, run)
    result = await Runner(journal=journal).resume(other, run, accept_changes=True)
    assert result.output == "paid 12"
    assert sorted(what for what in calls if what.startswith("measure")) == [
        "measure 1",
        "measure 1",
        "measure 2",
        "measure 2",
        "measure 5",
        "measure 5",
    ]


def changed(old: Flow[..., int]) -> Flow[..., int]:
    """Return a flow with another body under the same name and place, as an edited file has."""

    async def part(x: int) -> int:
        """Measure twice, and add one."""
        return await measure(x) + await measure(x * state["factor"]) + 1

    part.__module__, part.__qualname__ = old.function.__module__, old.function.__qualname__
    return Flow(part)


async def test_changed_code_is_reported_with_its_steps_before_anything_happens(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await stopped(journal)
    calls.clear()
    monkeypatch.setitem(globals(), "part", changed(part))
    with pytest.raises(CodeChangedError) as caught:
        await Runner(journal=journal).resume(whole, run)
    assert list(caught.value.changes.values()) == [[2, 4]]
    assert "test_resume:part (steps 2, 4)" in str(caught.value)
    assert "--accept-changes" in str(caught.value)
    assert calls == []
    with Journal(journal) as opened:
        assert opened.run(run).status == "failed", "nothing was written"


async def test_accepted_changes_keep_what_is_finished(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await stopped(journal)
    monkeypatch.setitem(globals(), "part", changed(part))
    state["healthy"] = True
    result = await Runner(journal=journal).resume(whole, run, accept_changes=True)
    assert result.output == "paid 6"


def outer_of(inner: Flow[..., int]) -> Flow[..., str]:
    async def outer() -> str:
        return await pay(await inner(1) + await inner(2))

    return Flow(outer)


def inner_before() -> Flow[..., int]:
    async def hidden(x: int) -> int:
        return await measure(x)

    return Flow(hidden)


def inner_after() -> Flow[..., int]:
    async def hidden(x: int) -> int:
        return await measure(x) + 1

    hidden.__qualname__ = "inner_before.<locals>.hidden"
    return Flow(hidden)


async def test_code_that_is_first_seen_during_the_resume_is_checked_there(journal: str) -> None:
    with pytest.raises(Exception, match="bank"):
        await Runner(journal=journal).run_as("local", outer_of(inner_before()))
    with pytest.raises(CodeChangedError, match=r"hidden \(steps 2, 4\)"):
        await Runner(journal=journal).resume(outer_of(inner_after()), "local")


async def test_comments_and_layout_are_no_change() -> None:
    from agentflow.code import code_hash

    def compiled(text: str) -> str:
        space: dict[str, object] = {}
        exec(compile(text, "flows.py", "exec"), space)
        function = space["f"]
        assert callable(function)
        return code_hash(function)

    plain = compiled("async def f(x):\n    return x in {'a', 'b', 'c'}\n")
    assert plain == compiled(
        "# a comment\n\n\nasync def f(x):  # more\n    return (x in\n    {'a', 'b', 'c'})\n"
    )
    assert plain != compiled("async def f(x):\n    return x in {'a', 'b', 'd'}\n")


async def test_a_refused_resume_undoes_nothing(journal: str) -> None:
    run = await stopped(journal)

    @flow(name="whole")
    async def other() -> str:
        return await pay(sum(await parallel(part(x) for x in (1, 5))))

    state["healthy"] = True
    with pytest.raises(DriftError):
        await Runner(journal=journal).resume(other, run)
    assert (await Runner(journal=journal).resume(whole, run)).output == "paid 6"
    assert len([what for what in calls if what.startswith("measure")]) == 4, (
        "nothing measured again"
    )
    assert (await Runner(journal=journal).replay(whole, run)).output == "paid 6"


async def test_a_run_that_died_before_its_first_word_can_be_started_again(journal: str) -> None:
    store = Store(journal)
    store.new_run("stillborn")
    store.close()
    state["healthy"] = True
    with pytest.raises(UnknownRunError, match="start it again"):
        await Runner(journal=journal).resume(whole, "stillborn")
    assert (await Runner(journal=journal).run_as("stillborn", whole)).output == "paid 6"
    with pytest.raises(JournalError, match="there is a run stillborn already"):
        await Runner(journal=journal).run_as("stillborn", whole)
