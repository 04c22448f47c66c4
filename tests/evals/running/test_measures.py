"""What a run cost and what form it had, from real runs and from records made up second by second."""

import itertools
from collections.abc import Iterable

import pytest
from agentflow_evals.running.measures import longest_chain, measures_of
from agentflow_evals.scorer import Score, verdict
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Runner, Task, flow, generate, parallel, plugins
from agentflow.journal.events import Event, RunFinished, RunStarted, StepFinished, StepStarted
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Price
from agentflow.solving import Named, solve_task
from agentflow.task import Result
from tests.agentflow.training.parts import taught
from tests.parts import Scripted

pytestmark = pytest.mark.anyio
RECODE = {
    "solve": "return part(2) + other(3)",
    "part": "return argument_1",
    "other": "return argument_1",
}


async def test_a_tree_of_functions_has_its_depth_breadth_and_expansions() -> None:
    found = measures_of((await taught(RECODE, expected=[5])).record)
    assert (found.depth, found.breadth, found.expansions) == (1, 2, 3)
    assert (found.calls, found.reused_calls) == (3, 0)
    assert found.tokens == found.spent_tokens > 0
    assert 0 < found.critical_path_s <= found.seconds


async def test_a_direct_answer_has_no_depth_and_no_breadth() -> None:
    found = measures_of((await taught({"solve": "words"}, planner="direct")).record)
    assert (found.depth, found.breadth, found.expansions, found.calls) == (0, 0, 0, 1)
    assert found.steps == 3  # the task, its planner, its call


async def test_a_repair_makes_no_tree_broader() -> None:
    bodies = {"solve": ["x = part(1)\nreturn x / 0", "return other(1)"], "part": "return 1"}
    found = measures_of((await taught({**bodies, "other": "return 1"}, expected=[1])).record)
    assert (found.expansions, found.breadth) == (4, 1)


async def judge(output: object, _options: dict[str, object]) -> Score:
    """Score an answer with a call of a model."""
    await generate(f"Judge {output}")
    return verdict(True, "fine")


async def test_what_a_judge_spends_is_paid_but_not_the_planners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda kind, name: judge if kind == "scorer" else load(kind, name)
    )
    model = Scripted(lambda _prompt: "four words of answer", price=Price(input=1, output=1))
    runner = Runner(journal=":memory:", model=model)
    run = await runner.run_as(
        "run", solve_task, Task(goal="Say it"), Named(name="direct"), (Named(name="judge"),)
    )
    found = measures_of(run.record)
    assert (len(model.asked), found.calls) == (2, 1)
    assert found.spent_tokens > found.tokens > 0
    assert found.spent_usd is not None
    assert found.cost_usd is not None
    assert found.spent_usd > found.cost_usd > 0


async def test_a_cached_call_counts_as_if_it_had_been_made_and_costs_nothing(journal: str) -> None:
    model = Scripted(lambda _prompt: "yes", price=Price(input=1, output=1))
    runner = Runner(journal=journal, model=model, cache_models=True)
    task, planner = Task(goal="Say yes"), Named(name="direct")
    first = measures_of((await runner.run_as("first", solve_task, task, planner)).record)
    second = measures_of((await runner.run_as("second", solve_task, task, planner)).record)
    assert len(model.asked) == 1
    assert (first.reused_calls, second.reused_calls) == (0, 1)
    assert first.tokens == second.tokens > 0
    assert first.cost_usd == second.cost_usd == first.spent_usd
    assert (second.spent_usd, second.spent_tokens) == (0, 0)


async def test_a_call_without_a_price_makes_both_costs_unknown() -> None:
    runner = Runner(journal=":memory:", model=Scripted(lambda _prompt: "yes"))
    run = await runner.run_as("run", solve_task, Task(goal="Say yes"), Named(name="direct"))
    assert (measures_of(run.record).cost_usd, measures_of(run.record).spent_usd) == (None, None)


broken = {"now": True}


