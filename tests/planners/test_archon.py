"""Archon: layers in order, members side by side, and rules that an architecture must keep."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from agentflow_planners.archon import archon

from agentflow import Budget, Reply, Runner, Task
from agentflow.errors import (
    BudgetExceededError,
    ExpansionError,
    InputError,
    MalformedReplyError,
    ModelRequestError,
)
from agentflow.models.protocol import OnText, Request
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="How many eggs?")


def layer(*types: str, **settings: Any) -> Any:
    return [{"type": name, **settings} for name in types]


def numbers(*chosen: int) -> str:
    return json.dumps({"reason": "so", "numbers": chosen})


def script(**parts: Any) -> Callable[[str], str]:
    """Answer prompts by the kind of component that asks; a list is taken one by one."""
    marks = {
        "rank": "Rank these answers",
        "fuse": "Write one answer",
        "critic": "Name the strengths",
        "verify": "Look for what is wrong",
        "tests": "tests that tell",
        "evaluate": "Check the answer against each test",
        "generate": TASK.goal,
    }
    said: list[str] = []

    def answer(prompt: str) -> str:
        if "does not fit" in prompt:
            return said[-1]
        part = next(name for name, mark in marks.items() if mark in prompt)
        reply = parts[part]
        said.append(str(reply.pop(0) if isinstance(reply, list) else reply))
        return said[-1]

    return answer


class Together(Acting):
    """A model that holds the first `count` calls until all of them are there."""

    def __init__(self, answer: Callable[[str], str], count: int) -> None:
        super().__init__(answer)
        self._left, self._all = count, anyio.Event()

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        self._left -= 1
        if self._left == 0:
            self._all.set()
        await self._all.wait()  # one after the other would wait here for ever
        return await super().complete(request, on_text)


async def test_layers_run_in_order_and_the_members_of_a_layer_side_by_side(journal: str) -> None:
    layers = [layer("generator", "generator", samples=2), layer("ranker", top_k=2), layer("fuser")]
    replies = script(generate=["1", "2", "3", "4"], rank=numbers(4, 2, 1, 3), fuse="42")
    model = Together(replies, count=4)
    result = await solved(archon, model, TASK, journal=journal, layers=layers)
    assert result.output.output == "42"
    assert "[1]\n4\n\n[2]\n2\n\n" in model.asked[-1]
    members = [step for step in result.record.steps.values() if step.name[1:2] == "."]
    assert [step.name for step in members] == [
        "1.1 generator",
        "1.2 generator",
        "2.1 ranker",
        "3.1 fuser",
    ]
    first, second, ranker, fuser = members
    for earlier, later in ((first, ranker), (second, ranker), (ranker, fuser)):
        assert earlier.ended_at is not None
        assert earlier.ended_at <= later.started_at


async def test_the_default_is_ten_answers_the_best_five_and_their_fusion(journal: str) -> None:
    model = Acting(script(generate="7", rank=numbers(1), fuse="8"))
    result = await solved(archon, model, TASK, journal=journal)
    assert result.output.output == "8"
    assert len(model.asked) == 12
    assert "[5]" in model.asked[-1]
    assert "[6]" not in model.asked[-1]


async def test_a_critique_stays_with_its_answer_through_a_ranking(journal: str) -> None:
    layers = [
        layer("generator", samples=2),
        layer("critic"),
        layer("ranker", top_k=1),
        layer("fuser"),
    ]

    def answer(prompt: str) -> str:
        if "Name the strengths" in prompt:
            return "too few" if "An answer:\n1\n" in prompt else "just right"
        return script(generate=drawn, rank=numbers(2, 1), fuse="done")(prompt)

    drawn = ["1", "2"]
    model = Acting(answer)
    await solved(archon, model, TASK, journal=journal, layers=layers)
    assert "[1]\n2\n\nOf [1] a critic says:\njust right" in model.asked[-1]
    assert "too few" not in model.asked[-1]


async def test_a_verifier_drops_what_it_calls_incorrect(journal: str) -> None:
    verdicts = [json.dumps({"reason": "r", "correct": good}) for good in (False, True, False)]
    model = Acting(script(generate=["1", "2", "3"], verify=verdicts))
    layers = [layer("generator", samples=3), layer("verifier")]
    result = await solved(archon, model, TASK, journal=journal, layers=layers)
    assert result.output.output == "2"
    assert "1 of 3 candidates are called correct" in notes_of(result)


async def test_that_nothing_passes_a_verifier_is_an_error(journal: str) -> None:
    model = Acting(script(generate="1", verify=json.dumps({"reason": "off", "correct": False})))
    layers = [layer("generator"), layer("verifier")]
    with pytest.raises(ExpansionError, match="none of 1 candidates passed; the first: off"):
        await solved(archon, model, TASK, journal=journal, layers=layers)


async def test_unit_tests_put_the_answer_that_passes_most_of_them_first(journal: str) -> None:
    model = Acting(
        script(
            generate=["1", "2", "3"],
            tests=json.dumps({"tests": ["is even", "is small", "too many"]}),
            evaluate=[numbers(2, 2), numbers(1, 2), numbers()],
        )
    )
    layers = [
        layer("generator", samples=3),
        layer("unit_test_generator", tests=2),
        layer("unit_test_evaluator", top_k=1),
    ]
    result = await solved(archon, model, TASK, journal=journal, layers=layers)
    assert result.output.output == "2"
    assert "of 2 tests the candidates pass [1, 2, 0]" in notes_of(result)


async def test_a_test_that_does_not_exist_cannot_be_passed(journal: str) -> None:
    tests = json.dumps({"tests": ["is even"]})
    model = Acting(script(generate="1", tests=tests, evaluate=numbers(1, 2)))
    layers = [layer("generator"), layer("unit_test_generator"), layer("unit_test_evaluator")]
    with pytest.raises(MalformedReplyError):
        await solved(archon, model, TASK, journal=journal, layers=layers)


async def test_several_answers_at_the_end_are_voted_on(journal: str) -> None:
    model = Acting(script(generate=["1", "2", "2.0"]))
    layers = [layer("generator", samples=3)]
    result = await solved(archon, model, TASK, journal=journal, layers=layers)
    assert result.output.output == "2"


async def test_a_sample_without_an_answer_is_noted_and_the_others_go_on(journal: str) -> None:
    model = Acting(script(generate=["", "2"]))
    layers = [layer("generator", samples=2)]
    result = await solved(archon, model, TASK, journal=journal, layers=layers)
    assert result.output.output == "2"
    assert "1 of 2 gave no answer" in notes_of(result)


async def test_a_refused_call_is_no_missing_answer(journal: str) -> None:
    def refuses(_prompt: str) -> str:
        raise ModelRequestError(model="scripted:model", problem="no")

    with pytest.raises(ModelRequestError):
        await solved(archon, Acting(refuses), TASK, journal=journal)


GENERATOR = layer("generator")


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        ([layer("ranker")], r"layer 1 \(ranker\): the first layer must be generators"),
        ([GENERATOR, GENERATOR], r"layer 2 \(generator\): generators belong in the first"),
        ([GENERATOR, []], "layer 2: it is empty"),
        ([GENERATOR, layer("ranker", "fuser")], r"layer 2 \(ranker\) \(fuser\): .*of one type"),
        ([GENERATOR, layer("ranker", "ranker")], r"layer 2 \(ranker\): only one ranker"),
        (
            [GENERATOR, layer("critic"), layer("verifier")],
            r"layer 2 \(critic\): a ranker or a fuser must come after",
        ),
        (
            [GENERATOR, layer("fuser"), layer("critic")],
            r"layer 3 \(critic\): a ranker or a fuser must come after",
        ),
        (
            [GENERATOR, layer("unit_test_generator"), layer("fuser"), layer("unit_test_evaluator")],
            r"layer 2 \(unit_test_generator\): a unit_test_evaluator must come right after",
        ),
        (
            [GENERATOR, layer("unit_test_evaluator")],
            r"layer 2 \(unit_test_evaluator\): a unit_test_generator must come right before",
        ),
        ([layer("generator", samples=33)], r"layer 1 \(generator\): it makes 33 .* which is 32"),
        ([GENERATOR, layer("ranker", samples=2)], r"layer 2 \(ranker\): .* takes no `samples`"),
        ([GENERATOR, layer("fuser", top_k=2)], r"layer 2 \(fuser\): a fuser takes no `top_k`"),
        ([GENERATOR, layer("judge")], r"layers\.1\.0\.type"),
        ([GENERATOR, layer("fuser", depth=2)], r"layers\.1\.0\.depth"),
        ([], "layers"),
    ],
)
async def test_an_architecture_against_the_rules_is_refused_before_any_call(
    journal: str, layers: Any, problem: str
) -> None:
    model = Acting(lambda _prompt: "1")
    with pytest.raises(InputError, match=problem):
        await Runner(journal=journal, model=model).run_async(archon, TASK, layers=layers)
    assert model.asked == []


async def test_the_runs_budget_ends_it(journal: str) -> None:
    model = Acting(script(generate="1"))
    runner = Runner(journal=journal, model=model, budget=Budget(steps=5))
    with pytest.raises(BudgetExceededError):
        await runner.run_async(archon, TASK)


async def test_a_run_cut_off_in_a_layer_goes_on_without_repeating_the_ones_before(
    journal: str,
) -> None:
    def cut(prompt: str) -> str:
        if "Write one answer" in prompt:
            raise ModelRequestError(model="scripted:model", problem="no")
        return script(generate="1", rank=numbers(2, 1))(prompt)

    layers: Any = [layer("generator", samples=2), layer("ranker"), layer("fuser")]
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Acting(cut)).run_as("cut", archon, TASK, layers=layers)
    model = Acting(script(fuse="3"))
    resumed = await Runner(journal=journal, model=model).resume(archon, "cut")
    assert resumed.output.output == "3"
    assert len(model.asked) == 1
    replayed = await Runner(journal=journal).replay(archon, resumed.id)
    assert replayed.output == resumed.output
