"""Competitive flows: who gives feedback in each pattern, what runs, where plans come from, what ends it."""

import json
from typing import Any

import pytest
from agentflow_planners.competitive_flows import competitive_flows

from agentflow import Runner, Task
from agentflow.errors import ExpansionError, InputError, MalformedReplyError, ModelRequestError
from tests.planners.coders import called, code_task
from tests.planners.scripts import Acting, notes_of, solved
from tests.planners.test_codetree import TRIPLE, UNTESTED

pytestmark = pytest.mark.anyio

PATTERNS = ["code", "reflection", "collaboration", "debug", "debug_collaboration"]
RIGHT, CLOSE, WRONG = "3 * x", "2 * x", "x - 7"
AGAIN, REVIEW = "Go through your program once more", "Does it do what is asked"


def program(body: str) -> str:
    return f"```python\ndef triple(x: int) -> int:\n    return {body}\n```"


def team(
    *bodies: str, reviews: tuple[tuple[bool, str], ...] = (), plan: str = "Multiply by three."
) -> Acting:
    """A coder that writes these programs in turn, and reviewers that say this in turn, the last one on."""
    programs, said = list(bodies), list(reviews)

    def next_of(left: list[Any]) -> Any:
        return left.pop(0) if len(left) > 1 else left[0]

    def answer(prompt: str) -> str:
        if "Do not write code" in prompt:
            return plan
        if AGAIN in prompt or REVIEW in prompt:
            is_right, reason = next_of(said)
            return json.dumps({"reason": reason, "yes": is_right})
        body = next_of(programs)
        return program(body) if body else "I cannot."

    return Acting(answer)


def texts(model: Acting, number: int) -> str:
    return "\n".join(message.text for message in model.requests[number].messages)


async def test_code_asks_once_and_runs_nothing(journal: str) -> None:
    model = team(WRONG)
    result = await solved(
        competitive_flows, model, code_task(TRIPLE), journal=journal, pattern="code"
    )
    assert called(result.output.output, "triple(9)") == 2
    assert len(model.asked) == 1
    assert {step.kind for step in result.record.steps.values()} == {"flow", "model"}


@pytest.mark.parametrize("pattern", ["reflection", "collaboration"])
async def test_without_the_tests_a_review_decides_and_nothing_ever_runs(
    journal: str, pattern: str
) -> None:
    model = team(RIGHT, WRONG, reviews=((False, "it must subtract"), (True, "right now")))
    result = await solved(
        competitive_flows, model, code_task(TRIPLE), journal=journal, pattern=pattern
    )
    assert called(result.output.output, "triple(9)") == 2, "the last, tests or no tests"
    assert "it must subtract" in model.asked[2]
    assert {step.kind for step in result.record.steps.values()} == {"flow", "model"}
    assert len(model.asked) == 4


async def test_reflection_is_the_coder_itself_and_collaboration_is_somebody_else(
    journal: str,
) -> None:
    own = team(RIGHT, reviews=((True, ""),))
    task = code_task(TRIPLE)
    await solved(competitive_flows, own, task, journal=journal, pattern="reflection")
    roles = [message.role for message in own.requests[1].messages]
    assert roles == ["user", "assistant", "user"]
    assert "return 3 * x" in own.requests[1].messages[1].text
    other = team(RIGHT, reviews=((True, ""),))
    await solved(competitive_flows, other, task, journal=journal, pattern="collaboration")
    roles = [message.role for message in other.requests[1].messages]
    assert roles == ["system", "user"]
    assert "You review programs of others" in texts(other, 1)


async def test_debug_gives_the_coder_what_the_failed_test_said(journal: str) -> None:
    model = team(CLOSE, RIGHT)
    result = await solved(
        competitive_flows, model, code_task(TRIPLE), journal=journal, pattern="debug"
    )
    assert called(result.output.output, "triple(9)") == 27
    assert "triple(2) must give 6, but it gives 4" in model.asked[1]
    assert "return 2 * x" in texts(model, 1)
    assert len(model.asked) == 2, "nobody but the coder is asked"


async def test_a_program_that_passes_the_visible_tests_ends_the_rounds(journal: str) -> None:
    for pattern in ("debug", "debug_collaboration"):
        model = team(RIGHT)
        await solved(competitive_flows, model, code_task(TRIPLE), journal=journal, pattern=pattern)
        assert len(model.asked) == 1


async def test_in_debug_collaboration_the_critic_sees_the_tests_and_the_coder_hears_both(
    journal: str,
) -> None:
    model = team(CLOSE, RIGHT, reviews=((True, "the factor is off"),))
    result = await solved(competitive_flows, model, code_task(TRIPLE), journal=journal)
    assert called(result.output.output, "triple(9)") == 27, "a failed test outweighs a kind critic"
    assert "It fails visible tests:\ntriple(2) must give 6, but it gives 4" in model.asked[1]
    assert "triple(2) must give 6, but it gives 4\nthe factor is off" in model.asked[2]


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_no_more_programs_are_asked_for_than_the_rounds_allow(
    journal: str, pattern: str
) -> None:
    model = team(WRONG, reviews=((False, "wrong"),))
    options: dict[str, Any] = {"pattern": pattern, "max_rounds": 3}
    await solved(competitive_flows, model, code_task(TRIPLE), journal=journal, **options)
    is_review = [AGAIN in prompt or REVIEW in prompt for prompt in model.asked]
    assert is_review.count(False) == (1 if pattern == "code" else 3)
    has_reviews = pattern not in ("code", "debug")
    assert is_review.count(True) == (2 if has_reviews else 0), "the last program needs none"