@flow
async def unlucky(task: Task) -> Result:
    """Ask twice at once, and once more unless it is broken."""
    await parallel(generate(f"{task.goal} {number}") for number in (1, 2))
    if broken["now"]:
        raise ConnectionError("no network")
    return Result(output=(await generate("last")).text)


async def test_a_resumed_run_counts_each_call_once(journal: str) -> None:
    model = Scripted(lambda _prompt: "yes", price=Price(input=1, output=1))
    runner = Runner(journal=journal, model=model)
    broken["now"] = True
    with pytest.raises(Exception, match="no network"):
        await runner.run_as("cut", unlucky, Task(goal="Try"))
    broken["now"] = False
    await runner.resume(unlucky, "cut")
    with Journal(journal) as opened:
        record = opened.run("cut")
    found = measures_of(record)
    assert len(record.steps) > found.steps == 4
    assert (found.calls, found.reused_calls, len(model.asked)) == (3, 0, 3)
    assert found.cost_usd == found.spent_usd
    assert found.tokens == found.spent_tokens


def events(*spans: tuple[str, float, float]) -> Iterable[Event]:
    """Yield a run with a root and below it one leaf a span."""
    numbers = itertools.count(1)
    moments: list[tuple[float, int, Event]] = []
    for step, (name, begin, end) in enumerate(spans, 2):
        details: dict[str, object] = {}
        started = StepStarted(
            number=0, at=begin, step=step, key=name.encode(), parent=1, name=name, kind="tool",
            input=b"null", details=details,
        )  # fmt: skip
        ended = StepFinished(number=0, at=end, step=step, output=b"null")
        moments += [(begin, step * 2, started), (end, step * 2 + 1, ended)]
    last = max(end for _name, _begin, end in spans)
    yield RunStarted(number=next(numbers), at=0, flow="f", target="m:f", input=b"{}", settings={})
    yield StepStarted(
        number=next(numbers), at=0, step=1, key=b"root", parent=None, name="f", kind="flow",
        input=b"{}",
    )  # fmt: skip
    for _at, _order, event in sorted(moments, key=lambda item: item[:2]):
        event.number = next(numbers)
        yield event
    yield StepFinished(number=next(numbers), at=last, step=1, output=b"null")
    yield RunFinished(number=next(numbers), at=last, status="succeeded", output=b"null")


def test_the_critical_path_is_the_longest_chain_in_time() -> None:
    spans = [("a", 0.0, 2.0), ("b", 0.0, 5.0), ("c", 2.0, 4.0), ("d", 5.0, 6.0), ("e", 4.5, 6.5)]
    found = measures_of(RunRecord.of("r", list(events(*spans))))
    assert found.critical_path_s == 6  # b, then d; or a, c, then e
    assert found.seconds == 6.5


def test_the_time_between_a_stop_and_a_resume_is_not_the_runs() -> None:
    first = list(events(("a", 0.0, 2.0)))[:-2]  # the process was killed
    again = RunStarted(number=9, at=1000, flow="f", target="m:f", input=b"{}", settings={})
    end = RunFinished(number=10, at=1003, status="succeeded", output=b"null")
    assert measures_of(RunRecord.of("r", [*first, again, end])).seconds == 5


def test_a_run_that_goes_on_lasts_up_to_the_last_thing_that_is_known() -> None:
    assert measures_of(RunRecord.of("r", list(events(("a", 0.0, 2.0)))[:-2])).seconds == 2


SPANS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda s: (float(s[0]), float(sum(s)))),
    max_size=7,
)


@given(SPANS)
def test_no_other_chain_is_longer(spans: list[tuple[float, float]]) -> None:
    def is_chain(chosen: tuple[tuple[float, float], ...]) -> bool:
        ordered = sorted(chosen, key=lambda span: (span[1], span[0]))
        return all(one[1] <= other[0] for one, other in itertools.pairwise(ordered))

    chains = (
        sum(end - begin for begin, end in chosen)
        for size in range(len(spans) + 1)
        for chosen in itertools.combinations(spans, size)
        if is_chain(chosen)
    )
    assert longest_chain(spans) == max(chains)
