"""People may write on any run, whoever writes the run itself, and no secret gets in that way."""

import subprocess
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from agentflow import Change, Journal, Runner
from agentflow.errors import AgentflowError, AnnotationError, UnknownRunError, rebuild
from agentflow.journal import tables
from agentflow.journal.annotations import Annotation
from agentflow.journal.upkeep.prune import Criteria, prune
from agentflow.journal.upkeep.verify import verify
from tests import warm
from tests.agentflow.journal.upkeep.parts import asks, execute, opened, runner, shouts

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]


@pytest.fixture
async def recorded(journal: str) -> str:
    """A journal with the runs `one` and `two`, of three steps each."""
    await runner(journal).run_as("one", shouts, ["a", "b"])
    await runner(journal).run_as("two", shouts, ["a", "b"])
    return journal


async def test_what_is_written_is_read_in_order_of_its_run_and_step(recorded: str) -> None:
    before = time.time()
    with Journal(recorded) as journal:
        first = journal.annotate("one", "slow\n  and loud ✎", step=2, tag="slow")
        whole = journal.annotate("on", "good")  # the beginning of an id is enough
        other = journal.annotate("last", "other", step=2)
        third = journal.annotate("one", "again", step=2)
    assert first == Annotation(
        id=first.id, step=2, text="slow\n  and loud ✎", tag="slow", at=first.at
    )
    assert before <= first.at <= time.time()
    with Journal(recorded) as journal:
        assert journal.annotations("one") == [first, whole, third]
        assert journal.annotations("one", step=2) == [first, third]
        assert journal.annotations("one", step=3) == []
        assert journal.annotations("two") == [other]


async def test_one_that_is_taken_back_is_gone_and_its_id_is_not_given_again(recorded: str) -> None:
    with Journal(recorded) as journal:
        kept, gone = journal.annotate("one", "kept"), journal.annotate("one", "gone")
        with pytest.raises(AnnotationError, match=rf"run two: there is no annotation {gone.id}"):
            journal.remove_annotation("two", gone.id)
        journal.remove_annotation("one", gone.id)
        assert journal.annotations("one") == [kept]
        for missing in (gone.id, 0, -1, 2**70):
            with pytest.raises(AnnotationError, match="`agentflow note one` lists them"):
                journal.remove_annotation("one", missing)
        assert journal.annotate("one", "new").id > gone.id


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown step": ("x", {"step": 4}, "it has no step 4"),
    "step zero": ("x", {"step": 0}, "it has no step 0"),
    "a step no database can hold": ("x", {"step": 2**70}, "it has no step"),
    "nothing": ("", {}, "its text is empty"),
    "only spaces": (" \n\t", {}, "its text is empty"),
    "too long": ("é" * 32_769, {}, "its text has 65,538 bytes; at most 65,536 are kept"),
    "a zero character": ("a\0b", {}, "its text holds a zero character"),
    "no text at all": ("a\udc80", {}, "its text is no Unicode text"),
    "a tag of two words": ("x", {"tag": "two words"}, "its tag 'two words' is not one word"),
    "a tag of spaces": ("x", {"tag": " "}, "its tag ' ' is not one word"),
    "a tag that moves the cursor": ("x", {"tag": "\x1b[2J"}, "is not one word"),
    "a long tag": ("x", {"tag": "x" * 41}, "its tag has 41 characters; at most 40 are kept"),
}