async def test_of_programs_that_were_run_the_best_is_the_answer(journal: str) -> None:
    model = team(WRONG, CLOSE, WRONG)
    options: dict[str, Any] = {"pattern": "debug", "max_rounds": 3}
    result = await solved(competitive_flows, model, code_task(TRIPLE), journal=journal, **options)
    assert called(result.output.output, "triple(9)") == 18


async def test_the_models_plan_reaches_the_coder_in_every_round_but_not_the_answer(
    journal: str,
) -> None:
    model = team(CLOSE, RIGHT)
    options: dict[str, Any] = {"pattern": "debug", "plan": "model"}
    result = await solved(competitive_flows, model, code_task(TRIPLE), journal=journal, **options)
    assert "Do not write code" in model.asked[0]
    assert "Multiply by three." in texts(model, 1)
    assert "Multiply by three." in texts(model, 2)
    assert "Multiply by three." not in result.output.output


async def test_a_given_plan_takes_the_planners_place(journal: str) -> None:
    task = Task(goal="Write it.", inputs={"code": TRIPLE, "plan": "Add x up, three times."})
    model = team(RIGHT)
    await solved(competitive_flows, model, task, journal=journal, plan="given")
    assert len(model.asked) == 1
    assert "Add x up, three times." in texts(model, 0)


async def test_a_given_plan_is_no_input_of_the_program(journal: str) -> None:
    task = Task(goal="Add them.", inputs={"numbers": [1, 2], "plan": "Use sum."})
    reply = "```python\ndef solve(numbers):\n    return sum(numbers)\n```"
    options: dict[str, Any] = {"plan": "given", "pattern": "code"}
    result = await solved(
        competitive_flows, Acting(lambda _: reply), task, journal=journal, **options
    )
    assert result.output.output == 3


@pytest.mark.parametrize("inputs", [{}, {"plan": "  "}, {"plan": ["a", "b"]}])
async def test_a_given_plan_that_is_not_there_is_refused(
    journal: str, inputs: dict[str, Any]
) -> None:
    task = Task(goal="Write it.", inputs={"code": TRIPLE} | inputs)
    with pytest.raises(InputError, match=r"inputs\.plan"):
        await solved(competitive_flows, team(RIGHT), task, journal=journal, plan="given")


async def test_an_empty_plan_is_a_typed_error(journal: str) -> None:
    model = team(RIGHT, plan="  \n")
    with pytest.raises(ExpansionError, match="plan is empty"):
        await solved(competitive_flows, model, code_task(TRIPLE), journal=journal, plan="model")


async def test_without_visible_tests_debug_keeps_the_first_program_and_says_so(
    journal: str,
) -> None:
    model = team(CLOSE, RIGHT)
    result = await solved(
        competitive_flows, model, code_task(UNTESTED), journal=journal, pattern="debug"
    )
    assert called(result.output.output, "triple(9)") == 18
    assert "no visible test" in notes_of(result)


async def test_without_visible_tests_the_critic_decides(journal: str) -> None:
    model = team(CLOSE, RIGHT, reviews=((False, ""), (True, "")))
    result = await solved(competitive_flows, model, code_task(UNTESTED), journal=journal)
    assert called(result.output.output, "triple(9)") == 27
    assert "it is not right yet" in model.asked[2]


async def test_a_first_reply_that_is_no_program_is_sampled_again(journal: str) -> None:
    model = team("", RIGHT)
    result = await solved(competitive_flows, model, code_task(TRIPLE), journal=journal)
    assert called(result.output.output, "triple(9)") == 27
    assert "round 1 gave no program" in notes_of(result)


async def test_a_correction_that_is_no_program_leaves_the_program_before(journal: str) -> None:
    model = team(CLOSE, "")
    result = await solved(
        competitive_flows, model, code_task(TRIPLE), journal=journal, pattern="debug"
    )
    assert called(result.output.output, "triple(9)") == 18
    assert len(model.asked) == 2, "the same request again would get the same reply"


async def test_rounds_without_any_program_are_a_typed_error(journal: str) -> None:
    with pytest.raises(ExpansionError, match="no reply of 2"):
        await solved(competitive_flows, team(""), code_task(TRIPLE), journal=journal, max_rounds=2)


async def test_a_review_without_form_is_a_typed_error(journal: str) -> None:
    model = Acting(lambda prompt: program(WRONG) if "Complete" in prompt else "Looks good")
    with pytest.raises(MalformedReplyError):
        await solved(competitive_flows, model, code_task(TRIPLE), journal=journal)


async def test_rounds_that_were_cut_off_go_on_where_they_stood(journal: str) -> None:
    def refuses(prompt: str) -> str:
        if REVIEW in prompt:
            raise ModelRequestError(model="scripted:model", problem="no")
        return program(CLOSE)

    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Acting(refuses)).run_as(
            "cut", competitive_flows, code_task(TRIPLE)
        )
    rest = team(RIGHT, reviews=((False, "the factor is off"),))
    resumed = await Runner(journal=journal, model=rest).resume(competitive_flows, "cut")
    assert called(resumed.output.output, "triple(9)") == 27
    assert len(rest.asked) == 2, "one review and one correction; the first program is there"
    replayed = await Runner(journal=journal).replay(competitive_flows, resumed.id)
    assert replayed.output == resumed.output
