"""What the page does to real runs: answer, go on, fork; each with the command that does the same."""

import json
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from agentflow_web.server.commands import Command, Commands

from agentflow.cli.fork import change_given, fork
from agentflow.forks import Change
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from tests import warm
from tests.web.server.site import Site, site

MODULE = """
    import os
    from agentflow import Runner, ask, flow, parallel, tool

    @tool
    async def fetch(page: int) -> str:
        \"\"\"Fetch a page.\"\"\"
        return f"page {page}"

    @tool(effect=True)
    async def publish(text: str) -> str:
        \"\"\"Publish a text.\"\"\"
        return f"published {text}"

    @flow
    async def report(pages: int, title: str = "") -> str:
        \"\"\"Fetch all pages, ask, publish.\"\"\"
        texts = await parallel(fetch(page) for page in range(pages))
        if pages > 2 and await ask("so many?", choices=("yes", "no")) == "no":
            return "nothing"
        return await publish(title + ", ".join(texts))
"""
PATIENCE_S = 100.0
POLL_S = 0.05


def record(path: str, name: str) -> RunRecord:
    with Journal(path) as journal:
        return journal.run(name)


async def ended(path: str, name: str, status: str = "succeeded") -> RunRecord:
    """Wait until a run that another process writes has ended like that."""
    with anyio.fail_after(PATIENCE_S):
        while (found := record(path, name)).status != status:
            await anyio.sleep(POLL_S)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the viewer is started; its state goes into another one."""
    found = tmp_path / "work"
    found.mkdir()
    (found / "reports.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.chdir(found)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with a finished run and one that asks."""
    made = tmp_path_factory.mktemp("recorded")
    (made / "reports.py").write_text(textwrap.dedent(MODULE))
    script = """
        import anyio, reports
        from agentflow import Runner
        from agentflow.errors import RunPausedError
        anyio.run(Runner(journal="j.db").run_as, "small", reports.report, 1)
        try:
            anyio.run(Runner(journal="j.db").run_as, "asks", reports.report, 3)
        except RunPausedError:
            pass
    """
    assert warm.run("-c", textwrap.dedent(script), cwd=made).returncode == 0
    return made / "j.db"


@pytest.fixture
def path(folder: Path, recorded: Path) -> str:
    return shutil.copy(recorded, str(folder / "j.db"))


@pytest.fixture
def served(path: str) -> Iterator[Site]:
    with site(path) as found:
        yield found


