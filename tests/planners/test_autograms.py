"""AutoGRAMS: a program that pauses for the user's words, keeps its locals, and is confined."""

import sys
import textwrap
from pathlib import Path
from typing import Any

import anyio
import pytest
from agentflow_planners.autograms import autograms

from agentflow import Journal, Runner, Task, tool
from agentflow.errors import (
    ExpansionError,
    InputError,
    ModelRequestError,
    ProgramError,
    RunPausedError,
)
from tests.planners.scripts import Acting, in_turn, solved

pytestmark = pytest.mark.anyio

DIALOGUE = """
def ask_for(what, seen):
    words = reply(f"ask for the {what}")
    seen.append(words)
    return words

seen = []
name = ask_for("name", seen)
mood = thought(f"what {name} feels")
number = len(mood) * 10
town = ask_for("town", seen)
last = reply_exact(f"{name} of {town}, {number}?")
return [name, mood, number, town, last, seen]
"""
SPOKEN = ["Who are you?", "glad", "Where from?"]
ENDED = ["Ann", "glad", 40, "Rome", "yes", ["Ann", "Rome"]]


def chat(program: str, *turns: str, **inputs: Any) -> Task:
    given = {"turns": list(turns)} if turns else {}
    return Task(goal="Get to know the user.", inputs={"program": program, **given, **inputs})


async def test_a_dialogue_in_advance_runs_to_its_end(journal: str) -> None:
    model = Acting(in_turn(*SPOKEN))
    result = await solved(autograms, model, chat(DIALOGUE, "Ann", "Rome", "yes"), journal=journal)
    assert result.output.output["value"] == ENDED
    assert result.output.output["turns"] == [
        {"bot": "Who are you?", "user": "Ann"},
        {"bot": "Where from?", "user": "Rome"},
        {"bot": "Ann of Rome, 40?", "user": "yes"},
    ]
    said = [(message.role, message.text) for message in model.requests[-1].messages]
    assert said[1:4] == [
        ("user", "Get to know the user."),
        ("assistant", "Who are you?"),
        ("user", "Ann"),
    ], "the model has the dialogue in sight, and not the program"
    assert "def ask_for" not in str(said)


PROCESS = """
    import sys
    import anyio
    from agentflow import Runner, RunPausedError, Task
    from agentflow_planners.autograms import autograms
    from tests.planners.scripts import Acting

    task = Task(goal="Chat.", inputs={"program": sys.argv[2]})
    runner = Runner(journal=sys.argv[1], model=Acting(lambda prompt: "Who are you?"))
    try:
        anyio.run(runner.run_as, "chat", autograms, task)
    except RunPausedError as error:
        print("paused:", error.questions[0]["text"])
"""


