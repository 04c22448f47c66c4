"""Archon's search: it finds what is truly better, by any walk, within its trials, and never peeks."""

from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.archon_search import ITAS, archon_search
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import cases_of
from agentflow_planners.optimising.knobs import Knobs
from agentflow_planners.shared.architecture import Layers, refuse_unsound
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agentflow import Budget, Runner, Task
from agentflow.errors import InputError, ModelRequestError
from tests.planners.optimising.parts import DIRECT, SUM, asked_about, helped_by, task_with
from tests.planners.scripts import Acting, solved

pytestmark = pytest.mark.anyio

TASK = task_with(12)
ALONE = Candidate(planner="archon", options={"layers": [[{"type": "generator"}]]})
SPACE: Any = {"samples": [1, 2], "fusers": [[], [1], [2, 1]], "top_k": [0]}
FUSION = "Write one answer"


def fused(prompt: str) -> str:
    """Answer rightly in a fusion alone."""
    found = SUM.search(prompt)
    assert found is not None
    return str(int(found[1]) + (1 if FUSION in prompt else 7))


async def search(journal: str, answer: Callable[[str], str] = fused, **options: Any) -> Any:
    given_options = {"base": ALONE, "space": SPACE} | options
    result = await solved(archon_search, Acting(answer), TASK, journal=journal, **given_options)
    return result.output.output


def kinds(output: Any) -> list[str]:
    return [layer[0]["type"] for layer in output["options"]["layers"]]


@pytest.mark.parametrize("strategy", ["greedy", "random", "halving"])
async def test_it_finds_the_layers_that_are_truly_better(journal: str, strategy: str) -> None:
    output = await search(journal, strategy=strategy)
    assert "fuser" in kinds(output)
    assert output["scores"]["base_held_out"]["mean"] == 0
    assert output["scores"]["held_out"]["mean"] == 1
    assert output["difference"]["low"] > 0
    assert output["improved"] is True


async def test_the_base_stays_where_nothing_is_better(journal: str) -> None:
    output = await search(journal, answer=helped_by("What"), base=DIRECT, space={"x": [1, 2]})
    assert output["improved"] is False
    assert output["planner"] == "direct"


async def test_a_space_may_be_of_the_planners_own_options(journal: str) -> None:
    better = [[{"type": "generator"}], [{"type": "fuser"}]]
    output = await search(journal, space={"layers": [ALONE.options["layers"], better]})
    assert output["options"] == {"layers": better}
    assert output["trials"] == 2


async def test_held_out_cases_are_asked_about_only_after_the_choice(journal: str) -> None:
    model = Acting(fused)
    runner = Runner(journal=journal, model=model)
    result = await runner.run_async(archon_search, TASK, base=ALONE, space=SPACE)
    secret = {case.id for case in cases_of(TASK).held_out}
    steps = list(result.record.steps.values())
    settled = next(step.number for step in steps if step.name == "held out, winner")
    before = sum(step.kind == "model" and step.number < settled for step in steps)
    assert 0 < before < len(model.asked)
    assert not asked_about(model.asked[:before]) & secret
    assert asked_about(model.asked[before:]) == secret


async def test_no_more_candidates_than_trials_are_scored(journal: str) -> None:
    assert (await search(journal, trials=2))["trials"] == 3


async def test_halving_learns_on_train_before_it_chooses_on_select(journal: str) -> None:
    model = Acting(fused)
    runner = Runner(journal=journal, model=model)
    options: Any = {"base": ALONE, "space": SPACE, "strategy": "halving", "trials": 2}
    result = await runner.run_async(archon_search, TASK, **options)
    trials = [step for step in result.record.steps.values() if step.name.startswith("trial ")]
    sizes = [
        sum(1 for case in result.record.steps.values() if case.parent == step.number)
        for step in trials
    ]
    assert sizes == [4, 1, 1, 1, 1, 2, 2, 4]
    assert "fuser" in kinds(result.output.output)


async def test_the_same_seed_finds_the_same_and_draws_the_same(journal: str) -> None:
    first, again = [await search(journal, strategy="random", trials=2, seed=5) for _ in range(2)]
    assert first == again


async def test_a_budget_that_ends_it_early_keeps_the_best_so_far(journal: str) -> None:
    runner = Runner(journal=journal, model=Acting(fused), budget=Budget(steps=240))
    result = await runner.run_async(archon_search, TASK, base=ALONE, space=SPACE)
    output = result.output.output
    assert output["stopped"] != "done"
    assert output["improved"] is True
    assert output["scores"]["held_out"] is not None
    replayed = await Runner(journal=journal).replay(archon_search, result.id)
    assert replayed.output == result.output


async def test_a_search_cut_off_goes_on_to_the_same_end(journal: str) -> None:
    whole = await search(journal)
    left = 20

    def cut(prompt: str) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            raise ModelRequestError(model="scripted:model", problem="no")
        return fused(prompt)

    options: Any = {"base": ALONE, "space": SPACE}
    first = Runner(journal=journal, model=Acting(cut))
    with pytest.raises(ModelRequestError):
        await first.run_as("cut", archon_search, TASK, **options)
    resumed = await Runner(journal=journal, model=Acting(fused)).resume(archon_search, "cut")
    assert resumed.output.output == whole


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"base": DIRECT, "space": None}, "which options of direct to try"),
        ({"space": {"samples": [0]}}, "space: samples: Input should be greater"),
        ({"space": {"samples": []}}, r"space\.samples"),
        ({"strategy": "luck"}, "strategy"),
    ],
)
async def test_a_search_of_no_use_is_refused(
    journal: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        await search(journal, **options)


async def test_without_cases_it_says_what_to_give(journal: str) -> None:
    runner = Runner(journal=journal, model=Acting(fused))
    with pytest.raises(InputError, match="cases"):
        await runner.run_async(archon_search, Task(goal="x"))


@given(
    st.builds(
        Knobs,
        models=st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
        samples=st.integers(1, 10),
        verifier=st.booleans(),
        critic=st.booleans(),
        top_k=st.integers(0, 5),
        fusers=st.lists(st.integers(1, 9), max_size=3).map(tuple),
        max_tokens=st.none() | st.just(9),
    )
)
def test_every_setting_of_the_knobs_keeps_archons_rules(knobs: Knobs) -> None:
    layers: Layers = TypeAdapter(Layers).validate_python(knobs.layers())
    refuse_unsound(layers, most=32)


def test_the_space_holds_archons_own_architecture() -> None:
    for name, default in Knobs().model_dump().items():
        if name in ITAS:
            assert default in ITAS[name]