@pytest.mark.parametrize(("text", "how", "problem"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_written_is_a_typed_error_and_leaves_nothing(
    recorded: str, text: str, how: dict[str, Any], problem: str
) -> None:
    with Journal(recorded) as journal:
        with pytest.raises(AnnotationError) as caught:
            journal.annotate("one", text, **how)
        assert journal.annotations("one") == []
    assert str(caught.value).startswith("annotation of run one: ")
    assert problem in str(caught.value)
    assert str(rebuild("AnnotationError", "", caught.value.facts)) == str(caught.value)


async def test_the_largest_that_fits_is_written(recorded: str) -> None:
    with Journal(recorded) as journal:
        journal.annotate("one", "é" * 32_768, tag="x" * 40)
        assert len(journal.annotations("one")[0].text) == 32_768


async def test_a_run_that_is_not_there_is_said_so(recorded: str) -> None:
    with Journal(recorded) as journal:
        for act in (
            lambda: journal.annotate("none", "x"),
            lambda: journal.annotations("none"),
            lambda: journal.remove_annotation("none", 1),
            lambda: journal.find("none"),
        ):
            with pytest.raises(UnknownRunError, match="no run none"):
                act()
        assert journal.find("tw") == "two"


async def test_secrets_are_redacted_by_the_rules_of_the_run_and_those_for_all(
    journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOOR_TOKEN", "open-sesame-open")
    ruled = Runner(journal=journal, redact={"patient": r"P-\d{6}"})
    await ruled.run_as("one", shouts, ["a"])
    key = "sk-ant-" + "a1" * 20
    with Journal(journal) as found:
        found.annotate("one", f"P-123456 came with {key} through open-sesame-open", tag="P-654321")
    (written,) = Journal(journal).annotations("one")
    assert written.text == (
        "[redacted:patient] came with [redacted:anthropic-key] through [redacted:DOOR_TOKEN]"
    )
    assert written.tag == "[redacted:patient]"


async def test_rules_of_a_damaged_run_are_an_error_and_not_left_out(journal: str) -> None:
    await runner(journal).run_as("one", shouts, ["a"])
    for settings in ('{"redact": 5}', '{"redact": {"a": 1}}', "5"):
        details = f'{{"target": "x:y", "settings": {settings}}}'
        first = tables.events.c.number == 1
        execute(journal, update(tables.events).where(first).values(details=details))
        with (
            Journal(journal) as found,
            pytest.raises(AnnotationError, match=r"rules .* unreadable"),
        ):
            found.annotate("one", "x")


async def test_a_fork_does_not_inherit_what_was_written_on_its_parent(recorded: str) -> None:
    forks = runner(recorded)
    with Journal(recorded) as journal:
        journal.annotate("one", "look here", step=2)
    fork = await forks.fork(shouts, "one", at=2, change=Change(output="A"))
    with Journal(recorded) as journal:
        assert journal.annotations(fork.id) == []
        assert len(journal.annotations("one")) == 1


async def test_annotations_are_no_part_of_the_record(recorded: str) -> None:
    with Journal(recorded) as journal:
        before = journal.events("one")
        journal.annotate("one", "look here", step=2)
        assert journal.events("one") == before
    assert (await runner(recorded).replay(shouts, "one")).output == ["A" * 40, "B" * 40]


async def test_a_run_that_has_written_nothing_yet_can_be_annotated(journal: str) -> None:
    with opened(journal, create=True) as store:
        store.new_run("new")
    with Journal(journal) as found:
        found.annotate("new", "come on")
        with pytest.raises(AnnotationError, match="no step 1"):
            found.annotate("new", "x", step=1)


async def test_a_paused_run_keeps_what_was_written_on_it_when_it_goes_on(journal: str) -> None:
    with pytest.raises(AgentflowError, match="paused"):
        await runner(journal).run_as("asks", asks)
    with Journal(journal) as found:
        written = found.annotate("asks", "so what", step=2)
        found.answer("asks", "so")
    await runner(journal).resume(asks, "asks")
    with Journal(journal) as found:
        assert found.annotations("asks") == [written]


# Several processes ---------------------------------------------------------------------------

WAITS = """
    import sys
    import anyio
    from agentflow import Runner, flow, tool

    @tool(effect=True)  # so that its start is in the journal before it starts
    def waits() -> int:
        print("here", flush=True)
        return len(sys.stdin.readline())

    @flow
    async def whole() -> int:
        return await waits()

    print(anyio.run(Runner(journal=sys.argv[1]).run_as, "live", whole).output)
"""
WRITES = """
    import sys
    from agentflow import Journal

    with Journal(sys.argv[1]) as journal:
        sys.stdin.readline()
        for number in range(40):
            journal.annotate("one", f"{sys.argv[2]} {number}", step=1 + number % 3)
"""


def start(program: str, folder: Path, *arguments: str) -> warm.Process:
    script = folder / f"program{len(list(folder.iterdir()))}.py"
    script.write_text(textwrap.dedent(program))
    return warm.Process([str(script), *arguments], cwd=ROOT, stdin=subprocess.PIPE)


async def test_a_run_is_annotated_while_another_process_writes_it(
    journal: str, tmp_path: Path
) -> None:
    with start(WAITS, tmp_path, journal) as living:
        assert living.stdout.readline() == "here\n"
        with Journal(journal) as found:
            written = [
                found.annotate("live", "slow", step=2),
                found.annotate("live", "it runs", tag="now"),
            ]
            assert found.heads()[0].status == "running"
        output, _ = living.communicate("go\n", timeout=60)
    assert (living.returncode, output) == (0, "3\n")
    with Journal(journal) as found:
        assert found.heads()[0].status == "succeeded"
        assert found.annotations("live") == written
    with opened(journal) as store:
        assert verify(store).problems == ()


async def test_two_processes_annotate_at_once_and_nothing_is_lost(
    recorded: str, tmp_path: Path
) -> None:
    writing = [start(WRITES, tmp_path, recorded, name) for name in ("left", "right")]
    for process in writing:
        process.communicate("go\n", timeout=60)
    assert [process.returncode for process in writing] == [0, 0]
    with Journal(recorded) as journal:
        found = journal.annotations("one")
    assert len({one.id for one in found}) == 80
    for name in ("left", "right"):
        texts = [one.text for one in found if one.text.startswith(name)]
        assert texts == [f"{name} {number}" for number in range(40)]


async def test_a_run_that_was_pruned_while_one_wrote_takes_nothing_with_it(
    recorded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentflow.journal import annotations

    def prunes(text: str, tag: str) -> None:  # between looking for the run and writing
        check(text, tag)
        with opened(recorded) as store:
            prune(store, Criteria(runs=("one",)))

    check = annotations.check_words
    monkeypatch.setattr(annotations, "check_words", prunes)
    with Journal(recorded) as journal, pytest.raises(UnknownRunError, match="has just been remov"):
        journal.annotate("one", "too late")
    with opened(recorded) as store:
        assert verify(store).problems == ()


async def test_annotations_of_nothing_are_found_by_verify(sqlite_journal: str) -> None:
    await runner(sqlite_journal).run_as("one", shouts, ["a"])
    row = {"text": "x", "tag": "", "at": 1.0}
    execute(
        sqlite_journal,  # where foreign keys are not looked at
        insert(tables.annotations).values(row | {"run": 7}),
        insert(tables.annotations).values(row | {"run": 1, "step": 9}),
    )
    with opened(sqlite_journal) as store:
        assert [str(problem) for problem in verify(store).problems] == [
            "journal: annotations of run number 7, which is not there",
            "run one: annotation 2 belongs to step 9, which is not there",
        ]
