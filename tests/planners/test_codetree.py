"""CodeTree: the order of the search, what ends it, what the roles are told, and its bounds."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from agentflow_planners.codetree import codetree

from agentflow import Budget, Runner, Task
from agentflow.errors import (
    BudgetExceededError,
    ExpansionError,
    MalformedReplyError,
    ModelRequestError,
)
from tests.planners.coders import called, code_task
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

TRIPLE = '''def triple(x: int) -> int:
    """Return three times x.

    >>> triple(2)
    6
    >>> triple(0)
    0
    """
'''
UNTESTED = 'def triple(x: int) -> int:\n    """Return three times x."""\n'
RIGHT, CLOSE, WRONG = "3 * x", "2 * x", "x - 7"


class Roles(Acting):
    """A model of four roles; an idea is a place in the tree, such as "2.1", and `code` says its program.

    `code` is by place, `reviews` by program: the critic's grade and decision. `seen` keeps the order in
    which places were written.
    """

    def __init__(
        self,
        code: Mapping[str, str],
        *,
        reviews: Mapping[str, tuple[int, str]] | None = None,
        width: int = 2,
        else_: str = WRONG,
    ) -> None:
        super().__init__(self._said)
        self.code, self.reviews, self.width, self.else_ = code, reviews or {}, width, else_
        self.seen: list[str] = []
        self.places: dict[str, str] = {}

    def _said(self, prompt: str) -> str:
        if "different strategies" in prompt:
            return self._ideas("")
        if "different ways to correct" in prompt:
            found = re.search(r"return (.+) +# (\S+)", prompt)
            assert found is not None, prompt
            return self._ideas(f"{found[2]}.")
        if "Judge this program" in prompt:
            return self._review(prompt)
        place = re.findall(r"go (\d[\d.]*)", self._text())[-1]
        self.seen.append(place)
        body = self.code.get(place, self.else_)
        if not body:
            return "I cannot."
        return f"```python\ndef triple(x: int) -> int:\n    return {body}  # {place}\n```"

    def _text(self) -> str:
        return "\n".join(message.text for message in self.requests[-1].messages)

    def _ideas(self, above: str) -> str:
        return json.dumps({"ideas": [f"go {above}{number + 1}" for number in range(self.width)]})

    def _review(self, prompt: str) -> str:
        found = re.search(r"return (.+) +# (\S+)", prompt)
        assert found is not None, prompt
        grade, decision = self.reviews.get(found[2], (3, "refine"))
        reason = f"reason of {found[2]}"
        return json.dumps({"reason": reason, "grade": grade, "decision": decision})


def asked_with(model: Acting, words: str) -> list[str]:
    return [prompt for prompt in model.asked if words in prompt]


async def test_dfs_corrects_a_program_before_it_tries_the_next_strategy(journal: str) -> None:
    model = Roles({})
    await solved(codetree, model, code_task(TRIPLE), journal=journal, search="dfs", programs=7)
    assert model.seen == ["1", "1.1", "1.1.1", "1.1.2", "1.2", "1.2.1", "1.2.2"]


async def test_bfs_tries_all_strategies_before_it_corrects_any(journal: str) -> None:
    model = Roles({})
    await solved(codetree, model, code_task(TRIPLE), journal=journal, search="bfs", programs=7)
    assert model.seen == ["1", "2", "1.1", "1.2", "2.1", "2.2", "1.1.1"]


async def test_the_agent_goes_on_where_tests_and_critic_see_the_most_promise(journal: str) -> None:
    # 1: no test passed. 2: one of two. 2.1: the same, but the critic likes it better.
    model = Roles({"2": CLOSE, "2.1": CLOSE, "2.1.2": RIGHT}, reviews=_reviews(accept="2.1.2"))
    result = await solved(codetree, model, code_task(TRIPLE), journal=journal)
    assert model.seen == ["1", "2", "2.1", "2.1.1", "2.1.2"]
    assert called(result.output.output, "triple(5)") == 15


def _reviews(accept: str) -> dict[str, tuple[int, str]]:
    return {
        "1": (0, "refine"),
        "2": (1, "refine"),
        "2.1": (4, "refine"),
        accept: (5, "accept"),
    }


@pytest.mark.parametrize("search", ["bfs", "dfs"])
async def test_a_program_that_passes_the_visible_tests_ends_the_search(
    journal: str, search: Any
) -> None:
    place = {"bfs": "2", "dfs": "1.2"}[search]
    model = Roles({place: RIGHT}, width=3)
    result = await solved(
        codetree, model, code_task(TRIPLE), journal=journal, search=search, depth=2
    )
    assert model.seen[-1] == place
    assert called(result.output.output, "triple(5)") == 15
    assert not asked_with(model, "Judge this program"), "the tests decide"


async def test_the_critic_may_accept_what_passes_the_tests_but_not_what_fails_one(
    journal: str,
) -> None:
    model = Roles({"1": CLOSE, "2": RIGHT}, reviews={"1": (0, "accept"), "2": (5, "accept")})
    result = await solved(codetree, model, code_task(TRIPLE), journal=journal, depth=1, programs=9)
    assert model.seen == ["1", "2"]
    assert called(result.output.output, "triple(5)") == 15


async def test_the_critic_may_have_a_program_refined_that_passes_the_tests(journal: str) -> None:
    reviews = {"1": (2, "refine"), "1.1": (5, "accept")}
    model = Roles({"1": "3 * abs(x)", "1.1": RIGHT}, reviews=reviews)
    result = await solved(codetree, model, code_task(TRIPLE), journal=journal)
    assert model.seen == ["1", "1.1"]
    assert called(result.output.output, "triple(-5)") == -15
    assert "It passes all visible tests." in asked_with(model, "Judge this program")[0]


async def test_a_rejected_program_that_passes_is_still_the_answer_when_nothing_is_better(
    journal: str,
) -> None:
    model = Roles({"1": RIGHT, "2": CLOSE}, reviews={"1": (0, "abort"), "2": (5, "refine")})
    result = await solved(codetree, model, code_task(TRIPLE), journal=journal, depth=1)
    assert called(result.output.output, "triple(5)") == 15
    assert "nothing was accepted" in notes_of(result)


async def test_what_the_critic_aborts_is_not_corrected(journal: str) -> None:
    model = Roles({}, reviews={"1": (5, "abort"), "2": (0, "abort")})
    await solved(codetree, model, code_task(TRIPLE), journal=journal)
    assert model.seen == ["1", "2"]
    assert not asked_with(model, "different ways to correct")


async def test_a_correction_that_makes_it_worse_is_not_corrected_further(journal: str) -> None:
    reviews = {"1": (3, "refine"), "1.1": (2, "refine"), "1.2": (3, "refine")}
    model = Roles({"1": CLOSE, "1.1": CLOSE, "1.2": CLOSE}, reviews=reviews)
    await solved(codetree, model, code_task(TRIPLE), journal=journal, programs=4)
    assert model.seen == ["1", "1.1", "1.2", "1.2.1"]
    listings = "".join(asked_with(model, "different ways to correct"))
    assert "# 1.2\n" in listings
    assert "# 1.1\n" not in listings


async def test_the_answer_is_what_passes_most_tests_however_the_critic_grades(
    journal: str,
) -> None:
    more = TRIPLE.replace("    >>> triple(0)", "    >>> triple(-1)\n    -3\n    >>> triple(0)")
    most = more.replace("    >>> triple(0)", "    >>> triple(3)\n    9\n    >>> triple(0)")
    reviews = {"1": (0, "abort"), "2": (5, "refine")}
    model = Roles({"1": RIGHT, "2": "3 * abs(x)"}, reviews=reviews)
    result = await solved(codetree, model, code_task(most), journal=journal, depth=1)
    assert called(result.output.output, "triple(-5)") == -15


async def test_the_debugger_hears_what_the_failed_test_said_and_sees_the_program(
    journal: str,
) -> None:
    model = Roles({"1": CLOSE, "1.1": RIGHT})
    await solved(codetree, model, code_task(TRIPLE), journal=journal, search="dfs")
    turns = model.requests[-1].messages
    assert "return 2 * x  # 1" in turns[-2].text
    assert "triple(2) must give 6, but it gives 4\ngo 1.1" in turns[-1].text
    listing = asked_with(model, "different ways to correct")[0]
    assert "triple(2) must give 6, but it gives 4" in listing


async def test_the_thinker_hears_the_critic(journal: str) -> None:
    model = Roles({})
    await solved(codetree, model, code_task(TRIPLE), journal=journal, programs=2)
    assert "reason of 1\n" in asked_with(model, "different ways to correct")[0]


async def test_a_strategy_reaches_the_solver_but_not_the_answer(journal: str) -> None:
    model = Roles({"1": RIGHT})
    result = await solved(codetree, model, code_task(TRIPLE), journal=journal, search="bfs")
    assert "Strategy: go 1" in model.asked[1]
    assert "Strategy" not in result.output.output
    assert "Return three times x." in result.output.output


async def test_depth_width_and_programs_bound_the_tree(journal: str) -> None:
    model = Roles({}, width=9)
    options: dict[str, Any] = {"search": "bfs", "depth": 2, "width": 3, "programs": 40}
    await solved(codetree, model, code_task(TRIPLE), journal=journal, **options)
    assert len(model.seen) == 3 + 9
    assert max(place.count(".") for place in model.seen) == 1
    assert not [place for place in model.seen if re.search("[4-9]", place)]


async def test_nothing_is_listed_that_no_program_is_left_for(journal: str) -> None:
    model = Roles({})
    await solved(codetree, model, code_task(TRIPLE), journal=journal, programs=1, search="dfs")
    assert len(model.asked) == 2, "strategies and one program"


async def test_branches_written_side_by_side_search_in_the_same_order(journal: str) -> None:
    model = Roles({"2.1": RIGHT})
    options: dict[str, Any] = {"search": "bfs", "at_once": 4, "programs": 9}
    result = await solved(codetree, model, code_task(TRIPLE), journal=journal, **options)
    assert sorted(model.seen) == ["1", "1.1", "1.2", "2", "2.1", "2.2"]
    assert called(result.output.output, "triple(5)") == 15
    assert "branch 2.1 is accepted" in notes_of(result)


async def test_without_visible_tests_the_critic_decides_and_nothing_runs(journal: str) -> None:
    model = Roles({"2": RIGHT}, reviews={"2": (5, "accept")})
    result = await solved(
        codetree, model, code_task(UNTESTED), journal=journal, search="bfs", depth=1
    )
    assert called(result.output.output, "triple(5)") == 15
    kinds = {step.kind for step in result.record.steps.values()}
    assert kinds == {"flow", "model"}


async def test_a_reply_that_is_no_program_ends_its_branch_only(journal: str) -> None:
    model = Roles({"1": "", "2": RIGHT})
    result = await solved(codetree, model, code_task(TRIPLE), journal=journal, search="dfs")
    assert model.seen == ["1", "2"]
    assert "branch 1 failed" in notes_of(result)


async def test_a_critic_without_form_leaves_the_decision_to_the_tests(journal: str) -> None:
    class Rambling(Roles):
        def _said(self, prompt: str) -> str:
            is_review = "Judge this program" in prompt or "does not fit" in prompt
            return "Looks good to me" if is_review else super()._said(prompt)

    model = Rambling({"2": RIGHT})
    result = await solved(codetree, model, code_task(TRIPLE), journal=journal, depth=1)
    assert called(result.output.output, "triple(5)") == 15
    assert "the critic gave no review" in notes_of(result)


async def test_corrections_without_form_end_their_branch_only(journal: str) -> None:
    class Terse(Roles):
        def _ideas(self, above: str) -> str:
            return super()._ideas(above) if not above else '{"ideas": ["  "]}'

    model = Terse({"2": RIGHT})
    result = await solved(codetree, model, code_task(TRIPLE), journal=journal, search="dfs")
    assert model.seen == ["1", "2"]
    assert "no corrections were listed" in notes_of(result)


async def test_a_search_in_which_nothing_was_written_is_a_typed_error(journal: str) -> None:
    with pytest.raises(ExpansionError, match="triple"):
        await solved(codetree, Roles({}, else_=""), code_task(TRIPLE), journal=journal)


@pytest.mark.parametrize("reply", ["first think", '{"ideas": []}'])
async def test_strategies_without_form_are_a_typed_error(journal: str, reply: str) -> None:
    with pytest.raises(MalformedReplyError):
        await solved(codetree, Acting(lambda _: reply), code_task(TRIPLE), journal=journal)


async def test_a_spent_budget_ends_the_search_with_the_best_so_far(tmp_path: Path) -> None:
    model = Roles({"1": CLOSE})
    runner = Runner(journal=str(tmp_path / "runs.db"), model=model, budget=Budget(steps=9))
    result = await runner.run_async(codetree, code_task(TRIPLE), search="dfs")
    assert called(result.output.output, "triple(5)") == 10
    tight = Runner(journal=str(tmp_path / "tight.db"), model=Roles({}), budget=Budget(steps=4))
    with pytest.raises(BudgetExceededError):
        await tight.run_async(codetree, code_task(TRIPLE), search="dfs")


async def test_a_search_that_was_cut_off_goes_on_where_it_stood(journal: str) -> None:
    class Breaking(Roles):
        def _said(self, prompt: str) -> str:
            if len(self.seen) == 2:
                raise ModelRequestError(model="scripted:model", problem="no")
            return super()._said(prompt)

    code = {"1": CLOSE, "1.1": CLOSE, "1.2": RIGHT}
    task = code_task(TRIPLE)
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Breaking(code)).run_as("cut", codetree, task)
    rest = Roles(code, reviews={"1.2": (5, "accept")})
    resumed = await Runner(journal=journal, model=rest).resume(codetree, "cut")
    assert called(resumed.output.output, "triple(5)") == 15
    assert "1" not in rest.seen, "what was written before is not written again"
    replayed = await Runner(journal=journal).replay(codetree, resumed.id)
    assert replayed.output == resumed.output


async def test_a_task_in_words_is_answered_with_what_the_program_returns(journal: str) -> None:
    def said(prompt: str) -> str:
        if "different strategies" in prompt:
            return '{"ideas": ["add them"]}'
        if "Judge" in prompt:
            return '{"reason": "fine", "grade": 5, "decision": "accept"}'
        return "```python\ndef solve(numbers):\n    return sum(numbers)\n```"

    task = Task(goal="Add the numbers.", inputs={"numbers": [1, 2, 3]})
    result = await solved(codetree, Acting(said), task, journal=journal)
    assert result.output.output == 6
