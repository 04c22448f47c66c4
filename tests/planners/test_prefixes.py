"""Requests of siblings begin alike: what a server has read for one of them, it need not read for the others."""

import json
import re
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import pytest
from agentflow_planners.best_of_n import best_of_n
from agentflow_planners.funcoder import funcoder
from agentflow_planners.recode import recode

from agentflow import Runner, Task, tool
from agentflow.flows import Flow
from tests.agentflow.models.hosted_parts import spec_for
from tests.planners.coders import code_task
from tests.planners.recode_parts import WANTED
from tests.planners.test_funcoder import DIVIDED
from tests.wire import Scripted, Seen, WireServer, says

pytestmark = pytest.mark.anyio

COMPLETED = re.compile(r"Complete the function `(\w+)`")
GOAL = ("Count what is in stock, shelf by shelf. " * 20).strip()


async def asked(
    planner: Flow[..., Any], task: Task, answer: Callable[[Seen], Scripted], **options: Any
) -> list[Seen]:
    """Return the requests of a run as they came over the wire."""
    with WireServer(answer) as server:
        spec = spec_for("chat", server, warm_up=False)
        runner = Runner(model=spec, journal=":memory:", tools=options.pop("tools", ()))
        await runner.run_async(planner, task, **options)
    return server.requests


def wire_text(seen: Seen) -> str:
    """Return what a server reads, in its order: the tools, then the messages."""
    return json.dumps(seen.body.get("tools", [])) + json.dumps(seen.body["messages"])


def shared(requests: Sequence[Seen]) -> int:
    """Return how many characters any two of the requests have in common at least."""
    return min(_common(wire_text(a), wire_text(b)) for a, b in combinations(requests, 2))


def _common(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


async def test_functions_that_recode_writes_share_goal_and_tools() -> None:
    @tool
    def look(place: str) -> str:
        """Look at a place, and say in a few words what there is to be seen."""
        return place

    bodies = {
        "solve": "a = left('shelf one')\nb = right('shelf two')\nreturn a + b",
        "left": "return 1",
        "right": "return 2",
    }

    def answer(seen: Seen) -> Scripted:
        return says(f"```python\n{bodies[WANTED.findall(seen.prompt)[-1]]}\n```")

    task = Task(goal=GOAL, tools=("look",))
    requests = await asked(recode, task, answer, tools=[look])
    siblings = [seen for seen in requests if WANTED.findall(seen.prompt)[-1] != "solve"]
    assert len(siblings) == 2
    begun = siblings[0].prompt.partition("place = ")[0].partition("shelf one")[0]
    assert "look(place)" in begun
    assert GOAL in begun
    assert shared(requests) > len(GOAL) + len(
        "You may call: look(place)  # Look at a place, and say"
    )


def funcoder_model(seen: Seen) -> Scripted:
    found = COMPLETED.search(seen.turns[1][1].rpartition("```\n\n")[2])
    if found is None:
        return says("(nothing)")
    if "leave the helper unwritten" in seen.turns[1][1] and found[1] == "total":
        return says(f"```python\n{DIVIDED}\n```")
    return says(f"```python\n{WHOLE[found[1]]}\n```")


WHOLE = {
    "total": "def total(text: str) -> int:\n    return add(numbers(text))",
    "numbers": "def numbers(text: str) -> list:\n    return [int(w) for w in text.split()]",
    "add": "def add(items: list) -> int:\n    return sum(items)",
}
STORY = ("Return the sum of all the whole numbers that a text names. " * 20).strip()
TOTAL = f'def total(text: str) -> int:\n    """{STORY}\n\n    >>> total("1 2")\n    3\n    """\n'


async def test_all_that_funcoder_asks_about_a_function_begins_with_its_code() -> None:
    requests = await asked(funcoder, code_task(TOTAL), funcoder_model, samples=3)
    about = [seen for seen in requests if "`total`" in seen.turns[1][1].rpartition("```\n\n")[2]]
    kinds = {seen.turns[1][1].rpartition("```\n\n")[2].split()[0] for seen in about}
    assert kinds == {"Complete", "List"}
    alone = [seen for seen in about if "def numbers" not in seen.turns[1][1]]
    helped = [seen for seen in about if seen not in alone]
    assert min(len(alone), len(helped)) > 0
    assert all(shared(group) > len(STORY) for group in (alone, helped) if len(group) > 1)


async def test_helpers_that_funcoder_writes_share_their_caller() -> None:
    requests = await asked(funcoder, code_task(TOTAL), funcoder_model, samples=3)
    names = ("numbers", "add")
    siblings = [
        seen for seen in requests if any(f"`{name}`" in seen.turns[1][1][-400:] for name in names)
    ]
    assert shared(siblings) > len(STORY) + len("def total return add(numbers(text))")


async def test_answers_and_grades_of_best_of_n_share_the_question() -> None:
    task = Task(goal=GOAL, inputs={"stock": "12 lamps, 4 chairs"})
    numbers = iter(range(99))

    def answer(seen: Seen) -> Scripted:
        is_grade = "An answer to grade" in seen.prompt
        return says('{"reason": "fine", "grade": 5}' if is_grade else f"about {next(numbers)}")

    requests = await asked(best_of_n, task, answer, samples=3)
    answers = [seen for seen in requests if "grade" not in seen.prompt]
    assert len({wire_text(seen) for seen in answers}) == 1, "samples of one prompt are one prefix"
    assert shared(requests) > len(GOAL) + len("12 lamps, 4 chairs")
    grades = [seen for seen in requests if "An answer to grade" in seen.prompt]
    assert shared(grades) > len(GOAL) + len("An answer to grade")
