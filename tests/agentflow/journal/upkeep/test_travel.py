"""What is exported from one journal is the same run in another, and no bad file gets in."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from agentflow.errors import JournalError, ToolError, UnknownRunError
from agentflow.journal import tables
from agentflow.journal.events import StepFinished, Stored
from agentflow.journal.journal import Journal
from agentflow.journal.upkeep import importing
from agentflow.journal.upkeep.export import export_runs
from agentflow.journal.upkeep.form import event_form, read_event
from agentflow.journal.upkeep.importing import import_runs
from agentflow.journal.upkeep.prune import Criteria, prune
from agentflow.journal.upkeep.verify import verify
from agentflow.redaction import Redactor
from tests.agentflow.journal.test_journal import any_event
from tests.agentflow.journal.upkeep.parts import (
    LONG,
    execute,
    opened,
    runner,
    shouts,
    talk,
    tree,
)

pytestmark = pytest.mark.anyio

texts = st.text(max_size=12) | st.text(max_size=3).map(lambda text: text * 90)
leaves = st.tuples(st.sampled_from(["tool", "model"]), texts).map(list)
trees = st.recursive(
    leaves,
    lambda below: st.builds(
        lambda way, children: [way, *children],
        st.sampled_from(["sequence", "parallel", "raises"]),
        st.lists(below, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


def events_in(journal: str, run: str) -> list[Stored]:
    with Journal(journal) as found:
        return found.events(run)


def moved(source: str, target: str, file: Path, *runs: str) -> None:
    with opened(source) as store:
        export_runs(store, file, runs or None)
    with opened(target, create=True) as store:
        import_runs(store, file)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(node=trees)
def test_any_run_is_the_same_after_export_and_import(
    node: list[Any], journal: str, tmp_path: Path
) -> None:
    with suppress(ToolError):  # a leaf may fail, and the run with it
        runner(journal).run(tree, node)
    with Journal(journal) as found:
        run = found.run("last").id
    target = tmp_path / f"{run}.db"
    moved(journal, str(target), tmp_path / "one.jsonl", run)
    assert events_in(str(target), run) == events_in(journal, run)
    for where in (journal, str(target)):
        with opened(where) as store:
            assert verify(store).problems == ()


@given(any_event)
def test_any_event_survives_the_way_through_its_form(event: Stored) -> None:
    assume("\0" not in getattr(event, "name", "") + getattr(event, "flow", ""))
    form = json.loads(json.dumps(event_form(event, Redactor(environment={}))))
    assert read_event(form) == event


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
async def test_an_imported_run_replays_and_shares_its_payloads(
    journal: str, tmp_path: Path, name: str
) -> None:
    await runner(journal).run_as("talked", talk, 6)
    await runner(journal).run_as("shouted", shouts, [LONG, "b"])
    target = str(tmp_path / "other.db")
    moved(journal, target, tmp_path / name)
    assert "you said" in str((await runner(target).replay(talk, "talked")).record.steps[2].output)
    assert (await runner(target).replay(shouts, "shouted")).output[1] == "B" * 40
    with opened(journal) as one, opened(target) as other:
        assert verify(other).payloads == verify(one).payloads, "a conversation is stored in parts"
        assert verify(other).problems == ()
    with Journal(journal) as one_, Journal(target) as other_:
        assert one_.heads() == other_.heads()


async def test_a_run_comes_back_into_the_journal_it_came_from(journal: str, tmp_path: Path) -> None:
    await runner(journal).run_as("one", shouts, [LONG])
    await runner(journal).run_as("two", shouts, [LONG])
    before = events_in(journal, "one")
    file = tmp_path / "all.jsonl.gz"
    with opened(journal) as store:
        assert export_runs(store, file).runs == ("one", "two")
        with pytest.raises(JournalError, match=r"run one already; skip .*--skip-existing"):
            import_runs(store, file)
        prune(store, Criteria(runs=("one",)))
        done = import_runs(store, file, skip_existing=True)
        assert (done.runs, done.skipped) == (("one",), ("two",))
        assert verify(store).problems == ()
    assert events_in(journal, "one") == before


async def test_secrets_are_looked_for_on_the_way_out(journal: str, tmp_path: Path) -> None:
    await runner(journal).run_as("one", shouts, ["my word is hunter2222", "b"])
    file = tmp_path / "one.jsonl"
    with opened(journal) as store:
        rules = Redactor({"word": "(?i)hunter[0-9]+"})
        export_runs(store, file, ["one"], redactor=rules)
    assert "hunter" not in file.read_text().lower()
    assert "[redacted:word]" in file.read_text()
    with opened(str(tmp_path / "other.db"), create=True) as store:
        assert import_runs(store, file).runs == ("one",)


async def test_annotations_travel_with_their_run_and_get_ids_of_the_other_journal(
    journal: str, tmp_path: Path
) -> None:
    target = str(tmp_path / "other.db")
    for where, run in ((journal, "one"), (journal, "two"), (target, "own")):
        await runner(where).run_as(run, shouts, ["a", "b"])
    with Journal(journal) as found, Journal(target) as other:
        found.annotate("one", "hunter2222 is slow", step=2, tag="slow")
        found.annotate("two", "of the other")
        found.annotate("one", "two\nlines ✎")
        other.annotate("own", "was there before")
    with opened(journal) as store:
        export_runs(store, tmp_path / "f.jsonl", ["one"], redactor=Redactor({"word": "hunter2+"}))
    with opened(target) as store:
        import_runs(store, tmp_path / "f.jsonl")
        assert verify(store).problems == ()
    with Journal(journal) as found, Journal(target) as other:
        left, came = found.annotations("one"), other.annotations("one")
        assert len(other.annotations("own")) == 1
        assert other.annotate("one", "later").id > came[-1].id
    assert [(one.step, one.text, one.tag, one.at) for one in came] == [
        (2, "[redacted:word] is slow", "slow", left[0].at),
        (None, "two\nlines ✎", "", left[1].at),
    ]


async def test_the_longest_annotation_travels_although_redaction_makes_it_longer(
    journal: str, tmp_path: Path
) -> None:
    await runner(journal).run_as("one", shouts, ["a"])
    with Journal(journal) as found:
        found.annotate("one", "abc" * 20_000, tag="abc" * 13)
    with opened(journal) as store:
        export_runs(store, tmp_path / "f.jsonl", redactor=Redactor({"a-long-name": "abc"}))
    with opened(str(tmp_path / "other.db"), create=True) as store:
        assert import_runs(store, tmp_path / "f.jsonl").runs == ("one",)


async def test_an_export_of_format_1_still_comes_in(journal: str, tmp_path: Path) -> None:
    lines = await exported(tmp_path)
    del lines[1]["annotations"], lines[-1]  # format 1 knew none
    file = tmp_path / "old.jsonl"
    file.write_bytes(signed([lines[0] | {"version": 1}, *lines[1:]]))
    with opened(journal, create=True) as store:
        assert import_runs(store, file).runs == ("one",)
        assert verify(store).problems == ()
    assert (await runner(journal).replay(shouts, "one")).output == ["A" * 40]


async def test_an_export_that_fails_leaves_no_file(journal: str, tmp_path: Path) -> None:
    await runner(journal).run_as("one", shouts, [LONG])
    with opened(journal) as store:
        with pytest.raises(UnknownRunError):
            export_runs(store, tmp_path / "none.jsonl", ["none"])
        with pytest.raises(JournalError, match="cannot be written"):
            export_runs(store, tmp_path / "no" / "one.jsonl", ["one"])
        execute(journal, tables.payloads.delete())
        with pytest.raises(JournalError, match="missing"):
            export_runs(store, tmp_path / "one.jsonl", ["one"])
    assert not [path for path in tmp_path.iterdir() if "jsonl" in path.name]


# Bad files ---------------------------------------------------------------------------------


def signed(lines: list[Any]) -> bytes:
    """Return a file with a right last line, as a forger would write it."""
    body = b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )
    end = {"lines": len(lines), "blake2b": hashlib.blake2b(body, digest_size=32).hexdigest()}
    return body + json.dumps({"end": end}).encode() + b"\n"


def changing(at_line: int, /, **changes: Any) -> Callable[[list[Any]], list[Any]]:
    def change(lines: list[Any]) -> list[Any]:
        return [line | changes if at == at_line - 1 else line for at, line in enumerate(lines)]

    return change


def without(number: int, name: str) -> Callable[[list[Any]], list[Any]]:
    def change(lines: list[Any]) -> list[Any]:
        del lines[number - 1][name]
        return lines

    return change


# The file: 1 the header, 2 the run, 3 RunStarted, 4 the start of step 1, 5 a note, 6 and 7 step 2, 8 and
# 9 the ends of step 1 and of the run, 10 an annotation of step 2.
FORGED: dict[str, tuple[Callable[[list[Any]], list[Any]], str]] = {
    "no format": (changing(1, format="x"), "line 1: no export"),
    "newer": (changing(1, version=3), "line 1: written by a newer agentflow"),
    "no version": (changing(1, version="1"), "line 1: '1' is no version"),
    "no list of runs": (changing(1, runs=[1]), "line 1: the list of runs"),
    "an id with control characters": (changing(1, runs=["\x1b[2J"]), "line 1: the list of runs"),
    "an id too long": (changing(1, runs=["x" * 65]), "line 1: the list of runs"),
    "a run twice": (changing(1, runs=["one", "one"]), "line 1: a run is named twice"),
    "another run": (changing(2, run="two"), "line 2: here run one should begin"),
    "fewer events": (changing(2, events=6), "line 9: no annotation of run one"),
    "more events": (changing(2, events=10), "line 10: no event of run one"),
    "fewer annotations": (changing(2, annotations=0), "line 10: the file was changed or cut"),
    "more annotations": (changing(2, annotations=2), "line 11: no annotation of run one"),
    "no count of annotations": (changing(2, annotations=True), "line 2: here run one should"),
    "less than no annotations": (changing(2, annotations=-1), "line 2: here run one should"),
    "an empty annotation": (changing(10, annotation=" "), "line 10: .*its text is empty"),
    "an annotation in no text": (changing(10, annotation=["x"]), "line 10: no annotation"),
    "a zero in an annotation": (changing(10, annotation="a\0"), "line 10: .*zero character"),
    "a surrogate in a tag": (changing(10, tag="\ud800"), "line 10: no annotation"),
    "an annotation too long": (
        changing(10, annotation="x" * 2**21),
        "line 10: .*at most 1,048,576",
    ),
    "a tag of two words": (changing(10, tag="a b"), "line 10: .*not one word"),
    "an annotation of nothing": (changing(10, step=7), "line 10: .*step 7 is not there"),
    "an annotation of a truth": (changing(10, step=True), "line 10: no annotation"),
    "an annotation without time": (changing(10, at=float("nan")), "line 10: .*no time"),
    "an annotation too wide": (changing(10, id=1), "line 10: no annotation"),
    "an annotation without a tag": (without(10, "tag"), "line 10: no annotation"),
    "a time before time": (changing(2, created_at=-1), "line 2: .* no time"),
    "an unknown event": (changing(5, event="Shell"), "line 5: no event"),
    "a number as text": (changing(5, number="3"), "line 5: no event .*integer"),
    "a truth as number": (changing(5, number=True), "line 5: no event .*integer"),
    "a number too large": (changing(6, step=2**60), "line 6: .* step is"),
    "a number of zero": (changing(3, number=0), "line 3: .* number is 0"),
    "a time without end": (changing(5, at=float("inf")), "line 5: .* no time"),
    "a time that is none": (changing(5, at=float("nan")), "line 5: .* no time"),
    "a field too many": (changing(5, __class__="os.system"), "line 5: no event"),
    "a field too few": (without(5, "text"), "line 5: no event"),
    "no base64": (changing(4, input={"base64": "?"}), "line 4: no event"),
    "content that is none": (changing(4, input=["a"]), "line 4: .*neither text nor base64"),
    "parts of parts": (
        changing(4, input={"parts": ["a", {"parts": ["b", "c"]}]}),
        "line 4: .*parts of parts",
    ),
    "a lone surrogate": (changing(4, input="\ud800"), "line 4: no event"),
    "a short key": (changing(4, key="00"), "line 4: .*16 bytes"),
    "a zero in a name": (changing(4, name="a\0b"), "line 4: .*zero character"),
    "a kind that is none": (changing(4, kind="shell"), "line 4: no event"),
    "a usage that is none": (changing(7, details={"usage": "much"}), "line 7: no event"),
    "links that are none": (changing(7, details={"links": "all"}), "line 7: no event"),
    "a number skipped": (changing(5, number=4), "event 3: events 3 to 3 are missing"),
    "an orphan": (changing(6, parent=9), "step 2 belongs to step 9, which has not started"),
    "a fork of nothing": (changing(3, settings={"fork": "all"}), "are no record"),
    "no object": (lambda lines: [*lines[:4], [1]], "line 5: no JSON object"),
    "deep": (lambda lines: [*lines[:4], b"[" * 100_000], "line 5: no JSON"),
    "digits": (lambda lines: [*lines[:4], b'{"number": ' + b"9" * 5000 + b"}"], "line 5: no JSON"),
}


async def exported(folder: Path) -> list[Any]:
    journal = str(folder / "source.db")
    await runner(journal).run_as("one", shouts, ["a"])
    with Journal(journal) as found:
        found.annotate("one", "what a shout", step=2, tag="loud")
    with opened(journal) as store:
        export_runs(store, folder / "good.jsonl")
    return [json.loads(line) for line in (folder / "good.jsonl").read_bytes().splitlines()[:-1]]


def refused(journal: str, file: Path, message: str) -> None:
    with opened(journal, create=True) as store:
        with pytest.raises(JournalError, match=rf"journal {file}: .*{message}"):
            import_runs(store, file)
        with store.engine.connect() as connection:
            for table in (tables.runs, tables.events, tables.payloads, tables.annotations):
                count = select(func.count()).select_from(table)
                assert connection.execute(count).scalar_one() == 0


@pytest.mark.parametrize(("forge", "message"), FORGED.values(), ids=FORGED)
async def test_a_forged_file_is_refused_with_its_line_and_nothing_is_written(
    sqlite_journal: str, tmp_path: Path, forge: Callable[[list[Any]], list[Any]], message: str
) -> None:
    lines = await exported(tmp_path)
    file = tmp_path / "forged.jsonl"
    file.write_bytes(signed(lines))
    with opened(str(tmp_path / "good.db"), create=True) as store:
        assert import_runs(store, file).events == len(lines) - 3
    file.write_bytes(signed(forge(lines)))
    refused(sqlite_journal, file, message)


async def test_a_file_that_was_cut_or_changed_is_refused(journal: str, tmp_path: Path) -> None:
    await exported(tmp_path)
    whole = (tmp_path / "good.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    file = tmp_path / "bad.jsonl"
    for content, message in (
        (b"", "line 1: no export"),
        (b"\x7fELF" * 99, "line 1: no export"),
        (b"".join(lines[:-1]), "is missing: the file is cut short"),
        (b"".join(lines[:5]), "line 6: .*cut short"),
        (whole[:-10], "cut short"),
        (whole.replace(b"AAAA", b"BBBB"), f"line {len(lines)}: the file was changed"),
        (whole + b"\n", "something follows"),
        (whole + whole, "something follows"),
        (gzip.compress(whole)[:-20], "cut short or damaged"),
        (gzip.compress(whole)[:40] + b"\xff" * 40, "cut short or damaged"),
        (b"\x1f\x8b" + b"no", "line 1: .*damaged"),
    ):
        file.write_bytes(content)
        refused(journal, file, message)
    refused(journal, tmp_path / "none.jsonl", "cannot be read: No such file")


async def test_a_line_or_run_without_end_is_refused(
    sqlite_journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = await exported(tmp_path)
    file = tmp_path / "long.jsonl.gz"
    monkeypatch.setattr(importing, "MAX_LINE_BYTES", 20_000)
    file.write_bytes(gzip.compress(signed([*lines[:5], {"x": "y" * 30_000}])))
    refused(sqlite_journal, file, "line 6: the line is too long")
    monkeypatch.setattr(importing, "MAX_RUN_BYTES", 500)
    refused(sqlite_journal, tmp_path / "good.jsonl", "run one is longer than")


def test_bytes_that_are_no_text_travel_as_base64() -> None:
    event = StepFinished(number=1, at=1.0, step=1, output=b"\xff\x00")
    form = event_form(event, Redactor(environment={}))
    assert form["output"] == {"base64": base64.b64encode(b"\xff\x00").decode()}
    assert read_event(form) == event
