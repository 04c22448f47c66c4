"""L2MAC: instructions carried out on a file store, an evaluator, and a context that stays bounded."""

import json
from typing import Any

import pytest
from agentflow_planners.l2mac import l2mac
from agentflow_planners.shared.file_store import checked_path

from agentflow import Runner, Task
from agentflow.errors import ExpansionError, InputError, ModelRequestError
from agentflow.models.protocol import Request
from tests.planners.scripts import Acting, notes_of, solved

pytestmark = pytest.mark.anyio

TESTS = "assert double(4) == 8\nassert double(0) == 0"
TASK = Task(goal="Write double(x).", inputs={"tests": TESTS})
RIGHT = "def double(x):\n    return 2 * x\n"


def program(*instructions: str) -> str:
    return json.dumps({"instructions": instructions})


def act(action: str, path: str = "", text: str = "") -> str:
    return json.dumps({"action": action, "path": path, "text": text})


def write(path: str, text: str) -> str:
    return act("write", path, text)


def done(text: str = "It is done.") -> str:
    return act("done", text=text)


def coder(*replies: str, plan: str = "", summary: str = "Half is done.") -> Acting:
    """Plan, then act in turn; a request to summarise gets its own reply."""
    left = [plan or program("Write double in main.py."), *replies]

    def answer(prompt: str) -> str:
        return summary if "two sentences what was done so far" in prompt else left.pop(0)

    return Acting(answer)


def size(request: Request) -> int:
    return sum(len(message.text) for message in request.messages)


async def test_files_are_written_and_are_the_answer(journal: str) -> None:
    model = coder(write("main.py", RIGHT), done())
    result = await solved(l2mac, model, TASK, journal=journal)
    assert result.output.output == {"main.py": RIGHT}
    kinds = [(step.kind, step.name) for step in result.record.steps.values()]
    assert ("code", "examine") in kinds
    assert ("flow", "memory 1") in kinds


async def test_each_instruction_has_a_fresh_context_with_what_was_done_before(journal: str) -> None:
    plan = program("Write helper twice in parts/sums.py.", "Write double in main.py.")
    helper = "def twice(x):\n    return x + x\n"
    model = coder(
        write("parts/sums.py", helper),
        done("twice is in parts/sums.py."),
        write("main.py", "from parts.sums import twice\n\ndef double(x):\n    return twice(x)\n"),
        done(),
        write("parts/__init__.py", ""),
        done(),
        plan=plan,
    )
    result = await solved(l2mac, model, TASK, journal=journal)
    second = next(request for request in model.requests if "The instruction:\nWrite double" in request.messages[-1].text)  # fmt: skip
    assert len(second.messages) == 2, "nothing of the first conversation"
    asked = second.messages[-1].text
    assert "Files: parts/sums.py (31 characters)" in asked
    assert "instruction 1: twice is in parts/sums.py." in asked
    assert "twice(x):" not in asked, "contents are read, not shown"
    assert set(result.output.output) == {"main.py", "parts/__init__.py", "parts/sums.py"}


async def test_what_fails_is_told_and_an_instruction_ends_only_when_nothing_does(
    journal: str,
) -> None:
    model = coder(
        write("main.py", "def double(x:"),
        done(),
        write("main.py", "def double(x):\n    return x * x\n"),
        done(),
        write("main.py", RIGHT),
        act("check"),
        done(),
    )
    result = await solved(l2mac, model, TASK, journal=journal)
    assert result.output.output == {"main.py": RIGHT}
    assert "main.py does not parse: SyntaxError" in model.asked[3]
    assert "The tests fail:" in model.asked[5]
    assert "double(4) == 8" in model.asked[5]
    assert model.asked[7] == "The evaluation finds nothing wrong."


