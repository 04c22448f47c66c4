"""ADaPT: executed first, split only on failure, with `and` and `or`, down to a depth."""

import json
from typing import Any

import pytest
from agentflow_planners.adapt import adapt

from agentflow import Budget, Runner, Task, tool
from agentflow.errors import ExpansionError
from tests.planners.scripts import Acting, Meeting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="Make breakfast.")


def split(logic: str, *subtasks: tuple[str, str, tuple[str, ...]]) -> str:
    parts = [{"id": i, "goal": g, "needs": n} for i, g, n in subtasks]
    return json.dumps({"logic": logic, "subtasks": parts})


def script(executors: dict[str, Any], splits: dict[str, str]) -> Any:
    """Answer executors by their goal, and requests to split, which begin with that goal, too."""

    def answer(prompt: str) -> str:
        goal = prompt.split("\n")[0]
        if "The executor failed:" in prompt:
            return splits[goal]
        return str(executors[goal])

    return answer


BREAKFAST = split(
    "and",
    ("tea", "Make tea.", ()),
    ("toast", "Make toast.", ()),
    ("serve", "Serve.", ("tea", "toast")),
)


async def test_a_task_that_works_is_never_split(journal: str) -> None:
    model = Acting(script({"Make breakfast.": "Done."}, {}))
    assert (await solved(adapt, model, TASK, journal=journal)).output.output == "Done."
    assert len(model.asked) == 1


async def test_on_failure_all_parts_are_done_side_by_side_and_the_last_answers(
    journal: str,
) -> None:
    executors = {
        "Make breakfast.": "FAILED: too much at once",
        "Make tea.": "hot tea",
        "Make toast.": "brown toast",
        "Serve.": "Served.",
    }
    answers = script(executors, {"Make breakfast.": BREAKFAST})
    model = Meeting(answers, ["Make tea.", "Make toast."])
    result = await solved(adapt, model, TASK, journal=journal)
    assert result.output.output == "Served."
    assert "The executor failed: too much at once" in model.asked[1]
    assert "tea:\nhot tea" in model.asked[-1]
    assert "An earlier attempt failed: too much at once" in model.asked[-1]
    assert "level 1 failed: too much at once" in notes_of(result)


async def test_of_alternatives_the_first_that_works_counts(journal: str) -> None:
    ways = split(
        "or", ("cook", "Cook.", ()), ("buy", "Buy it.", ()), ("beg", "Beg.", ()),
    )  # fmt: skip
    executors = {
        "Make breakfast.": "FAILED: how?",
        "Cook.": "FAILED: no gas",
        "Buy it.": "Bought.",
    }
    splits = {"Make breakfast.": ways}
    model = Acting(script(executors, splits))
    result = await solved(adapt, model, TASK, journal=journal, depth=2)
    assert result.output.output == "Bought."
    assert "An earlier attempt failed: no gas" in model.asked[-1]


async def test_it_splits_down_to_its_depth_and_no_further(journal: str) -> None:
    executors = {"Make breakfast.": "FAILED: a", "Make tea.": "FAILED: b", "Boil.": "FAILED: c"}
    splits = {
        "Make breakfast.": split("and", ("tea", "Make tea.", ())),
        "Make tea.": split("and", ("boil", "Boil.", ())),
    }
    model = Acting(script(executors, splits))
    with pytest.raises(ExpansionError, match="adapt: c"):
        await solved(adapt, model, TASK, journal=journal)
    assert [prompt.split("\n")[0] for prompt in model.asked].count("Boil.") == 1
    executors["Boil."] = "boiled"
    assert (await solved(adapt, model, TASK, journal=journal)).output.output == "boiled"


async def test_ways_that_all_fail_are_a_typed_error(journal: str) -> None:
    splits = {"Make breakfast.": split("or", ("a", "Cook.", ()), ("b", "Buy it.", ()))}
    failing = dict.fromkeys(("Make breakfast.", "Cook.", "Buy it."), "FAILED: shut")
    with pytest.raises(ExpansionError, match="none of 2 ways worked; the last: shut"):
        await solved(adapt, Acting(script(failing, splits)), TASK, journal=journal, depth=2)


async def test_too_few_turns_are_a_failure_of_the_executor_too(journal: str) -> None:
    @tool
    def look() -> str:
        """Look."""
        return "fog"

    def answer(prompt: str) -> str:
        if "The executor failed: no answer after 2 turns" in prompt:
            return split("and", ("ask", "Ask someone.", ()))
        return "left" if prompt.startswith("Ask someone.") else "CALL look {}"

    task = Task(goal="Find the way.", tools=("look",))
    result = await solved(adapt, Acting(answer), task, journal=journal, tools=[look], turns=2)
    assert result.output.output == "left"


async def test_whoever_goes_on_is_told_what_has_happened(journal: str) -> None:
    happened: list[str] = []

    @tool(effect=True)
    def crack(egg: str) -> str:
        """Crack an egg."""
        happened.append(egg)
        return "cracked"

    def answer(prompt: str) -> str:
        if "The executor failed:" in prompt:
            return split("and", ("fry", "Fry it.", ()))
        if prompt.startswith("Fry it."):
            return "fried"
        return "FAILED: no pan" if prompt == "cracked" else 'CALL crack {"egg": "one"}'

    task = Task(goal="Make eggs.", tools=("crack",))
    model = Acting(answer)
    result = await solved(adapt, model, task, journal=journal, tools=[crack])
    assert (result.output.output, happened) == ("fried", ["one"])
    told = (
        "no pan These calls have happened and must not be repeated: crack(egg='one') gave cracked"
    )
    assert told in model.asked[2]
    assert told in model.asked[3]


async def test_the_depth_of_the_budget_is_a_last_level_too(journal: str) -> None:
    executors = {"Make breakfast.": "FAILED: a", "Make tea.": "FAILED: b"}
    splits = {"Make breakfast.": split("and", ("tea", "Make tea.", ()))}
    model = Acting(script(executors, splits))
    runner = Runner(journal=journal, model=model, budget=Budget(depth=1))
    with pytest.raises(ExpansionError, match="adapt: b"):
        await runner.run_async(adapt, TASK)
    assert len(model.asked) == 3, "tried, split, tried, and not split again"
