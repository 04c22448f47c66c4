"""Evaluations: every cell once, nothing repeated, nothing counted that says nothing."""

import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from agentflow_evals.outcome import Outcome
from agentflow_evals.running.evaluation import evaluation
from agentflow_evals.running.evaluator import Evaluator
from agentflow_evals.running.laboratory import run_of
from agentflow_evals.running.reading import evaluations, read_evaluation

from agentflow import Budget, Journal, Runner
from agentflow.errors import (
    BudgetExceededError,
    CredentialsError,
    EvaluationError,
    ModelUnavailableError,
)
from agentflow.models.protocol import Price
from tests.evals.arithmetic import doubles, plan_of
from tests.parts import Scripted

pytestmark = pytest.mark.anyio


def double(prompt: str) -> str:
    found = re.search(r"twice (\d+)", prompt)
    assert found is not None
    return str(2 * int(found[1]) + (found[1] == "3"))


def evaluator(journal: Path, model: Scripted, **settings: object) -> Evaluator:
    return Evaluator(journal=journal, models={str(model.spec): model}, **settings)  # type: ignore[arg-type]


async def test_every_cell_is_a_run_of_its_own_in_the_same_journal(tmp_path: Path) -> None:
    model, suite = Scripted(double), doubles(4)
    plan = plan_of(suite, model, "first", "second")
    found = await evaluator(tmp_path / "j.db", model).run(plan, suite)
    assert [outcome.cell for outcome in found.outcomes] == list(plan.cells())
    assert [outcome.passed for outcome in found.outcomes[:4]] == [True, True, True, False]
    assert found.outcomes[3].reason == "numeric: 7 is not 6"
    assert found.outcomes[3].target == 6
    with Journal(tmp_path / "j.db") as journal:
        for outcome in found.outcomes:
            run = journal.run(outcome.run)
            assert run.status == "succeeded"
            assert run.settings["labels"] == {
                "evaluation": found.id,
                "sample": outcome.sample,
                "planner": outcome.planner,
                "model": outcome.model,
                "repeat": "0",
            }
    assert [head.id for head in evaluations(tmp_path / "j.db")] == [found.id]


async def test_a_finished_evaluation_that_is_resumed_asks_no_model(tmp_path: Path) -> None:
    model, suite = Scripted(double), doubles()
    found = await evaluator(tmp_path / "j.db", model).run(plan_of(suite, model), suite)
    asked = len(model.asked)
    heard: list[Outcome] = []
    again = await evaluator(tmp_path / "j.db", model, hear=heard.append).resume(found.id)
    assert again.outcomes == found.outcomes
    assert len(model.asked) == asked


async def test_what_a_broken_connection_stopped_is_not_counted_and_is_tried_again(
    tmp_path: Path,
) -> None:
    def unreachable(prompt: str) -> str:
        if "twice 2" in prompt:
            raise ModelUnavailableError(model="scripted:model", problem="no route to host")
        return double(prompt)

    suite = doubles()
    model = Scripted(unreachable)
    found = await evaluator(tmp_path / "j.db", model).run(plan_of(suite, model), suite)
    assert [cell.sample for cell in found.missing] == ["double 2"]
    assert [one.reason for one in found.outcomes if not one.is_counted] == [
        "ModelUnavailableError: model scripted:model: no route to host"
    ]
    mended = Scripted(double)
    whole = await evaluator(tmp_path / "j.db", mended).resume(found.id)
    assert whole.missing == []
    assert len(mended.asked) == 1
    assert [one.passed for one in whole.outcomes].count(True) == 5


async def test_a_missing_key_ends_the_evaluation_at_once(tmp_path: Path) -> None:
    def refused(_prompt: str) -> str:
        raise CredentialsError(model="scripted:model", problem="the key was refused")

    model, suite = Scripted(refused), doubles(50)
    with pytest.raises(EvaluationError, match="the key was refused"):
        await evaluator(tmp_path / "j.db", model, at_once=2).run(plan_of(suite, model), suite)
    assert len(model.asked) <= 2


async def test_failures_without_end_stop_the_evaluation(tmp_path: Path) -> None:
    def unreachable(_prompt: str) -> str:
        raise ModelUnavailableError(model="scripted:model", problem="no route to host")

    model, suite = Scripted(unreachable), doubles(60)
    with pytest.raises(EvaluationError, match="in a row"):
        await evaluator(tmp_path / "j.db", model, at_once=2).run(plan_of(suite, model), suite)
    assert len(model.asked) < 15


async def test_a_planner_that_gives_no_answer_has_failed(tmp_path: Path) -> None:
    model, suite = Scripted(lambda _prompt: "no function"), doubles(1)
    sample = suite.samples[0]
    task = sample.task.model_copy(update={"inputs": {"code": "def f(x):\n    '''Double x.'''\n"}})
    suite = replace(suite, samples=[sample.model_copy(update={"task": task})])
    found = await evaluator(tmp_path / "j.db", model).run(plan_of(suite, model), suite)
    assert [one.status for one in found.outcomes] == ["failed"]
    assert found.outcomes[0].reason.startswith("ExpansionError")


