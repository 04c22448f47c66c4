"""Flash-Searcher: goals that truly run side by side, with fallbacks, re-planned in the middle."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from agentflow_planners.flash_searcher import flash_searcher

from agentflow import Reply, Runner, RunResult, Task, tool
from agentflow.errors import ExpansionError, ModelRequestError
from agentflow.models.protocol import OnText, Request
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

TASK = Task(goal="Compare two towns.", tools=("look",))


@tool
def look(place: str) -> str:
    """Look a place up."""
    return f"{place} is there"


def goal(key: str, text: str, *ways: str, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    paths = [{"how": way, "success": f"{way} works"} for way in ways]
    return {"id": key, "goal": text, "needs": needs, "paths": paths}


def goals(*subtasks: dict[str, Any], **rest: Any) -> str:
    return json.dumps({"subtasks": subtasks, **rest})


def call(place: str, name: str = "look") -> str:
    return f"CALL {name} {json.dumps({'place': place})}"


NOTHING_MORE = goals()
MET, UNMET = '{"reason": "yes", "yes": true}', '{"reason": "no proof", "yes": false}'


class Searching(Acting):
    """A model that answers by what it is asked for: a plan, a summary, a verdict, an answer, a step.

    A step is answered from `steps` by the way the path goes, one reply after the other.
    """

    def __init__(
        self,
        plan: str,
        steps: dict[str, list[str]],
        *,
        summaries: tuple[str, ...] = (),
        judge: Callable[[str], str] = lambda _prompt: MET,
    ) -> None:
        super().__init__(lambda prompt: prompt)
        self._plan, self._steps, self._judge = plan, steps, judge
        self.summaries = list(summaries)

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        self._answer = lambda prompt: self._said(request.messages[0].text, prompt, request)
        return await super().complete(request, on_text)

    def _said(self, first: str, prompt: str, request: Request) -> str:
        if first.startswith("Split"):
            return self._plan
        if first.startswith("Look at where"):
            return self.summaries.pop(0) if self.summaries else NOTHING_MORE
        if prompt.startswith("Was the criterion"):
            return self._judge(prompt)
        if "Give the answer to the task" in prompt:
            return "the answer"
        asked = request.messages[1].text
        way = next(way for way in self._steps if f"Go about it like this: {way}\n" in asked)
        return self._steps[way].pop(0)


def last(model: Acting) -> str:
    return model.asked[-1]


def named(result: RunResult[Any]) -> list[str]:
    steps = sorted(result.record.steps.values(), key=lambda step: step.number)
    return [step.name for step in steps]


async def test_steps_of_branches_interleave_while_one_waits_in_a_tool(journal: str) -> None:
    opened = anyio.Event()

    @tool
    async def wait(place: str) -> str:
        """Wait for the gate."""
        await opened.wait()  # one branch after the other would wait here for ever
        return f"{place} is open"

    @tool
    async def unlock(place: str) -> str:
        """Open the gate."""
        opened.set()
        return f"{place} unlocked"

    plan = goals(goal("a", "Enter.", "by gate"), goal("b", "Unlock.", "by key"))
    model = Searching(
        plan,
        {
            "by gate": [call("gate", "wait"), "inside"],
            "by key": [call("key"), call("box"), call("gate", "unlock"), "unlocked"],
        },
    )
    task = TASK.model_copy(update={"tools": ("look", "wait", "unlock")})
    tools = [look, wait, unlock]
    result = await solved(flash_searcher, model, task, journal=journal, tools=tools)
    order = named(result)
    assert order.count("look") == 2
    assert order.index("wait") < order.index("look"), "the branch that waits began before"
    steps = {step.name: step for step in result.record.steps.values()}
    waited, unlocked = steps["wait"], steps["unlock"]
    assert waited.number < unlocked.number, "three steps of the other branch came meanwhile"
    assert waited.ended_at is not None
    inside = next(
        s
        for s in result.record.steps.values()
        if s.parent == waited.parent and s.number > unlocked.number
    )
    assert inside.kind == "model", "the branch that waited went on afterwards"
    assert "a (done; Enter.): inside\nb (done; Unlock.): unlocked" in last(model)


async def test_calls_of_one_step_run_side_by_side_and_are_bounded(journal: str) -> None:
    both, here = anyio.Event(), list[str]()

    @tool
    async def meet(place: str) -> str:
        """Wait for the other one."""
        here.append(place)
        if len(here) == 5:
            both.set()
        await both.wait()
        return "met"

    step = "\n".join(call(str(number), "meet") for number in range(7))
    model = Searching(goals(goal("a", "Meet.", "walk")), {"walk": [step, "met all"]})
    task = TASK.model_copy(update={"tools": ("meet",)})
    await solved(flash_searcher, model, task, journal=journal, tools=[meet])
    assert sorted(here) == ["0", "1", "2", "3", "4"]
    told = [turn.text for request in model.requests for turn in request.messages]
    assert "not done: at most 5 calls in one reply" in told


@pytest.mark.parametrize("how", ["gives up", "criterion"])
async def test_a_fallback_path_is_taken_when_the_first_fails(how: str, journal: str) -> None:
    end = "FAILED: closed" if how == "gives up" else "maybe"
    steps = {"by train": [call("station"), end], "by car": ["arrived"]}
    model = Searching(
        goals(goal("a", "Go.", "by train", "by car")),
        steps,
        judge=lambda prompt: UNMET if "by train works" in prompt else MET,
    )
    result = await solved(flash_searcher, model, TASK, journal=journal, tools=[look])
    assert [name for name in named(result) if name.startswith("path")] == ["path 1", "path 2"]
    reason = "closed" if how == "gives up" else "criterion not met: no proof"
    assert f"a: by train failed: {reason}" in notes_of(result)
    assert "a (done; Go.): arrived" in last(model)
    car = next(r.messages[1].text for r in model.requests if "this: by car" in r.messages[-1].text)
    assert "look(place='station') gave station is there" in car


async def test_a_fallback_path_is_not_taken_when_the_first_works(journal: str) -> None:
    model = Searching(goals(goal("a", "Go.", "train", "car")), {"train": ["arrived"]})
    result = await solved(flash_searcher, model, TASK, journal=journal, tools=[look])
    assert [name for name in named(result) if name.startswith("path")] == ["path 1"]


async def test_who_needs_a_goal_that_failed_is_told_why_and_goes_on(journal: str) -> None:
    plan = goals(goal("a", "Find.", "map"), goal("b", "Use.", "tool", needs=("a",)))
    model = Searching(plan, {"map": ["FAILED: no map"], "tool": ["used"]})
    await solved(flash_searcher, model, TASK, journal=journal, tools=[look])
    asked = next(r.messages[1].text for r in model.requests if "this: tool" in r.messages[-1].text)
    assert "a (failed; Find.): no path worked; the last: no map" in asked
    assert "b (done; Use.): used" in last(model)


async def test_a_summary_after_every_interval_drops_goals_and_adds_others(journal: str) -> None:
    plan = goals(
        goal("keep", "Keep.", "slow"), goal("drop", "Drop.", "never"), goal("done", "Do.", "fast")
    )
    more = goals(goal("new", "New.", "fresh", needs=("done", "keep")), drop=["drop"])
    steps = {
        "slow": [call("1"), call("2"), "kept"],
        "never": [call("3"), call("4")],
        "fast": ["did"],
        "fresh": ["news"],
    }
    model = Searching(plan, steps, summaries=(more,))
    options = {"steps": 6, "interval": 2}
    result = await solved(flash_searcher, model, TASK, journal=journal, tools=[look], **options)
    summary = next(
        r.messages[-1].text for r in model.requests if r.messages[0].text.startswith("Look at")
    )
    assert "keep (open; Keep.): look(place='1') gave 1 is there" in summary
    assert "done (done; Do.): did" in summary
    assert [name for name in named(result) if name.startswith("summary")] == [
        "summary 1",
        "summary 2",
    ]
    assert named(result).count("keep") == 2
    assert named(result).count("drop") == named(result).count("done") == 1
    asked = next(r.messages[1].text for r in model.requests if "this: fresh" in r.messages[-1].text)
    assert "done (done; Do.): did\nkeep (done; Keep.): kept" in asked, "it ran after both"
    for line in ("keep (done; Keep.): kept", "drop (dropped; Drop.)", "new (done; New.): news"):
        assert line in last(model)


async def test_the_search_ends_at_its_bound_and_answers_from_what_it_has_seen(
    journal: str,
) -> None:
    model = Searching(goals(goal("a", "Go.", "walk")), {"walk": [call(str(n)) for n in range(9)]})
    options = {"steps": 5, "interval": 2}
    result = await solved(flash_searcher, model, TASK, journal=journal, tools=[look], **options)
    assert result.output.output == "the answer"
    assert named(result).count("look") == 5, "2 and 2 and what is left of 5"
    assert "a (open; Go.)" in last(model)
    assert "4 is there" in last(model)


async def test_an_unsound_summary_is_asked_for_again_and_in_the_end_followed_by_the_answer(
    journal: str,
) -> None:
    bad = goals(goal("a", "Again.", "walk"))
    plan, steps = goals(goal("a", "Go.", "walk")), {"walk": ["went"]}
    model = Searching(plan, steps, summaries=(bad, NOTHING_MORE))
    await solved(flash_searcher, model, TASK, journal=journal, tools=[look])
    assert any("'a' is the name of what is there already" in prompt for prompt in model.asked)
    steps["walk"].append("went")
    model = Searching(plan, steps, summaries=(bad, bad, bad))
    result = await solved(flash_searcher, model, TASK, journal=journal, tools=[look])
    assert result.output.output == "the answer"
    assert "summary 1 failed, so nothing follows it" in notes_of(result)


async def test_a_search_that_reaches_no_goal_is_a_typed_error(journal: str) -> None:
    model = Searching(goals(goal("a", "Go.", "walk")), {"walk": ["FAILED: no road"]})
    with pytest.raises(ExpansionError, match=r"no goal was reached: no path worked; .*no road"):
        await solved(flash_searcher, model, TASK, journal=journal, tools=[look])


async def test_more_goals_or_paths_than_allowed_are_asked_for_again(journal: str) -> None:
    many = goals(*(goal(f"g{n}", "Go.", "walk") for n in range(3)))
    model = Searching(many, {})
    with pytest.raises(ExpansionError, match="give between 1 and 2 sub-tasks, not 3"):
        await solved(flash_searcher, model, TASK, journal=journal, tools=[look], most=2)
    assert len(model.asked) == 3


async def test_with_effects_in_reach_goals_go_one_after_another(journal: str) -> None:
    order: list[str] = []

    @tool(effect=True)
    def paint(place: str) -> str:
        """Paint."""
        order.append(place)
        return "wet"

    plan = goals(
        goal("b", "B.", "brush", needs=("a",)), goal("a", "A.", "roll"), goal("c", "C.", "spray")
    )
    steps = {
        "brush": [call("b1", "paint"), call("b2", "paint"), "done"],
        "roll": [call("a1", "paint"), call("a2", "paint"), "done"],
        "spray": [call("c1", "paint"), "done"],
    }
    task = TASK.model_copy(update={"tools": ("paint",)})
    await solved(flash_searcher, Searching(plan, steps), task, journal=journal, tools=[paint])
    assert order == ["a1", "a2", "b1", "b2", "c1"]


async def test_a_run_that_was_cut_off_goes_on_and_comes_to_the_same_tree(journal: str) -> None:
    def searching() -> Searching:
        plan = goals(
            goal("a", "A.", "ask"), goal("b", "B.", "buy"), goal("c", "C.", "cook", needs=("a",))
        )
        steps = {
            "ask": [call("1"), "x"],
            "buy": [call("2"), call("3"), "y"],
            "cook": ["z"],
            "new": ["n"],
        }
        return Searching(plan, steps, summaries=(goals(goal("d", "D.", "new", needs=("b",))),))

    class Cut(Searching):
        async def complete(self, request: Request, on_text: OnText) -> Reply:
            if "this: new" in request.messages[-1].text:
                raise ModelRequestError(model="scripted:model", problem="no")
            return await super().complete(request, on_text)

    whole = await solved(flash_searcher, searching(), TASK, journal=journal, tools=[look])
    cut = searching()
    cut.__class__ = Cut
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=cut, tools=[look]).run_as("cut", flash_searcher, TASK)
    model = searching()
    model.summaries.clear()
    resumed = await Runner(journal=journal, model=model, tools=[look]).resume(flash_searcher, "cut")
    assert resumed.output == whole.output
    assert not any("this: ask" in prompt or "this: buy" in prompt for prompt in model.asked)
    ended = {step.key: step for step in resumed.record.steps.values()}
    assert {(key, step.name, step.status) for key, step in ended.items()} == {
        (step.key, step.name, step.status) for step in whole.record.steps.values()
    }
