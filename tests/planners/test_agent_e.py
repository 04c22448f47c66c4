"""Agent-E: two levels, fresh navigators, loops that end; on a real shop in a real browser."""

import importlib.util
import json
from pathlib import Path

import pytest
from agentflow_planners.agent_e import agent_e
from agentflow_tools.browser.chromium import program
from agentflow_tools.browser.environment import Browser

from agentflow import Result, Runner, Task, Tool, flow, tool
from agentflow.episodes import with_openings
from agentflow.errors import ExpansionError, InputError
from tests.planners.scripts import Acting, in_turn, notes_of, solved

CAN_RUN = importlib.util.find_spec("playwright") is not None and program() is not None
needs_browser = pytest.mark.skipif(not CAN_RUN, reason="needs playwright and a Chromium")
SITE = Path(__file__).parents[2] / "examples/planners/agent_e_site"

pytestmark = pytest.mark.anyio


def step(next_step: str, plan: str = "search, open, read") -> str:
    return json.dumps({"plan": plan, "next_step": next_step, "terminate": False})


def end(answer: str) -> str:
    return json.dumps({"plan": "done", "terminate": True, "final_response": answer})


def call(action: str, **arguments: object) -> str:
    return f"CALL shop_{action} {json.dumps(arguments)}"


SEARCH = [
    step("Search for yellow."),
    call("get_dom", content="input_fields"),
    call("enter_text", mmid=1, text="yellow"),
    call("click", mmid=2),
    "I searched for yellow; the results are shown.",
]
OPEN = [
    step("Open the first result and find out what it costs."),
    call("get_dom"),
    call("click", mmid=1),
    call("click", mmid=1),
    "The brass lamp costs 42 euros.",
]


def shop() -> tuple[Tool[..., object], ...]:
    return Browser.named("shop", site=str(SITE)).tools()


def task_of(*tools: Tool[..., object]) -> Task:
    return Task(goal="What does the yellow lamp cost?", tools=tuple(each.name for each in tools))


@flow
async def trial(task: Task) -> Result:
    """Do the task as the command line does: what the environment shows first is in its context."""
    return await agent_e(await with_openings(task))


@pytest.mark.slow
@needs_browser
async def test_a_task_over_three_pages_is_done_in_the_browser_and_replayed_without_it(
    journal: str,
) -> None:
    model, tools = Acting(in_turn(*SEARCH, *OPEN, end("42 euros"))), shop()
    result = await solved(trial, model, task_of(*tools), journal=journal, tools=tools)
    assert result.output.output == "42 euros"
    assert "At the beginning shop shows:\nA browser, at http://site.test/" in model.asked[0]
    assert '[1] field "Search"' in model.asked[2]
    assert "results.html?q=yellow 'Results'. It is a new page." in model.asked[4]
    assert "New or changed on it:\nIt costs 42 euros." in model.asked[9]
    navigator = model.requests[6].messages
    assert len(navigator) == 2, "it begins with nothing but the step"
    assert "The last thing that was done in the browser: shop_click(mmid=2)" in navigator[1].text
    planner = [message.text for message in model.requests[10].messages[3::2]]
    assert planner == [SEARCH[-1], OPEN[-1]], "the planner sees reports, no page"
    assert "search, open, read" in notes_of(result)


@pytest.mark.slow
@needs_browser
async def test_a_run_that_stopped_in_a_step_goes_on_from_the_page_where_it_was(
    journal: str,
) -> None:
    tools, replies = shop(), [*SEARCH, *OPEN, end("42 euros")]
    stopped = Acting(in_turn(*replies[:8]))  # the brass lamp is open, its price not yet shown
    runner = Runner(journal=journal, model=stopped, tools=tools)
    with pytest.raises(IndexError):
        await runner.run_as("stopped", trial, task_of(*tools))
    model = Acting(in_turn(*replies[8:]))
    again = Runner(journal=journal, model=model, tools=shop())
    result = await again.resume(trial, "stopped")
    assert result.output.output == "42 euros"
    assert "lamp.html?id=brass" in model.asked[0]
    assert "It costs 42 euros." in model.asked[1], "the new browser was brought to the lamp's page"
    assert len(model.asked) == 3