async def test_the_spending_limit_holds_for_all_samples_together_and_a_resume_goes_on(
    tmp_path: Path,
) -> None:
    model, suite = Scripted(double, price=Price(input=0, output=1_000_000)), doubles(10)
    plan = plan_of(suite, model)
    limited = evaluator(tmp_path / "j.db", model, spending=Budget(tokens=1050), at_once=1)
    with pytest.raises(BudgetExceededError):
        await limited.run(plan, suite, "e1")
    part = read_evaluation(tmp_path / "j.db", "e1")
    spent = sum(one.measures.spent_tokens for one in part.outcomes)
    assert spent <= 1050
    assert part.missing
    asked = len(model.asked)
    whole = await evaluator(tmp_path / "j.db", model).resume("e1")
    assert whole.missing == []
    assert len(model.asked) == 10
    assert asked < 10


async def test_what_was_spent_before_counts_for_the_limit_of_a_resume(tmp_path: Path) -> None:
    model, suite = Scripted(double), doubles(4)
    one_by_one = evaluator(tmp_path / "j.db", model, at_once=1)
    done = await one_by_one.run(plan_of(suite, model), suite, "e1")
    last = done.outcomes[-1]
    forget(tmp_path / "j.db", "e1", last.run)
    limited = evaluator(tmp_path / "j.db", model, spending=Budget(tokens=1))
    with pytest.raises(BudgetExceededError):
        await limited.resume("e1")
    assert len(model.asked) == 4


def forget(journal: Path, evaluation: str, run: str) -> None:
    """Take the last sample's step, its run and the end of the evaluation out of a journal."""
    with sqlite3.connect(journal) as connection:
        numbers = dict(connection.execute("SELECT id, number FROM runs").fetchall())
        whole = numbers[evaluation]
        newest = connection.execute(
            "SELECT max(number) FROM events WHERE run = ?", (whole,)
        ).fetchone()[0]
        connection.execute("DELETE FROM events WHERE run = ? AND number > ?", (whole, newest - 3))
        connection.execute("DELETE FROM events WHERE run = ?", (numbers[run],))
        connection.execute("DELETE FROM runs WHERE id = ?", (run,))
        connection.execute("UPDATE runs SET status = NULL WHERE id = ?", (evaluation,))


async def test_a_run_that_was_finished_before_the_evaluation_knew_is_not_repeated(
    tmp_path: Path,
) -> None:
    model, suite = Scripted(double), doubles(3)
    plan = plan_of(suite, model)
    done = await evaluator(tmp_path / "j.db", model).run(plan, suite, "e1")
    with sqlite3.connect(tmp_path / "j.db") as connection:  # killed before the step was written
        number = connection.execute("SELECT number FROM runs WHERE id = 'e1'").fetchone()[0]
        connection.execute("DELETE FROM events WHERE run = ? AND number > 2", (number,))
        connection.execute("UPDATE runs SET status = NULL WHERE id = 'e1'")
    again = await evaluator(tmp_path / "j.db", model).resume("e1")
    assert len(model.asked) == 3
    assert [one.model_dump() for one in again.outcomes] == [
        one.model_dump() for one in done.outcomes
    ]


async def test_an_evaluation_does_not_go_on_with_another_suite(tmp_path: Path) -> None:
    model, suite = Scripted(double), doubles(3)
    plan = plan_of(suite, model)
    other = plan.model_copy(update={"suite": plan.suite.model_copy(update={"digest": "0"})})
    with pytest.raises(EvaluationError, match="samples have changed"):
        await evaluator(tmp_path / "j.db", model).run(other, suite)


async def test_an_ordinary_resume_says_how_an_evaluation_is_resumed(tmp_path: Path) -> None:
    model, suite = Scripted(double), doubles(3)
    with pytest.raises(EvaluationError, match="agentflow eval --resume"):
        await Runner(journal=tmp_path / "j.db").run_async(evaluation, plan_of(suite, model))


def test_the_run_of_a_cell_follows_from_the_evaluation_and_the_cell_alone() -> None:
    model = Scripted(double)
    cells = list(plan_of(doubles(3), model, "first", "second", repeat=2).cells())
    ids = {run_of("e1", cell) for cell in cells} | {run_of("e2", cell) for cell in cells}
    assert len(ids) == 2 * len(cells)
    assert run_of("e1", cells[0]) == run_of("e1", cells[0]) != run_of("e1", cells[0], 1)


async def test_a_resume_keeps_the_spending_limit_and_the_labels_it_began_with(
    tmp_path: Path,
) -> None:
    model, suite = Scripted(double), doubles(10)
    plan = plan_of(suite, model).model_copy(update={"spending": Budget(tokens=1050)})
    first = evaluator(tmp_path / "j.db", model, at_once=1, labels={"command": "the first"})
    with pytest.raises(BudgetExceededError):
        await first.run(plan, suite, "e1")
    again = evaluator(tmp_path / "j.db", model, labels={"command": "the second"})
    with pytest.raises(BudgetExceededError):
        await again.resume("e1")
    raised = evaluator(tmp_path / "j.db", model, spending=Budget(tokens=100_000))
    whole = await raised.resume("e1")
    assert whole.missing == []
    assert whole.machine == {"command": "the first"}
