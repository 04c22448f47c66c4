"""`agentflow note`, and what `agentflow show` makes of it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agentflow import Journal
from agentflow.cli.main import commands
from agentflow.errors import AgentflowError
from tests.agentflow.cli.test_run import agentflow
from tests.agentflow.journal.upkeep.parts import asks, runner, shouts

pytestmark = pytest.mark.anyio


@pytest.fixture
async def journal(sqlite_journal: str) -> str:
    """A journal with the run `one` of three steps."""
    await runner(sqlite_journal).run_as("one", shouts, ["a", "b"])
    return sqlite_journal


def call(journal: str, *arguments: str) -> Result:
    """Run a command in this process; an error of ours is raised."""
    environment = {"AGENTFLOW_JOURNAL": journal, "COLUMNS": "120"}
    done = CliRunner().invoke(commands, list(arguments), env=environment)
    if isinstance(done.exception, AgentflowError):
        raise done.exception
    return done


async def test_a_note_is_written_listed_and_deleted(journal: str) -> None:
    first = call(journal, "note", "last", "goes\nin circles", "--step", "2", "--tag", "bad")
    assert (first.exit_code, first.stdout) == (0, "")
    assert first.stderr == "wrote note 1 on step 2 of run one\n"
    assert call(journal, "note", "on", "good").stderr == "wrote note 2 on run one\n"
    lines = call(journal, "note", "one").stdout.splitlines()
    assert [lines[0].split()[:3], lines[0].split()[-1]] == [["1", "step", "2"], "bad"]
    assert lines[1:3] == ["    goes", "    in circles"]
    assert lines[3].split()[:2] == ["2", "run"]
    assert call(journal, "note", "one", "--delete", "1").stderr == "deleted note 1 of run one\n"
    with Journal(journal) as found:
        assert [one.text for one in found.annotations("one")] == ["good"]
    call(journal, "note", "one", "--delete", "2")
    empty = call(journal, "note", "one")
    assert (empty.stdout, empty.stderr) == ("", "no notes on run one\n")


async def test_a_list_for_programs_has_one_object_a_line_and_can_be_narrowed(journal: str) -> None:
    written = call(journal, "note", "one", "größer", "--step", "2", "--tag", "bad", "--json").stdout
    call(journal, "note", "one", "other", "--step", "2")
    call(journal, "note", "one", "whole", "--tag", "bad")
    listed = call(journal, "note", "one", "--json").stdout.splitlines(keepends=True)
    assert listed[0] == written
    facts = json.loads(written)
    assert facts == {"id": 1, "step": 2, "text": "größer", "tag": "bad", "at": facts["at"]}

    def texts(*narrower: str) -> list[str]:
        shown = call(journal, "note", "one", "--json", *narrower).stdout.splitlines()
        return [json.loads(line)["text"] for line in shown]

    assert texts() == ["größer", "other", "whole"]
    assert texts("--step", "2") == ["größer", "other"]
    assert texts("--tag", "bad") == ["größer", "whole"]
    assert texts("--step", "2", "--tag", "bad") == ["größer"]
    assert texts("--step", "3") == []


async def test_show_has_every_note_under_its_step(journal: str) -> None:
    call(journal, "note", "one", "what\nnoise", "--step", "2", "--tag", "loud")
    call(journal, "note", "one", "a good run")
    lines = call(journal, "show", "one").stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if "shout #2" in line)
    assert lines[at + 1].endswith("✎ loud: what noise")
    assert lines[-1] == "✎ a good run"
    whole = call(journal, "show", "one", "--step", "2").stdout
    assert "── annotation 1 loud\nwhat\nnoise\n" in whole
    assert "annotation" not in call(journal, "show", "one", "--step", "3").stdout
    steps = [
        json.loads(line) for line in call(journal, "show", "one", "--json").stdout.splitlines()
    ]
    assert [[one["text"] for one in step["annotations"]] for step in steps] == [
        [],
        ["what\nnoise"],
        [],
    ]


async def test_a_note_on_a_step_of_an_earlier_attempt_is_shown_too(sqlite_journal: str) -> None:
    with pytest.raises(AgentflowError, match="paused"):
        await runner(sqlite_journal).run_as("asks", asks)
    call(sqlite_journal, "note", "asks", "ask better", "--step", "1", "--tag", "todo")
    assert "✎ todo: ask better" in call(sqlite_journal, "show", "asks").stdout
    call(sqlite_journal, "answer", "asks", "so")
    await runner(sqlite_journal).resume(asks, "asks")
    shown = call(sqlite_journal, "show", "asks").stdout
    assert shown.splitlines()[-1] == "step 1 ✎ todo: ask better"


async def test_hostile_notes_cannot_control_the_terminal(journal: str) -> None:
    call(journal, "note", "one", "a\x1b[2J\x9b\u202eb\r\nc[bold]d", "--step", "2")
    for command in (("show", "one"), ("show", "one", "--step", "2"), ("note", "one")):
        shown = call(journal, *command).stdout
        assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(shown)
        assert "c[bold]d" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["one", "x", "--step", "9"], 1, "annotation of run one: it has no step 9"),
        (["one", ""], 1, "annotation of run one: its text is empty"),
        (["one", "x", "--tag", "a b"], 1, "its tag 'a b' is not one word"),
        (["none", "x"], 1, "no run none; `agentflow runs` lists them"),
        (["one", "--delete", "5"], 1, "no annotation 5; `agentflow note one` lists them"),
        (["one", "x", "--delete", "5"], 2, "--delete takes nothing but the run"),
        (["one", "--delete", "5", "--step", "1"], 2, "--delete takes nothing but the run"),
    ],
)
async def test_a_mistake_is_one_line(
    journal: str, arguments: list[str], code: int, said: str
) -> None:
    if code == 1:
        with pytest.raises(AgentflowError) as caught:
            call(journal, "note", *arguments)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    done = call(journal, "note", *arguments)
    assert done.exit_code == code
    assert said in done.stderr


async def test_notes_of_a_process_of_its_own(journal: str) -> None:
    folder = Path(journal).parent
    journal_of = {"AGENTFLOW_JOURNAL": journal, "SOME_API_KEY": "hush-hush-hush"}
    done = agentflow(
        "note", "one", "--", "-- hush-hush-hush", folder=folder, environment=journal_of
    )
    assert done.returncode == 0, done.stderr
    with Journal(journal) as found:
        assert found.annotations("one")[0].text == "-- [redacted:SOME_API_KEY]"
    done = agentflow("note", "one", "x", "-s", "7", folder=folder, environment=journal_of)
    assert (done.returncode, done.stderr) == (
        1,
        "Error: annotation of run one: it has no step 7\n",
    )


def test_the_help_ends_in_an_example() -> None:
    shown = CliRunner().invoke(commands, ["note", "--help"]).output
    assert "agentflow note last" in shown.split("Options:")[0]