presses: list[str] = []


@tool(effect=True)
def press(button: str) -> str:
    """Press a button."""
    presses.append(button)
    return "Nothing on the page has changed."


@pytest.fixture(autouse=True)
def clean() -> None:
    presses.clear()


PRESS = Task(goal="Open the door.", tools=("press",))
ONCE = 'CALL press {"button": "up"}'


async def test_the_same_call_with_the_same_result_three_times_ends_the_step(journal: str) -> None:
    model = Acting(in_turn(step("Press."), ONCE, ONCE, ONCE, end("It does not open.")))
    result = await solved(agent_e, model, PRESS, journal=journal, tools=[press])
    assert result.output.output == "It does not open."
    assert presses == ["up"] * 3
    told = "The step failed: a loop: the same call and result 3 times in a row: press(button='up')"
    assert model.asked[-1].startswith(told)


async def test_calls_that_differ_are_no_loop(journal: str) -> None:
    other = ONCE.replace("up", "down")
    replies = (step("Press."), ONCE, ONCE, other, ONCE, "Pressed.", end("Open."))
    model = Acting(in_turn(*replies))
    result = await solved(agent_e, model, PRESS, journal=journal, tools=[press])
    assert result.output.output == "Open."
    assert model.asked[-1] == "Pressed."


async def test_a_planner_that_says_the_same_step_and_hears_the_same_ends_the_run(
    journal: str,
) -> None:
    model = Acting(in_turn(*[step("Press."), "FAILED: no button"] * 3))
    with pytest.raises(ExpansionError, match="a loop: the same step and report 3 times in a row"):
        await solved(agent_e, model, PRESS, journal=journal, tools=[press])
    assert model.asked[4] == "The step failed: no button"


async def test_rounds_and_turns_are_bounded(journal: str) -> None:
    numbers = iter(range(100))
    replies = [
        step("Press."),
        *(ONCE.replace("up", str(n)) for n in range(2)),
        step("Press again."),
    ]
    model = Acting(in_turn(*replies, "Pressed."))
    with pytest.raises(ExpansionError, match="no end after 2 rounds; raise `rounds`"):
        await solved(agent_e, model, PRESS, journal=journal, tools=[press], rounds=2, turns=2)
    assert model.asked[3] == "The step failed: no answer after 2 turns; raise `turns`"
    endless = Acting(lambda _prompt: step(f"Step {next(numbers)}."))
    with pytest.raises(ExpansionError, match="no end after 50 rounds"):
        await solved(agent_e, endless, PRESS, journal=journal, tools=[press])
    assert len(endless.asked) == 100


async def test_a_move_that_is_neither_a_step_nor_an_end_is_asked_for_again(journal: str) -> None:
    neither = json.dumps({"plan": "think", "next_step": " ", "terminate": False})
    no_answer = json.dumps({"plan": "stop", "terminate": True})
    model = Acting(in_turn(neither, no_answer, end("Open.")))
    result = await solved(agent_e, model, PRESS, journal=journal, tools=[press])
    assert result.output.output == "Open."
    assert "give `next_step`, or set `terminate` to true" in model.asked[1]
    assert "give `final_response`, since it is the end" in model.asked[2]


async def test_the_answer_has_the_wanted_shape(journal: str) -> None:
    task = PRESS.model_copy(update={"output_schema": {"type": "integer"}})
    model = Acting(in_turn(end("It is forty-two."), "42"))
    result = await solved(agent_e, model, task, journal=journal, tools=[press])
    assert result.output.output == 42


async def test_without_a_browser_it_does_not_begin(journal: str) -> None:
    model = Acting(lambda _prompt: pytest.fail("nobody is asked"))
    with pytest.raises(InputError, match="it needs a browser: list one under `tools`"):
        await solved(agent_e, model, Task(goal="Look."), journal=journal)