def typed(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line that the page printed, as a person would."""
    words = shlex.split(command)
    assert words[0] == "agentflow"
    return warm.run("-P", "-m", "agentflow.cli.main", *words[1:], cwd=folder)


def step_called(found: RunRecord, name: str) -> int:
    return next(step.number for step in found.steps.values() if step.name == name)


@pytest.mark.anyio
async def test_a_question_is_answered_and_the_run_goes_on(served: Site, path: str) -> None:
    question = step_called(record(path, "asks"), "ask")
    body = {"step": question, "answer": "yes"}
    answered = served.post("/api/runs/asks/answers", body)
    assert answered.status == 200, answered.body
    assert answered.json["resume_needed"] is True
    said = f"agentflow answer asks yes --step {question} --journal {path}"
    assert answered.json["command"] == said
    resumed = served.post("/api/runs/asks/resume", {})
    assert resumed.status == 200, resumed.body
    assert resumed.json["command"] == f"agentflow resume asks --journal {path}"
    assert (await ended(path, "asks")).value() == "published page 0, page 1, page 2"


def test_an_answer_that_does_not_fit_is_refused(served: Site, path: str) -> None:
    question = step_called(record(path, "asks"), "ask")
    reply = served.post("/api/runs/asks/answers", {"step": question, "answer": "maybe"})
    assert (reply.status, reply.json["error"]["type"]) == (400, "AskError")
    assert "yes, no" in reply.problem


def test_what_cannot_go_on_says_why(served: Site) -> None:
    reply = served.post("/api/runs/small/resume", {})
    assert reply.status == 400
    assert "has finished" in reply.problem


def test_a_flow_that_is_gone_says_so(served: Site, folder: Path) -> None:
    (folder / "reports.py").unlink()
    for body in (
        {"at": 1, "change": {}, "dry_run": True},
        {"at": 1, "change": {}, "dry_run": False},
    ):
        reply = served.post("/api/runs/small/forks", body)
        assert reply.status == 400
        assert "reports:report, which cannot be imported" in reply.problem
        assert "Traceback" not in reply.body.decode()


def test_a_dry_run_says_what_a_fork_would_do(served: Site, path: str, folder: Path) -> None:
    found = record(path, "small")
    body = {"at": step_called(found, "fetch"), "change": {"output": "new"}, "dry_run": True}
    reply = served.post("/api/runs/small/forks", body)
    assert reply.status == 200, reply.body
    publish = step_called(found, "publish")
    assert reply.json["rerun"] + reply.json["open"] == [publish]
    assert reply.json["effects"] == [{"step": publish, "name": "publish"}]
    assert (reply.json["reused"], reply.json["failure"]) == (1, None)
    with Journal(path) as journal:
        assert len(journal.heads()) == 2
    assert typed(reply.json["command"], folder).stdout == "published new\n"


@pytest.mark.anyio
async def test_a_fork_runs_under_the_id_that_the_page_is_told(
    served: Site, path: str, folder: Path
) -> None:
    body = {"at": 1, "change": {"input": {"title": "T: "}}, "dry_run": False}
    reply = served.post("/api/runs/small/forks", body)
    assert reply.status == 200, reply.body
    found = await ended(path, reply.json["run"])
    assert (found.parent, found.value()) == ("small", "published T: page 0")
    words = shlex.split(reply.json["command"])
    assert words[:5] == ["agentflow", "fork", "small", "--at", "1"]
    assert "input.title=" + json.dumps("T: ") in words


HOSTILE = [
    "@secret.txt",
    "@/etc/passwd",
    "-x",
    "--help",
    "$(touch pwned)",
    "`touch pwned`; touch pwned",
    "a\nb\tc\0d\x1b[2J",
    "quote \" and ' and \\",
    "\u202e\u2028\ud800",
    "long " * 20_000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_a_value_of_the_page_means_itself(folder: Path, tmp_path: Path, value: str) -> None:
    commands = Commands(journal=None, folder=folder, state=tmp_path / "state")
    for name in ("title", "a=b"):
        change: dict[str, Any] = {
            "input": {name: value},
            "prompt": value,
            "model": value,
            "output": value,
        }
        words = commands.change_options(change)
        printed = commands.written(Command("fork", ("-r",), ("--at", "1", *words)))
        assert shlex.split(printed)[-1] == "-r"
        assert printed.replace("\n", "").isprintable()
        assert len(printed) < 9000
        assert change_of(words) == Change(**change)


def change_of(words: list[str]) -> Change:
    """Return what `agentflow fork` takes these options for."""
    options = fork.make_context(
        "fork", ["-r", "--at=1", *words], ignore_unknown_options=True
    ).params
    return change_given(options["settings"], options["changes"])


@pytest.mark.anyio
async def test_a_fork_gets_what_the_page_said(served: Site, path: str, folder: Path) -> None:
    (folder / "secret.txt").write_text("the secret")
    for value in ("@secret.txt", "$(touch pwned)\0\x1b[2J" * 9000):
        body = {"at": 1, "change": {"input": {"title": value, "pages": 0}}, "dry_run": False}
        reply = served.post("/api/runs/small/forks", body)
        assert reply.status == 200, reply.body
        assert (await ended(path, reply.json["run"])).value() == f"published {value}"
        assert typed(reply.json["command"], folder).stdout
    assert not (folder / "pwned").exists()


@pytest.mark.parametrize("name", ["prompt", "model"])
def test_no_change_reads_a_file(served: Site, folder: Path, name: str) -> None:
    (folder / "secret.txt").write_text("the secret")
    body = {"at": 1, "change": {name: "@secret.txt"}, "dry_run": True}
    reply = served.post("/api/runs/small/forks", body)
    assert reply.status == 400
    assert "the secret" not in reply.body.decode()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "at"),
        ({"at": "1", "dry_run": True}, "at"),
        ({"at": True, "dry_run": True}, "at"),
        ({"at": 1}, "dry_run"),
        ({"at": 1, "dry_run": 1}, "dry_run"),
        ({"at": 1, "dry_run": True, "change": []}, "change"),
        ({"at": 1, "dry_run": True, "change": {"journal": "x"}}, "change.journal"),
        ({"at": 1, "dry_run": True, "change": {"input": "x"}}, "change.input"),
        ({"at": 1, "dry_run": True, "change": {"prompt": 1}}, "change.prompt"),
    ],
)
def test_a_bad_field_is_named(served: Site, body: dict[str, Any], named: str) -> None:
    reply = served.post("/api/runs/small/forks", body)
    assert reply.status == 400
    assert reply.problem.startswith(f"{named}:")


@pytest.mark.parametrize("change", [{"input": {"a=b": 1}}, {"input": {"--at": 1}}, {"model": "-h"}])
def test_what_the_command_refuses_is_told_in_its_words(
    served: Site, change: dict[str, Any]
) -> None:
    reply = served.post("/api/runs/small/forks", {"at": 1, "change": change, "dry_run": True})
    assert reply.status == 400
    assert "step 1 (report)" in reply.problem


def test_an_action_takes_no_abbreviation_of_a_run(served: Site) -> None:
    for run in ("smal", "last"):
        assert served.post(f"/api/runs/{run}/resume", {}).status == 404


def test_what_the_page_leaves_behind_is_only_for_this_user(served: Site, tmp_path: Path) -> None:
    change = {"input": {"title": "@" * 5000}}
    body = {"at": 1, "change": change | {"prompt": "@"}, "dry_run": True}
    assert served.post("/api/runs/small/forks", body).status == 400  # a flow has no prompt
    (left,) = (tmp_path / "state" / "agentflow" / "view" / "changes").iterdir()
    assert left.stat().st_mode & 0o077 == 0
    assert left.parent.stat().st_mode & 0o077 == 0


def test_remarks_come_and_go(served: Site, path: str) -> None:
    made = served.post("/api/runs/small/annotations", {"step": 1, "text": "-good", "tag": "t"})
    assert made.status == 200, made.body
    assert made.json["text"] == "-good"
    words = shlex.split(made.json["command"])
    options = ["--step", "1", "--tag", "t", "--journal", path]
    assert words == ["agentflow", "note", *options, "--", "small", "-good"]
    note = f"/api/runs/small/annotations/{made.json['id']}"
    assert served.send("DELETE", note, {}).json["ok"] is True
    assert served.send("DELETE", note, {}).status == 400
    with Journal(path) as journal:
        assert journal.annotations("small") == []
