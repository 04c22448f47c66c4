"""One run in one file: all of it, or only what was asked for, and nothing of it becomes markup."""

import json
import re
import sqlite3
from pathlib import Path

import pytest
from agentflow_web.reading.contents import SHOWN_BYTES
from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.runs import run as read_run
from agentflow_web.reading.step import part_of
from agentflow_web.reading.step import steps as read_steps
from agentflow_web.sharing.bundle import Options, export_file
from agentflow_web.sharing.chunks import STEPS_A_CHUNK
from agentflow_web.sharing.cleaning import LEFT_OUT

from agentflow import Journal
from agentflow.errors import ExportError, JournalError, RunPausedError, UnknownRunError
from agentflow.journal.events import (
    Expanded,
    Failure,
    Noted,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepStarted,
    Stored,
)
from agentflow.journal.store import Store
from tests.web.big_run import write_big_run
from tests.web.reading.flows import asks, runner, talk
from tests.web.reading.parts import Log, followed, opened
from tests.web.reading.test_pages import begun
from tests.web.sharing.parts import Document, hash_of, make_build, policy, shared

pytestmark = pytest.mark.anyio
STORES = Path(__file__).parents[2] / "agentflow" / "journal" / "stores"
HOSTILE = "</script><!--<script>alert(1)</script>\u2028\u2029--></SCRIPT ><img src=x onerror=alert(1)>&amp;'\""


def started(number: int, step: int, content: object, *, up: int | None = None) -> StepStarted:
    data = json.dumps(content, ensure_ascii=False).encode()
    return StepStarted(
        number=number,
        at=2.0 + number,
        step=step,
        key=step.to_bytes(16, "big"),
        parent=up,
        name=f"name{step}",
        kind="tool",
        input=data,
    )


def ended(number: int, step: int, content: object) -> StepFinished:
    data = json.dumps(content, ensure_ascii=False).encode()
    return StepFinished(number=number, at=2.0 + number, step=step, output=data)


