"""What is wrong with samples before they cost anything."""

from typing import Any

import pytest
from agentflow_evals.checks import check_samples, leaks, normalised, overlap
from agentflow_evals.suite import Sample
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow import Task
from agentflow.solving import Named

LONG = "The treaty was signed at dawn by all nine envoys of the northern league in the harbour."
NUMERIC = Named(name="numeric", options={"value": 42})


def sample(goal: str, name: str = "s", **given: Any) -> Sample:
    parts = {key: given.pop(key) for key in ("inputs", "context", "output_schema") if key in given}
    given.setdefault("checks", (NUMERIC,))
    return Sample(id=name, task=Task(goal=goal, **parts), **given)


def said(found: list[Any]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.kind) for finding in found]


TESTS = "assert merge([(1, 2), (2, 3)]) == [(1, 3)]"


@pytest.mark.parametrize(
    "leaking",
    [
        sample(f"Recall: {LONG.upper()}", target=LONG),
        sample("Recall.", inputs={"notes": [{"text": f"so  {LONG}"}]}, target=LONG),
        sample("Recall.", context=LONG.replace(" ", "\n"), target=LONG),
        sample("Write it.", inputs={"code": f"# {TESTS}\ndef merge(): ..."}, target=TESTS),
        sample(TESTS, checks=(Named(name="code_tests", options={"tests": TESTS}),)),
        sample("What is 6 * 7? Answer: 42"),
        sample("What is 6 * 7?\n#### 42."),
        sample(
            "Which?", checks=(Named(name="exact", options={"equals": "B"}),), context="answer: b"
        ),
        sample("x", output_schema={"type": "string", "description": LONG}, target=LONG),
    ],
)
def test_an_answer_in_view_is_an_error(leaking: Sample) -> None:
    assert said(check_samples([leaking])) == [("error", "leak")]


@pytest.mark.parametrize(
    "clean",
    [
        sample("What is 6 * 7? Show your answer: a number.", target=42),
        sample("Is 42 even? What is the answer to 6 * 7?", target="42"),
        sample(f"Which?\nA) {LONG}\nB) none", target="A"),
        sample("Which?", output_schema={"enum": [LONG, "none"]}, target=LONG),
        sample(f"Find it: {LONG}", target=LONG, metadata={"answer_in_task": True}),
        sample("2 * 21? Answer: 42\n6 * 7? Answer:", target="42"),
        sample("Judge.", checks=(Named(name="rubric", options={"question": "Judge."}),)),
    ],
)
def test_what_is_no_leak_is_not_called_one(clean: Sample) -> None:
    assert leaks([clean]) == []


def test_a_short_answer_on_a_line_of_its_own_is_to_be_looked_at() -> None:
    found = check_samples([sample("Which is it?\nOttawa\nToronto", target="Ottawa")])
    assert said(found) == [("warning", "leak")]
    assert "'ottawa'" in found[0].problem


def test_an_id_is_there_once_and_errors_come_first() -> None:
    twice = [sample("One plus one?", "a"), sample("ONE  plus one?", "b"), sample("Two?", "b")]
    found = check_samples(twice)
    assert said(found) == [("error", "id"), ("warning", "duplicate")]
    assert (found[0].sample, found[1].sample) == ("b", "b")
    assert found[1].problem == "it asks the same as a"


def test_another_place_for_the_same_words_is_another_task() -> None:
    def at(name: str, seed: int) -> Sample:
        house = Named(name="adventure", options={"seed": seed})
        return sample("Win.", name, environments={"house": house})

    assert check_samples([at("a", 1), at("b", 2)]) == []
    assert said(check_samples([at("a", 1), at("b", 1)])) == [("warning", "duplicate")]


def test_a_sample_that_a_training_text_holds_is_named() -> None:
    samples = [sample(LONG, "known"), sample("Something else entirely?", "new")]
    found = overlap(samples, ["unrelated", f"Q: {LONG.replace('harbour', 'port')} A: yes"])
    assert [finding.sample for finding in found] == ["known"]
    assert "training texts, most in 2" in found[0].problem
    same = overlap(samples, ["SOMETHING else\tentirely?"])
    assert [(one.sample, one.problem) for one in same] == [("new", "training text 1 is the same")]


def test_words_that_the_whole_suite_shares_are_no_overlap() -> None:
    def words(number: int) -> str:
        return " ".join(f"word{number}x{at}" for at in range(8))

    samples = [sample(f"{LONG} {words(number)}", str(number)) for number in range(20)]
    assert overlap(samples, [f"{LONG} but another question"]) == []
    assert [one.sample for one in overlap(samples, [f"{LONG} {words(7)}"])] == ["7"]


@settings(deadline=None)
@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert normalised(text.upper().lower()) == normalised(text.upper().lower().upper().lower())


@settings(deadline=None)
@given(st.text())
def test_spaces_and_width_of_letters_change_nothing(text: str) -> None:
    wide = "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)
    assert normalised(f" \n{text}\t ") == normalised(text)
    assert normalised(wide) == normalised(text)


def test_ten_thousand_samples_are_checked() -> None:
    # Quadratic work would run into the test's time limit.
    texts = [
        " ".join(f"w{number * 31 % 9973}n{at}" for at in range(20)) for number in range(10_000)
    ]
    samples = [sample(text, f"s{number}") for number, text in enumerate(texts)]
    found = check_samples(samples, texts[:10])
    assert [one.sample for one in found if one.kind == "overlap"][:3] == ["s0", "s1", "s2"]
