"""ADAS: agents in code, written by a meta model, chosen on some cases and reported on others."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from agentflow_planners.adas import NOVEL, RIGHT, SEEDS, adas
from agentflow_planners.optimising.cases import cases_of

from agentflow import Budget, Runner, Task
from agentflow.errors import InputError, ModelRequestError
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio


def case(number: int) -> dict[str, Any]:
    check = {"name": "program", "options": {"assertions": f"assert output == {number * number}"}}
    return {
        "id": f"c{number}",
        "task": {"goal": "Square n.", "inputs": {"n": number}},
        "checks": [check],
    }


TASK = Task(goal="Square numbers.", inputs={"cases": [case(number) for number in range(2, 11)]})
SQUARE = "def forward(task):\n    return task['inputs']['n'] ** 2"
DOUBLE = "def forward(task):\n    return task['inputs']['n'] * 2"  # right for 2 alone
BROKEN = "def forward(task):\n    return fly(task)"
RAISES = "def forward(task):\n    return task['nothing']"


def meta(*codes: str) -> Callable[[str], str]:
    """Answer as a meta model: each code until it is neither reflected on nor mended; agents say `?`."""
    left = list(codes)
    current = [""]

    def answer(prompt: str) -> str:
        if prompt.startswith(("What the agents are for", "It fails")):
            current[0] = left.pop(0)
        elif prompt not in (NOVEL, RIGHT):
            return "?"
        return json.dumps({"thought": "because", "name": "an agent", "code": current[0]})

    return answer


async def test_a_better_second_proposal_wins_and_is_better_where_nothing_looked(
    journal: str,
) -> None:
    model = Acting(meta(DOUBLE, SQUARE))
    result = await solved(adas, model, TASK, journal=journal, generations=2, seeds=2, repairs=0)
    found = result.output.output
    assert (found["planner"], found["options"]) == ("coded_flow", {"source": SQUARE})
    assert found["base"]["options"]["source"] == next(iter(SEEDS.values()))
    scores = found["scores"]
    assert scores["held_out"]["mean"] == 1.0
    assert scores["base_held_out"]["mean"] == 0.0
    assert found["difference"]["low"] > 0


async def test_the_archive_is_shown_with_fitness_and_never_a_held_out_case(journal: str) -> None:
    model = Acting(meta(SQUARE, DOUBLE))
    await solved(adas, model, TASK, journal=journal, generations=2, seeds=3, repairs=0)
    first, second = (text for text in model.asked if text.startswith("What the agents"))
    assert [name in first for name in SEEDS] == [True] * 3 + [False] * 4
    assert json.dumps(SQUARE)[1:-1] in second
    assert '"fitness": "1.000' in second
    for held_out in cases_of(TASK).held_out:
        number = held_out.task.inputs["n"]
        assert not any(f"n:\n{number}" in text for text in (first, second))


async def test_the_archive_in_the_prompt_is_bounded(journal: str) -> None:
    codes = [f"def forward(task):\n    return {number}" for number in range(5)]
    model = Acting(meta(*codes))
    await solved(adas, model, TASK, journal=journal, generations=5, seeds=1, repairs=0, shown=2)
    last = [text for text in model.asked if text.startswith("What the agents")][-1]
    assert last.count('"fitness"') == 2
    assert "return 3" in last  # the latest; the other one is the best


async def test_an_agent_is_looked_at_twice_again_and_the_last_version_counts(journal: str) -> None:
    versions = {NOVEL: DOUBLE, RIGHT: SQUARE}

    def answer(prompt: str) -> str:
        code = versions.get(prompt, BROKEN)
        if prompt in versions or prompt.startswith("What the agents"):
            return json.dumps({"thought": "", "name": "it", "code": code})
        return "?"

    found = await solved(adas, Acting(answer), TASK, journal=journal, generations=1, seeds=1)
    assert found.output.output["options"]["source"] == SQUARE


async def test_an_agent_that_fails_is_mended_with_the_reason(journal: str) -> None:
    model = Acting(meta(BROKEN, RAISES, SQUARE))
    result = await solved(adas, model, TASK, journal=journal, generations=1, seeds=1)
    assert result.output.output["options"]["source"] == SQUARE
    told = [text for text in model.asked if text.startswith("It fails")]
    assert "fly is not defined" in told[0]
    assert "in line 2" in told[0]
    assert "KeyError" in told[1]
    assert "came to nothing" not in notes_of(result)


async def test_a_generation_that_comes_to_nothing_is_recorded_and_the_search_goes_on(
    journal: str,
) -> None:
    model = Acting(meta(BROKEN, BROKEN, RAISES, SQUARE))
    result = await solved(adas, model, TASK, journal=journal, generations=2, seeds=1, repairs=2)
    assert "generation 1 came to nothing: ProgramError: program: KeyError" in notes_of(result)
    assert result.output.output["options"]["source"] == SQUARE
    assert len([text for text in model.asked if text.startswith("It fails")]) == 2


async def test_a_meta_model_that_writes_no_agent_costs_a_generation_only(journal: str) -> None:
    result = await solved(
        adas, Acting(lambda _: "no JSON"), TASK, journal=journal, generations=2, seeds=1
    )
    assert result.output.output["improved"] is False
    assert "generation 2 came to nothing" in notes_of(result)


async def test_what_is_hostile_is_refused_and_the_run_goes_on(journal: str) -> None:
    hostile = "import os\ndef forward(task):\n    os.kill(1, 9)"
    huge = SQUARE + "\n#" + "x" * 30_000
    model = Acting(meta(hostile, huge, SQUARE))
    result = await solved(adas, model, TASK, journal=journal, generations=3, seeds=1, repairs=0)
    assert "os is not there" in notes_of(result)
    assert "20000 are allowed" in notes_of(result)
    assert result.output.output["options"]["source"] == SQUARE


async def test_the_budget_ends_the_search_and_what_was_found_is_still_measured(
    journal: str,
) -> None:
    model = Acting(meta(SQUARE, *[DOUBLE] * 90))
    runner = Runner(journal=journal, model=model, budget=Budget(steps=150))
    result = await runner.run_async(adas, TASK, generations=90, seeds=1, repairs=0)
    found = result.output.output
    assert found["options"]["source"] == SQUARE
    assert found["stopped"] != "done"
    assert found["scores"]["held_out"]["mean"] == 1.0


async def test_it_goes_on_in_the_generation_in_which_it_was_cut(journal: str) -> None:
    def down(prompt: str) -> str:
        if prompt == RIGHT and len(model.asked) > 8:
            raise ModelRequestError(model="scripted", problem="down")
        return script(prompt)

    script = meta(DOUBLE, SQUARE)
    model = Acting(down)
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=model).run_as(
            "cut", adas, TASK, generations=2, seeds=1, repairs=0
        )
    assert len([text for text in model.asked if text.startswith("What the agents")]) == 2
    again = Acting(lambda _: json.dumps({"thought": "", "name": "it", "code": SQUARE}))
    resumed = await Runner(journal=journal, model=again).resume(adas, "cut")
    assert resumed.output.output["options"]["source"] == SQUARE
    assert [text for text in again.asked if text.startswith("What the agents")] == []
    assert again.asked[0] == RIGHT
    replayed = await Runner(journal=journal).replay(adas, "cut")
    assert replayed.output == resumed.output


async def test_the_base_is_the_best_hand_made_agent(journal: str) -> None:
    def only_the_second(prompt: str) -> str:
        number = int(prompt.split("n:\n")[1].split()[0])
        return f"Answer: {number**2}" if "Think briefly" in prompt else "Answer: 0"

    cases = [case(number) for number in range(2, 8)]
    for each in cases:
        each["task"]["output_schema"] = {"type": "integer"}
    task = TASK.model_copy(update={"inputs": {"cases": cases}})
    model = Acting(only_the_second)
    result = await solved(adas, model, task, journal=journal, generations=0, seeds=2)
    assert result.output.output["base"]["options"]["source"] == SEEDS["Self-consistency"]
    assert result.output.output["improved"] is False


async def test_there_must_be_cases(journal: str) -> None:
    with pytest.raises(InputError, match="cases"):
        await solved(adas, Acting(lambda _: "?"), Task(goal="x"), journal=journal)
