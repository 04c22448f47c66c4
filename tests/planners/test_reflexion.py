"""Reflexion: try, evaluate, reflect, try again; in words with the model as judge, in code with tests."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.reflexion import reflexion

from agentflow import Task, tool
from agentflow.errors import ExpansionError, InputError
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="How many legs have six dogs?")


def verdict(correct: bool, reason: str = "checked") -> str:
    return json.dumps({"reason": reason, "correct": correct})


def script(tries: list[str], judgements: list[str], lessons: list[str]) -> Callable[[str], str]:
    """Answer attempts, judgements and requests to reflect, each from its own list."""

    def answer(prompt: str) -> str:
        if "Proposed answer:" in prompt:
            return judgements.pop(0)
        return lessons.pop(0) if "Do not solve the task now" in prompt else tries.pop(0)

    return answer


async def test_an_answer_that_is_judged_right_is_not_tried_again(journal: str) -> None:
    model = Acting(script(["Answer: 24"], [verdict(True)], []))
    assert (await solved(reflexion, model, TASK, journal=journal)).output.output == "24"


async def test_a_lesson_of_a_failure_comes_with_the_next_attempt(journal: str) -> None:
    tries = ["Answer: 12", "Answer: 24"]
    judgements = [verdict(False, "dogs have four legs"), verdict(True)]
    model = Acting(script(tries, judgements, ["Count four legs a dog."]))
    result = await solved(reflexion, model, TASK, journal=journal)
    assert result.output.output == "24"
    assert "Your answer was:\n12\n\nIt failed:\ndogs have four legs" in model.asked[2]
    assert "Keep in mind from earlier attempts:\n- Count four legs a dog." in model.asked[3]
    assert "Count four legs" not in model.asked[4], "the judge decides for itself"
    assert "attempt 1 failed: dogs have four legs" in notes_of(result)


async def test_only_the_latest_lessons_are_kept_in_mind(journal: str) -> None:
    tries = [f"Answer: {number}" for number in range(4)]
    model = Acting(script(tries, [verdict(False)] * 4, ["lesson A", "lesson B", "lesson C"]))
    result = await solved(reflexion, model, TASK, journal=journal, memory=2)
    assert result.output.output == "3", "of equals the later"
    last = [prompt for prompt in model.asked if "Think step by step" in prompt][-1]
    assert "lesson A" not in last
    assert "- lesson B\n- lesson C" in last


async def test_attempts_without_any_answer_are_a_typed_error(journal: str) -> None:
    model = Acting(lambda prompt: "try again" if "Do not solve" in prompt else "")
    with pytest.raises(
        ExpansionError, match="none of 2 attempts gave an answer; the last: the model"
    ):
        await solved(reflexion, model, TASK, journal=journal, trials=2)


async def test_with_tools_an_attempt_acts_and_the_next_knows_what_has_happened(
    journal: str,
) -> None:
    fed: list[str] = []

    @tool(effect=True)
    def feed(dog: str) -> str:
        """Feed a dog."""
        fed.append(dog)
        return "fed"

    tries = ['CALL feed {"dog": "Rex"}', "One dog fed", "All fed"]
    model = Acting(script(tries, [verdict(False, "two dogs"), verdict(True)], ["Feed both."]))
    task = Task(goal="Feed them.", tools=("feed",))
    result = await solved(reflexion, model, task, journal=journal, tools=[feed])
    assert (result.output.output, fed) == ("All fed", ["Rex"])
    assert "must not be repeated: feed(dog='Rex') gave fed" in model.asked[-2]


DOUBLE = '''
LIMIT = 100

def least(a: int, b: int) -> int:
    """Return the smaller number."""
    return a if a < b else b

def double(x: int) -> int:
    """Return twice x, at most LIMIT.

    >>> double(4)
    8
    """
    ...
'''


def version(body: str) -> str:
    return f"```python\ndef double(x: int) -> int:\n    {body}\n```"


def coder(versions: list[Any], *, tests: str = "", lesson: str = "Mind the limit.") -> Acting:
    def answer(prompt: str) -> str:
        if "different assertions" in prompt:
            return tests
        if "Proposed answer:" in prompt:
            return verdict("2 * x" in prompt.split("Proposed answer:")[1])
        return lesson if "Do not solve the task now" in prompt else str(versions.pop(0))

    return Acting(answer)


CODE = Task(goal="Write the function.", inputs={"code": DOUBLE})


async def test_code_that_fails_its_tests_is_written_again_with_what_they_said(journal: str) -> None:
    right = version("return least(2 * x, LIMIT)")
    tests = "```python\nassert double(70) == 100\nassert double(4) == 9\n```"
    model = coder([version("return 2 * x"), right], tests=tests)
    result = await solved(reflexion, model, CODE, journal=journal)
    source = result.output.output
    names: dict[str, Any] = {}
    exec(source, names)
    assert (names["double"](4), names["double"](70)) == (8, 100)
    assert "double(70) must give 100, but it gives 140" in model.asked[2]
    assert "double(4) must give 9" not in model.asked[2], "doc examples are believed, not the model"
    assert "Mind the limit." in model.requests[-1].messages[-1].text


async def test_of_versions_that_all_fail_the_best_is_the_answer(journal: str) -> None:
    tests = "assert double(1) == 2\nassert double(70) == 100"
    better = version("return 2 * x")
    model = coder([version("return x"), better, version("return 0")], tests=tests)
    result = await solved(reflexion, model, CODE, journal=journal, trials=3)
    assert "return 2 * x" in result.output.output
    assert "attempt 2 failed" in notes_of(result)


async def test_a_version_that_crashes_is_told_why(journal: str) -> None:
    model = coder([version("return x.twice"), version("return 2 * x")])
    await solved(reflexion, model, CODE, journal=journal, tests=0)
    assert "'int' object has no attribute 'twice'" in model.asked[1]


async def test_a_reply_that_is_no_version_counts_as_a_failed_attempt(journal: str) -> None:
    model = coder(["I cannot", "def triple(x):\n    return 3 * x", version("return 2 * x")])
    result = await solved(reflexion, model, CODE, journal=journal)
    assert "return 2 * x" in result.output.output


async def test_without_any_test_the_model_judges_code_too(journal: str) -> None:
    bare = 'def double(x):\n    """Twice."""\n'
    model = coder([version("return x"), version("return 2 * x")])
    task = Task(goal="Write it.", inputs={"code": bare.replace("(x)", "(x: int) -> int")})
    result = await solved(reflexion, model, task, journal=journal, tests=0)
    assert "return 2 * x" in result.output.output


async def test_code_without_an_unwritten_function_is_refused(journal: str) -> None:
    task = Task(goal="Write it.", inputs={"code": "def f():\n    return 1\n"})
    with pytest.raises(InputError, match="no function is unwritten"):
        await solved(reflexion, coder([]), task, journal=journal)
    broken = Task(goal="Write it.", inputs={"code": "def f(:"})
    with pytest.raises(InputError, match=r"inputs\.code"):
        await solved(reflexion, coder([]), broken, journal=journal)