async def test_given_tests_count_at_the_last_instruction_and_the_parse_at_every(
    journal: str,
) -> None:
    plan = program("Write a note.", "Write double.")
    model = coder(
        write("other.py", "x ="), done(), write("other.py", "x = 1"), done(),
        done(), write("main.py", RIGHT), done(), plan=plan,
    )  # fmt: skip
    await solved(l2mac, model, TASK, journal=journal)
    assert "other.py does not parse" in model.asked[3]
    assert "The tests need a file main.py" in model.asked[6]


HOSTILE = [
    "../main.py", "/etc/passwd", "a/../../b", "..", ".", "", "./x.py", "a//b", "a/", "~/x", "C:\\x",
    "a\\b", "x\x00.py", "x\n.py", ".ssh/keys", "a/.hidden", "é.py", "a" * 200, "%2e%2e/x", " x",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE, ids=repr)
async def test_a_path_that_leads_outside_is_refused_and_nothing_is_written(
    path: str, journal: str
) -> None:
    with pytest.raises(ExpansionError, match="is no relative path of plain names"):
        checked_path(path)
    model = coder(
        write(path, "stolen"),
        act("read", path),
        act("delete", path),
        write("main.py", RIGHT),
        done(),
    )
    result = await solved(l2mac, model, TASK, journal=journal)
    assert result.output.output == {"main.py": RIGHT}
    assert [prompt.startswith("Refused: ") for prompt in model.asked[2:5]] == [True] * 3


@pytest.mark.parametrize("path", ["main.py", "a/b/c.txt", "README.md", "my file.txt", "_x.py"])
def test_a_path_of_plain_names_is_taken(path: str) -> None:
    assert checked_path(path) == path


async def test_files_are_read_deleted_and_never_folders_too(journal: str) -> None:
    model = coder(
        act("read", "none.py"), write("a", "text of a"), act("read", "a"), write("a/b", "x"),
        act("delete", "a"), write("a/b", "x"), write("a", "x"), write("big", "x" * 40_001),
        write("main.py", RIGHT), done(),
    )  # fmt: skip
    result = await solved(l2mac, model, TASK, journal=journal)
    told = model.asked[2:]
    assert told[0] == "There is no file none.py; there are: none"
    assert told[2] == "text of a"
    assert told[3] == "Refused: a is there, so a/b cannot be"
    assert told[6] == "Refused: a/b is there, so a cannot be"
    assert told[7].startswith("Refused: a file has at most 40000 characters")
    assert set(result.output.output) == {"a/b", "main.py"}


async def test_the_context_stays_below_its_bound_by_summarising(journal: str) -> None:
    noise = [write(f"f{at}.txt", "x" * 30_000) for at in range(30)]
    plan = program("Write " + "many " * 5_000)
    model = coder(*noise, write("main.py", RIGHT), done(), plan=plan, summary="s" * 9_000)
    result = await solved(l2mac, model, TASK, journal=journal, context=8_000, turns=40)
    assert len(result.output.output) == 31
    assert max(map(size, model.requests)) <= 8_000
    assert "the context was full and is summarised" in notes_of(result)
    after = next(text for text in model.asked if "so far: sss" in text)
    assert "(cut, 9000 characters in all)" in after
    assert len(model.asked) - 33 >= 3, "more than once"


async def test_a_summary_within_an_instruction_is_not_seen_by_the_next(journal: str) -> None:
    noise = [write(f"f{at}.txt", "x" * 30_000) for at in range(9)]
    plan = program("Write files.", "Write double.")
    model = coder(*noise, done(), write("main.py", RIGHT), done(), plan=plan, summary="Half.")
    result = await solved(l2mac, model, TASK, journal=journal, context=8_000)
    steps = {step.name: step for step in result.record.steps.values()}
    assert b"so far" in (steps["summary of instruction 1"].output or b"")
    assert b"so far" not in (steps["memory 1"].output or b""), "it takes no more room"
    assert any("so far: Half." in text for text in model.asked)
    second = next(text for text in model.asked if "The instruction:\nWrite double." in text)
    assert "so far" not in second.split("Done so far:")[1]