async def test_the_process_ends_between_turns_and_no_model_call_is_repeated(
    sqlite_journal: str,
) -> None:
    done = await anyio.run_process(
        [sys.executable, "-c", textwrap.dedent(PROCESS), sqlite_journal, DIALOGUE],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.decode().strip() == "paused: Who are you?"
    for words, question, spoken in (
        ("Ann", r"Where from\?", SPOKEN[1:]),
        ("Rome", r"Ann of Rome, 40\?", []),
    ):
        with Journal(sqlite_journal) as opened:
            opened.answer("chat", words)
        runner = Runner(journal=sqlite_journal, model=Acting(in_turn(*spoken)))
        with pytest.raises(RunPausedError, match=question):
            await runner.resume(autograms, "chat")
    with Journal(sqlite_journal) as opened:
        opened.answer("chat", "yes")
    last = Runner(journal=sqlite_journal, model=Acting(in_turn()))
    assert (await last.resume(autograms, "chat")).output.output["value"] == ENDED


async def test_a_jump_leaves_what_was_called_and_takes_what_it_is_given(journal: str) -> None:
    program = """
import math
def farewell(name, *, mood="calm"):
    return [name, mood, math.floor(2.5), day]
def inner(name):
    return goto("farewell", name, mood=reply("ask for the mood"))
def middle():
    return inner(reply("ask for the name"))
return middle()
"""
    task = chat(program, "Ann", "glad", day="Monday")
    result = await solved(autograms, Acting(in_turn("a", "b")), task, journal=journal)
    assert result.output.output["value"] == ["Ann", "glad", 2, "Monday"]
    names = [step.name for step in result.record.steps.values()]
    assert [name for name in names if name in ("start", "farewell")] == ["start", "farewell"]


async def test_a_pause_behind_a_jump_keeps_the_turns_before_it(journal: str) -> None:
    program = """
def second(name):
    return [name, reply("go on")]
return goto("second", reply("begin"))
"""
    runner = Runner(journal=journal, model=Acting(in_turn("hello", "and?")))
    with pytest.raises(RunPausedError, match="hello"):
        await runner.run_as("c", autograms, chat(program))
    with Journal(journal) as opened:
        opened.answer("c", "Ann")
    with pytest.raises(RunPausedError, match=r"and\?"):
        await runner.resume(autograms, "c")
    with Journal(journal) as opened:
        opened.answer("c", "well")
    model = Acting(in_turn())
    result = await Runner(journal=journal, model=model).resume(autograms, "c")
    assert result.output.output["value"] == ["Ann", "well"]
    assert [turn["bot"] for turn in result.output.output["turns"]] == ["hello", "and?"]


async def test_calls_are_made_in_the_order_of_the_program(journal: str) -> None:
    program = """
plan = thought("first")
detail = thought(plan + " second")
words = reply("third")
return thought("fourth")
"""
    model = Acting(lambda prompt: prompt.split("Instruction: ")[1].splitlines()[0])
    await solved(autograms, model, chat(program, "yes"), journal=journal)
    asked = [prompt.splitlines()[0].split()[-1] for prompt in model.asked]
    assert asked == ["first", "second", "third", "fourth"]


rung: list[str] = []


@tool(effect=True)
async def ring(what: str) -> str:
    """Ring a bell."""
    rung.append(what)
    return f"{what} rings"


async def test_nothing_behind_a_call_that_failed_is_done_and_a_caught_one_goes_on(
    journal: str,
) -> None:
    program = """
try:
    a = thought("fail")
    b = ring("behind")
    c = thought(a)
except Exception as error:
    return [str(error), ring("after")]
"""
    rung.clear()
    task = chat(program).model_copy(update={"tools": ("ring",)})
    model = Acting(lambda _prompt: " ")
    result = await solved(autograms, model, task, journal=journal, tools=[ring])
    problem, after = result.output.output["value"]
    assert "reply is empty" in problem
    assert (rung, after) == (["after"], "after rings")


async def test_decisions_and_lists_are_typed(journal: str) -> None:
    program = """
if yes_or_no("a man?"):
    return "no"
return [multiple_choice("which?", ["red", "blue"]), generate_list("colours", 2)]
"""
    replies = ('"no"', '"green"', '"blue"', '["a", "b", "c"]', '["a", "b"]')
    model = Acting(in_turn(*replies))
    result = await solved(autograms, model, chat(program), journal=journal)
    assert result.output.output["value"] == ["blue", ["a", "b"]]


HOSTILE = {
    "open('/etc/passwd').read()": ProgramError,
    "import os\nos.system('id')": ProgramError,
    "__import__('os').system('id')": ProgramError,
    "reply.__globals__": ProgramError,
    "().__class__.__base__.__subclasses__()": ProgramError,
    "def (": ProgramError,
    "execute_code('print(1)')": ExpansionError,
    "_answer('x')": ExpansionError,
    "reply(1, 2, 3)": InputError,
    "multiple_choice('which?')": InputError,
    "goto()": ExpansionError,
    "return goto('nowhere')": ExpansionError,
    "return {'goto': 'thought', 'goto_args': [1], 'goto_kwargs': {}}": ExpansionError,
    "def f():\n    return goto('f')\nreturn f()": ExpansionError,
}


@pytest.mark.parametrize("program", HOSTILE, ids=lambda program: program.splitlines()[-1])
async def test_a_hostile_or_wrong_program_is_confined_and_refused(
    program: str, journal: str
) -> None:
    model = Acting(in_turn())
    with pytest.raises(HOSTILE[program]):
        await solved(autograms, model, chat(program, "hi"), journal=journal, jumps=3)
    assert model.asked == []


async def test_a_user_who_has_left_hears_no_more(journal: str) -> None:
    listens = (
        "words = [reply('go on')]\nwhile words[-1]:\n    words.append(reply('go on'))\nreturn words"
    )
    result = await solved(
        autograms, Acting(lambda _prompt: "and?"), chat(listens, "a", "b"), journal=journal
    )
    assert result.output.output["value"] == ["a", "b", ""]
    deaf, model = "while True:\n    reply('go on')", Acting(lambda _prompt: "and?")
    with pytest.raises(ExpansionError, match="the user has left"):
        await solved(autograms, model, chat(deaf, "a", "b"), journal=journal)
    assert len(model.asked) == 3
    with pytest.raises(ExpansionError, match="more than 2 turns"):
        await solved(autograms, model, chat(deaf, *"abcdef"), journal=journal, turns=2)


async def test_a_dialogue_that_broke_off_goes_on_where_it_stood(journal: str) -> None:
    def refuses(prompt: str) -> str:
        if "feels" in prompt:
            raise ModelRequestError(model="scripted:model", problem="no")
        return "Who are you?"

    task = chat(DIALOGUE, "Ann", "Rome", "yes")
    with pytest.raises(ModelRequestError):
        await Runner(journal=journal, model=Acting(refuses)).run_as("cut", autograms, task)
    rest = Acting(in_turn(*SPOKEN[1:]))
    result = await Runner(journal=journal, model=rest).resume(autograms, "cut")
    assert result.output.output["value"] == ENDED


@pytest.mark.parametrize(
    "inputs", [{}, {"program": " "}, {"program": "1", "turns": "a"}, {"program": "1", "turns": [1]}]
)
async def test_a_task_without_a_dialogue_is_refused(inputs: dict[str, Any], journal: str) -> None:
    with pytest.raises(InputError):
        await solved(
            autograms, Acting(in_turn()), Task(goal="Chat.", inputs=inputs), journal=journal
        )
