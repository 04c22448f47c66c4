"""Which of a run's model calls count as having worked."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from agentflow_planners.recode import recode

from agentflow import (
    Change,
    Journal,
    Program,
    Runner,
    Task,
    flow,
    generate,
    parallel,
    plugins,
    run_program,
)
from agentflow.errors import MalformedReplyError
from agentflow.expansion import Unwritten
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Request
from agentflow.solving import Named, solve_task
from agentflow.training.outcomes import calls_of, taken_from_elsewhere
from tests.agentflow.training.parts import Bodies, taught, teacher
from tests.parts import Scripted

pytestmark = pytest.mark.anyio


def seen(record: RunRecord) -> list[tuple[str, str, int]]:
    return [(call.owner.name, call.outcome, call.depth) for call in calls_of(record)]


async def test_a_version_that_was_repaired_failed_and_its_repair_worked() -> None:
    bodies = {
        "solve": ["return 1 / 0", "return part(2)"],
        "part": ["return nothing", "return argument_1"],
    }
    assert seen((await taught(bodies)).record) == [
        ("recode", "failed", 0),
        ("recode", "worked", 0),
        ("part", "failed", 1),
        ("part", "worked", 1),
    ]


async def test_a_program_that_ran_but_gave_the_wrong_type_failed() -> None:
    done = await taught({"solve": ["return 'x'", "return 7"]}, schema={"type": "integer"})
    assert done.output.output == 7
    assert seen(done.record) == [("recode", "failed", 0), ("recode", "worked", 0)]


async def test_a_reply_without_code_failed_and_is_no_expansion() -> None:
    record = (await taught({"solve": ["I cannot", "return 1"]})).record
    assert [(call.outcome, call.is_expansion) for call in calls_of(record)] == [
        ("failed", False),
        ("worked", True),
    ]


async def test_what_hung_below_a_version_that_was_thrown_away_is_discarded() -> None:
    bodies = {
        "solve": ["a = first(2)\nreturn a / 0", "return second(3)"],
        "first": "return argument_1",
        "second": "return argument_1",
    }
    assert seen((await taught(bodies)).record) == [
        ("recode", "failed", 0),
        ("first", "discarded", 1),
        ("recode", "worked", 0),
        ("second", "worked", 1),
    ]


async def test_what_hung_below_a_version_of_the_wrong_type_is_discarded_too() -> None:
    bodies: Bodies = {
        "solve": ["a = first(2)\nreturn 'x'", "return 3"],
        "first": "return argument_1",
    }
    assert seen((await taught(bodies, schema={"type": "integer"})).record) == [
        ("recode", "failed", 0),
        ("first", "discarded", 1),
        ("recode", "worked", 0),
    ]


async def test_a_body_that_a_later_call_proved_wrong_failed() -> None:
    bodies: Bodies = {
        "solve": "return [score(x) for x in xs]",
        "score": ["return 6 / x", "return 6 / x if x else 0"],
    }
    done = await taught(bodies, inputs={"xs": [2, 0]})
    assert done.output.output == [3, 0]
    assert [outcome for name, outcome, _depth in seen(done.record) if name == "score"] == [
        "failed",
        "worked",
    ]


async def test_a_run_that_failed_has_no_call_that_worked(journal: str) -> None:
    bodies = {"solve": "return part(1)", "part": "return 1 / 0"}
    with pytest.raises(Exception, match="none of 5 versions worked"):
        await taught(bodies, journal=journal)
    with Journal(journal) as opened:
        assert {outcome for _name, outcome, _depth in seen(opened.run("run"))} == {"failed"}


async def test_a_resumed_run_counts_what_its_first_attempt_finished_once(journal: str) -> None:
    bodies = {"solve": "a = one(2)\nreturn two(a)", "one": "return argument_1", "two": "return a"}
    dies = [True]

    class Dying(Scripted):
        async def complete(self, request: Request, on_text: Callable[[str], None]) -> Any:
            if dies[0] and "Write two(" in request.messages[-1].text:
                raise MalformedReplyError(model="m", problem="gone")
            return await super().complete(request, on_text)

    runner = Runner(journal=journal, model=Dying(teacher(bodies)._answer))
    with pytest.raises(MalformedReplyError):
        await runner.run_as("run", recode, Task(goal="sum"))
    dies[0] = False
    await runner.resume(recode, "run")
    with Journal(journal) as opened:
        record = opened.run("run")
    assert seen(record) == [("recode", "worked", 0), ("one", "worked", 1), ("two", "worked", 1)]
    assert all(call.step.details["usage"] for call in calls_of(record)), "as they were made"


async def test_a_fork_says_from_where_it_took_what_it_did_not_do(journal: str) -> None:
    bodies = {"solve": "a = one(2)\nreturn two(a)", "one": "return argument_1", "two": "return a"}
    runner = Runner(journal=journal, model=teacher(bodies))
    first = await runner.run_as("run", recode, Task(goal="sum"))
    two = next(step for step in first.record.steps.values() if step.name == "two")
    await runner.fork(recode, "run", at=two.number, change=Change(output=9), new_run="fork")
    with Journal(journal) as opened:
        assert taken_from_elsewhere(opened.run("fork")) == {"run": 2}
        assert not taken_from_elsewhere(opened.run("run"))


async def test_of_calls_made_side_by_side_the_one_that_said_the_program_gets_it() -> None:
    asked: list[str] = []
    both = anyio.Event()

    class Together(Scripted):
        async def complete(self, request: Request, on_text: Callable[[str], None]) -> Any:
            asked.append(request.messages[-1].text)
            if len(asked) == 2:
                both.set()
            await both.wait()
            return await super().complete(request, on_text)

    async def unwritten(_call: Unwritten) -> None:
        raise AssertionError

    @flow
    async def chooses() -> Any:
        replies = await parallel(generate(f"return {number}") for number in (1, 2))
        return await run_program(Program(code=replies[0].text, inputs={}, tools=()), unwritten)

    done = await Runner(journal=":memory:", model=Together(lambda text: text)).run_async(chooses)
    assert done.output == 1
    replies = {call.step.output: call.is_expansion for call in calls_of(done.record)}
    assert [chosen for output, chosen in replies.items() if b"return 1" in (output or b"")] == [
        True
    ]
    assert list(replies.values()).count(True) == 1


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[str]:
    """A scorer that asks a model, installed as a package of a third party."""
    info = tmp_path / "judge-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: judge\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[agentflow.scorers]\njudge = judging:judge\n")
    (tmp_path / "judging.py").write_text(
        "from agentflow import generate\nfrom agentflow_evals.scorer import verdict\n"
        "async def judge(output, options):\n"
        "    return verdict((await generate('Is it right?')).text == 'yes', 'asked')\n"
    )
    sys.path.insert(0, str(tmp_path))
    plugins._entries.cache_clear()
    yield "judge"
    sys.path.remove(str(tmp_path))
    plugins._entries.cache_clear()


async def test_what_a_check_asked_a_model_is_no_training_data(judge: str) -> None:
    model = Scripted(lambda text: "yes" if "right" in text else "```python\nreturn 1\n```")
    runner = Runner(journal=":memory:", model=model)
    done = await runner.run_async(
        solve_task, Task(goal="one"), Named(name="recode"), (Named(name=judge),)
    )
    assert done.output.passed
    assert len(model.asked) == 2
    assert seen(done.record) == [("recode", "worked", 0)]