async def test_doing_the_same_twice_is_told(journal: str) -> None:
    same = act("read", "none.py")
    model = coder(same, same, write("main.py", RIGHT), done())
    await solved(l2mac, model, TASK, journal=journal)
    assert not model.asked[2].startswith("You did exactly this")
    assert model.asked[3].startswith("You did exactly this just before. There is no file")


async def test_an_instruction_that_is_not_finished_is_a_typed_error(journal: str) -> None:
    model = coder(*[act("read", "none.py")] * 5)
    with pytest.raises(ExpansionError, match="instruction 1 is not finished after 5 turns; the last: There is no"):  # fmt: skip
        await solved(l2mac, model, TASK, journal=journal, turns=5)


async def test_a_program_of_no_sound_length_is_asked_for_again(journal: str) -> None:
    long = program(*["Write."] * 11)
    model = coder(program(), program("Write."), write("main.py", RIGHT), done(), plan=long)
    await solved(l2mac, model, TASK, journal=journal)
    assert "give between 1 and 10 instructions, none of them empty" in model.asked[1]
    with pytest.raises(
        ExpansionError, match="nothing sound in 3 attempts; the last: give between 1 and 10"
    ):
        await solved(l2mac, coder(program(" "), program(), plan=long), TASK, journal=journal)


async def test_code_that_reaches_for_the_tests_or_the_machine_does_not_pass(journal: str) -> None:
    cheat = "import os, sys\ndef double(x):\n    os._exit(0)\n"
    class_cheat = (
        "class Any:\n    def __eq__(self, other): return True\ndef double(x):\n    return Any()\n"
    )
    model = coder(
        write("main.py", cheat), done(), write("main.py", class_cheat), done(),
        write("main.py", RIGHT), done(),
    )  # fmt: skip
    result = await solved(l2mac, model, TASK, journal=journal)
    assert result.output.output == {"main.py": RIGHT}
    assert model.asked[3].startswith("The tests fail")
    assert model.asked[5].startswith("The tests fail")


async def test_a_run_that_was_cut_off_goes_on_where_it_stood(journal: str) -> None:
    def refuses(prompt: str) -> str:
        if prompt.startswith("Written: a.txt"):
            raise ModelRequestError(model="scripted:model", problem="no")
        return first.pop(0)

    first = [program("Write double."), write("a.txt", "x")]
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Acting(refuses)).run_as("cut", l2mac, TASK)
    left = [write("main.py", RIGHT), done()]
    rest = Acting(lambda _prompt: left.pop(0))
    resumed = await Runner(journal=journal, model=rest).resume(l2mac, "cut")
    assert resumed.output.output == {"a.txt": "x", "main.py": RIGHT}
    assert len(rest.asked) == 2


@pytest.mark.parametrize(
    ("inputs", "options"),
    [
        ({"files": ["a"]}, {}),
        ({"files": {"../a": "x"}}, {}),
        ({"files": {"a": "x", "a/b": "x"}}, {}),
        ({"tests": 3}, {}),
        ({"tests": "assert ("}, {}),
        ({}, {"entry": "/main.py"}),
        ({}, {"entry": "main.txt"}),
        ({"much": "x" * 9_000}, {}),
        ({"memory": "x"}, {}),
    ],
    ids=str,
)
async def test_what_cannot_be_worked_on_is_refused_before_a_call(
    inputs: dict[str, Any], options: dict[str, Any], journal: str
) -> None:
    model = coder()
    task = Task(goal="Write.", inputs=inputs)
    with pytest.raises(InputError):
        await solved(l2mac, model, task, journal=journal, **options)
    assert not model.asked


async def test_files_that_are_given_are_there_and_stay(journal: str) -> None:
    task = TASK.model_copy(update={"inputs": {"tests": TESTS, "files": {"main.py": RIGHT}}})
    model = coder(done("Nothing to do."))
    result = await solved(l2mac, model, task, journal=journal)
    assert result.output.output == {"main.py": RIGHT}
    assert f"main.py ({len(RIGHT)} characters)" in model.asked[1]
    assert RIGHT not in model.asked[1]