def test_every_page_and_every_step_is_in_the_file_as_the_server_gives_it(
    any_journal: str, build: Path
) -> None:
    run = write_big_run(any_journal, STEPS_A_CHUNK * 5 // 4)
    with opened(any_journal) as store:
        found = shared(store, run, build)
        index = RunIndex(store, run)
        assert found.client == followed(index, 60_000)
        numbers = list(found.steps)
        assert len(numbers) == found.written.steps > STEPS_A_CHUNK
        for start in range(0, len(numbers), 200):
            some = numbers[start : start + 200]
            assert [found.steps[number] for number in some] == read_steps(index, some)
        told = read_run(index)
    assert {name: fact for name, fact in found.about["run"].items() if name != "cwd_ok"} == {
        name: fact for name, fact in told.items() if name != "cwd_ok"
    }


def test_long_contents_are_cut_in_their_step_and_whole_beside_it(store: Store, build: Path) -> None:
    long = "€" * SHOWN_BYTES
    program = "x = 1  # ü\n" * 20_000
    Log(store).write(
        begun(1),
        started(2, 1, long),
        Expanded(number=3, at=2.0, step=1, kind="program", content=b"pass"),
        Expanded(number=4, at=2.0, step=1, kind="program", content=program.encode()),
        ended(5, 1, [long]),
    )
    found = shared(store, "r1", build)
    index = RunIndex(store, "r1")
    assert [found.steps[1]] == read_steps(index, [1])
    whole = {name: data.decode() for name, data in found.chunks.items() if ":1:" in name}
    assert whole == {
        "content:1:input:0": part_of(index, 1, "input"),
        "content:1:output:0": part_of(index, 1, "output"),
        "content:1:expansion:1": program,
    }


def hostile_run() -> list[Stored]:
    start = started(2, 1, HOSTILE)
    settings = {"labels": {HOSTILE: HOSTILE}}
    failure = Failure(name="ToolError", message=HOSTILE, trace=HOSTILE, facts={HOSTILE: HOSTILE})
    return [
        RunStarted(number=1, at=1.0, flow=HOSTILE, target="m:f", input=b"{}", settings=settings),
        StepStarted(
            number=2, at=2.0, step=1, key=start.key, parent=None, name=HOSTILE,
            kind="tool", input=start.input,
        ),
        Noted(number=3, at=3.0, step=1, text=HOSTILE, details={HOSTILE: "\ud800 half a pair"}),
        StepFailed(number=4, at=4.0, step=1, failure=failure),
    ]  # fmt: skip


def test_nothing_that_was_recorded_becomes_markup(store: Store, build: Path) -> None:
    Log(store).write(*hostile_run())
    with Journal(store.name) as journal:
        journal.annotate("r1", HOSTILE, step=1)
    found = shared(store, "r1", build)
    assert [one.tag for one in found.document.elements if one.tag != "script"] == [
        "html", "head", "meta", "meta", "title", "style", "body", "div",
    ]  # fmt: skip
    scripts = found.document.all("script")
    assert [one.attributes.get("type") for one in scripts[:-1]] == ["text/plain"] * len(
        found.chunks
    )
    assert found.document.loose.split() == []
    step = found.steps[1]
    assert step["name"] == HOSTILE
    assert json.loads(step["input"]["text"]) == HOSTILE
    assert step["error"]["trace"] == HOSTILE
    assert step["annotations"][0]["text"] == HOSTILE
    assert step["notes"][0]["details"][HOSTILE] == "\ud800 half a pair"
    assert found.about["run"]["labels"] == {HOSTILE: HOSTILE}
    assert found.client.steps[1].name == HOSTILE
    assert found.document.all("title")[0].text.startswith(HOSTILE)


@pytest.mark.parametrize(
    "script",
    [
        "var a = 1;",
        'var a = "</script>" + `<!--` + "<script>";\r\nvar b = /<!--/u;\rvar c = "\u2028\0";',
        'x("</SCRIPT\\n>", "<!--<script>", "</style>")',
    ],
)
def test_the_policy_lets_in_the_very_script_and_style_of_the_file_and_nothing_else(
    store: Store, tmp_path: Path, script: str
) -> None:
    Log(store).write(begun(1))
    style = 'p::before { content: "</style><script>" }\r\n'
    found = shared(store, "r1", make_build(tmp_path / "hostile", script, style))
    rules = policy(found.document)
    code = found.document.all("script")[-1]
    assert rules == {
        "default-src": "'none'",
        "script-src": hash_of(code.text),
        "style-src": hash_of(found.document.all("style")[0].text),
        "img-src": "data:",
        "connect-src": "'none'",
        "form-action": "'none'",
        "base-uri": "'none'",
    }
    assert code.attributes == {"type": "module"}
    assert not re.search(r"</?script|<!--|\r|\0", code.text, re.IGNORECASE)
    unescaped = code.text.replace("\\x3c", "<")
    assert unescaped == re.sub("\r\n?", "\n", script).replace("\0", "\ufffd")
    assert "src" not in {name for one in found.document.elements for name in one.attributes}
    place = [one.tag for one in found.document.elements].index("style")
    assert place > [
        bool(one.attributes.get("http-equiv")) for one in found.document.elements
    ].index(True)


def family() -> list[Stored]:
    """1 > (2, 3 > (4, 5), 6), each with words of its own."""
    return [
        RunStarted(
            number=1, at=1.0, flow="f", target="module1:f", input=b'"given1"',
            settings={"prompt": "setting1", "labels": {"suite": "labelled"}, "redact": ["hidden1"]},
        ),
        started(2, 1, "in1"),
        started(3, 2, "in2", up=1),
        ended(4, 2, "out2"),
        Noted(number=5, at=7.0, step=1, text="noted1", details={"why1": 1}),
        Expanded(number=6, at=8.0, step=1, kind="plan", content=b'"plan1"'),
        started(7, 3, "in3", up=1),
        Noted(number=8, at=9.0, step=3, text="noted3", details={}),
        started(9, 4, "in4", up=3),
        started(10, 5, "in5", up=3),
        started(11, 6, "in6", up=1),
        ended(12, 4, "out4"),
        StepFailed(
            number=13, at=15.0, step=5, failure=Failure(name="ToolError", message="said5", trace="trace5", facts={"fact5": 5}),
        ),
        ended(14, 3, "out3"),
        Noted(number=15, at=16.0, step=None, text="noted0"),
        StepFailed(number=16, at=17.0, step=1, failure=Failure(name="FlowError", message="said1", trace="trace1")),
        RunFinished(number=17, at=18.0, status="failed", failure=Failure(name="FlowError", message="said1", trace="trace1")),
    ]  # fmt: skip


WORDS = re.compile(
    r"\b(?:in|out|noted|plan|said|trace|fact|why|given|setting|hidden|module|remark)\d\b"
)


@pytest.fixture
def family_store(store: Store) -> Store:
    Log(store).write(*family())
    with Journal(store.name) as journal:
        for step in (1, 2, 3, 5, None):
            journal.annotate("r1", f"remark{step or 0}", step=step)
    return store


def test_a_whole_run_has_everything_that_was_written_on_it(
    family_store: Store, build: Path
) -> None:
    found = shared(family_store, "r1", build)
    marks = set(WORDS.findall(found.everything))
    assert {"in1", "out2", "said1", "given1", "setting1", "remark0", "noted0"} - marks == {"noted0"}
    assert "hidden1" not in found.everything, "what a run hides is not told"
    assert [one["text"] for one in found.json("annotations")] == [
        "remark1", "remark2", "remark3", "remark5", "remark0",
    ]  # fmt: skip
    assert found.steps[5]["annotations"][0]["text"] == "remark5"


def test_a_branch_has_its_steps_and_the_path_above_them_and_no_other_contents(
    family_store: Store, build: Path
) -> None:
    found = shared(family_store, "r1", build, under=3)
    assert set(WORDS.findall(found.everything)) == {
        "in3", "out3", "noted3", "in4", "out4", "in5", "said5", "trace5", "fact5", "remark3", "remark5",
    }  # fmt: skip
    steps = found.steps
    assert {number: step["name"] for number, step in steps.items()} == {
        1: "name1", 2: "name3", 3: "name4", 4: "name5",
    }  # fmt: skip
    assert [step["parent"] for step in steps.values()] == [None, 1, 2, 2]
    assert steps[1]["input"] == {"text": LEFT_OUT, "bytes": 5, "cut": False, "is_json": False}
    assert steps[1]["error"] == {"type": "FlowError", "message": "", "trace": "", "facts": {}}
    assert steps[2]["details"]["number in the run"] == 3
    assert found.written.steps == found.about["run"]["steps"] == 4
    client = found.client
    assert client.letters == "BSSNSSEFEFZ"
    assert (client.status, client.last) == ("failed", found.about["run"]["last_event"])
    for number, step in steps.items():
        known = client.steps[number]
        assert (known.name, known.parent, known.status) == (
            step["name"], step["parent"], step["status"],
        )  # fmt: skip
        assert (known.start_event, known.end_event) == (step["start_event"], step["end_event"])
        assert known.started_at == pytest.approx(step["started_at"])
    assert client.steps[1].error == "FlowError"
    assert client.steps[4].error == "ToolError: said5"
    assert client.remarks == [("N", steps[2]["notes"][0]["event"], 2)]
    assert [one["step"] for one in found.json("annotations")] == [2, 4]


def test_a_branch_of_a_large_run_is_told_as_the_run_tells_it(
    sqlite_journal: str, build: Path
) -> None:
    run = write_big_run(sqlite_journal, 600)
    with opened(sqlite_journal) as store:
        index = RunIndex(store, run)
        whole = followed(index, 60_000)
        found = shared(store, run, build, under=20)
        old = {number: step["details"]["number in the run"] for number, step in found.steps.items()}
        originals = {one["number"]: one for one in read_steps(index, list(old.values())[:200])}
    client = found.client
    for number, known in client.steps.items():
        before = whole.steps[old[number]]
        same = ("name", "kind", "status", "tokens", "cost", "model", "attempts", "taken", "effect")
        for name in same:
            assert getattr(known, name) == getattr(before, name), name
        assert (known.parent and old[known.parent]) == before.parent
        assert {old[link] for link in known.links} == set(before.links) & set(old.values())
        original = originals.get(old[number])
        if original and number != 1 and old[number] >= 20:
            assert found.steps[number]["input"] == original["input"]
            assert found.steps[number]["output"] == original["output"]
    assert 1 < len(client.steps) < len(whole.steps)
    tokens = sum(sum(step.tokens) for step in client.steps.values())
    assert found.about["run"]["tokens"] == tokens


@pytest.mark.parametrize("under", [None, 3])
def test_without_contents_only_names_times_and_figures_are_left(
    family_store: Store, build: Path, under: int | None
) -> None:
    whole = shared(family_store, "r1", build, under=under)
    found = shared(family_store, "r1", build, under=under, contents=False)
    assert WORDS.findall(found.everything) == []
    assert found.json("annotations") == []
    assert not [name for name in found.chunks if name.startswith("content:")]
    assert found.about["run"]["settings"] == {"labels": {"suite": "labelled"}}
    assert [step["input"]["bytes"] for step in found.steps.values()] == [
        step["input"]["bytes"] for step in whole.steps.values()
    ]
    assert all(step["key"] == "" for step in found.steps.values())
    assert {n: step.error for n, step in found.client.steps.items() if step.error} == {
        n: step.error.partition(":")[0] for n, step in whole.client.steps.items() if step.error
    }


def test_a_run_that_goes_on_is_told_as_far_as_it_has_got(store: Store, build: Path) -> None:
    log = Log(store)
    log.write(begun(1), started(2, 1, "in1"), started(3, 2, "in2", up=1))
    found = shared(store, "r1", build)
    assert found.about["run"]["status"] == found.client.status == "running"
    assert found.about["run"]["last_event"] == found.client.last == 3
    assert found.steps[2]["output"] is None
    log.close()
    assert shared(store, "r1", build).client.status == "stopped"


async def test_a_question_is_told_under_the_number_of_its_step(journal: str, build: Path) -> None:
    with pytest.raises(RunPausedError) as paused:
        await runner(journal).run_async(asks, "really?")
    run = paused.value.run
    with opened(journal) as store:
        found = shared(store, run, build)
        assert found.about["run"]["questions"][0]["text"] == "really?"
        step = found.about["run"]["questions"][0]["step"]
        assert found.steps[step]["kind"] == "ask"
        bare = shared(store, run, build, contents=False)
        assert "really?" not in bare.everything


async def test_a_run_with_models_and_links_is_told_too(journal: str, build: Path) -> None:
    result = await runner(journal).run_async(talk, "ships")
    with opened(journal) as store:
        found = shared(store, result.id, build)
        index = RunIndex(store, result.id)
        assert list(found.steps.values()) == read_steps(index, list(found.steps))


@pytest.mark.parametrize("version", [1, 2])
def test_a_run_of_an_older_journal_is_told_as_the_server_tells_it(
    tmp_path: Path, build: Path, version: int
) -> None:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript((STORES / f"schema_{version}.sql").read_text())
    connection.close()
    with opened(str(path)) as store:
        for run in ("00000001finished", "00000002failed"):
            found = shared(store, run, build)
            index = RunIndex(store, run)
            assert found.client == followed(index, 60_000)
            assert list(found.steps.values()) == read_steps(index, list(found.steps))


def test_a_file_is_there_whole_or_not_at_all(family_store: Store, build: Path) -> None:
    target = build / "run.html"
    target.write_text("before")
    (build / "app.js").unlink()
    with pytest.raises(ExportError, match=r"build is missing .*app\.js.*npm run build"):
        export_file(family_store, "r1", target, build=build)
    assert target.read_text() == "before"
    assert sorted(path.name for path in build.iterdir()) == ["app.css", "index.html", "run.html"]
    with pytest.raises(ExportError, match="cannot be written"):
        export_file(family_store, "r1", build / "nowhere" / "run.html", build=make_build(build))
    written = export_file(family_store, "r1", target, Options(under=3), build=build)
    assert target.stat().st_size == written.size_bytes
    assert Document(target.read_text()).all("title")[0].text == "f r1 · AgentFlow"


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("<html><head></head></html>", "index.html has 0 times"),
        ("", "index.html is empty"),
    ],
)
def test_a_build_that_is_none_is_refused(
    family_store: Store, build: Path, page: str, problem: str
) -> None:
    (build / "index.html").write_text(page)
    with pytest.raises(ExportError, match=problem):
        shared(family_store, "r1", build)


def test_what_is_not_there_is_refused_by_name(family_store: Store, build: Path) -> None:
    with pytest.raises(UnknownRunError):
        shared(family_store, "r", build)
    for step in (7, 10**6):
        with pytest.raises(ExportError, match=f"it has no step {step}"):
            shared(family_store, "r1", build, under=step)


def test_a_damaged_run_is_refused_and_not_told_in_part(family_store: Store, build: Path) -> None:
    connection = sqlite3.connect(family_store.name)
    connection.execute("DELETE FROM events WHERE number = 8")
    connection.commit()
    connection.close()
    with pytest.raises(JournalError, match="verify"):
        shared(family_store, "r1", build)
