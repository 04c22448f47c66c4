"""The command that writes a run as a file, and the route that gives one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agentflow_web.cli.export import export
from agentflow_web.sharing.build import build_folder
from click.testing import CliRunner, Result

from agentflow.errors import ExportError, RedactionError
from tests.web.reading.parts import Log, opened
from tests.web.reading.test_pages import begun
from tests.web.server.site import site
from tests.web.sharing.parts import Document, policy
from tests.web.sharing.test_bundle import ended, started

ADDRESS = "ada@example.org"


@pytest.fixture
def recorded(sqlite_journal: str) -> str:
    with opened(sqlite_journal, create=True) as store:
        Log(store).write(begun(1), started(2, 1, f"write to {ADDRESS}"), ended(3, 1, "done"))
    return sqlite_journal


def call(journal: str, *words: str) -> Result:
    return CliRunner().invoke(export, ["last", "-j", journal, *words])


def test_the_command_writes_a_file_and_says_what_to_look_at(recorded: str, tmp_path: Path) -> None:
    target = tmp_path / "run.html"
    done = call(recorded, "-o", str(target))
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    size = target.stat().st_size
    assert done.stderr == (
        f"wrote {target}: {size:,} bytes, 1 suspicious places in it (--preview lists them)\n"
    )
    assert policy(Document(target.read_text()))["default-src"] == "'none'"


def test_a_preview_writes_nothing_and_tells_what_would_be_in_the_file(
    recorded: str, tmp_path: Path
) -> None:
    target = tmp_path / "run.html"
    done = call(recorded, "-o", str(target), "--preview", "--redact", "d.ne")
    assert done.exit_code == 0, done.output
    assert not target.exists()
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1 steps, ")
    assert "FOUND  e-mail address: 1 times, in step 1" in lines
    assert "replaced  d.ne: 1 times, in step 1" in lines
    assert ADDRESS not in done.stdout
    bare = call(recorded, "--preview", "--no-contents").stdout
    assert bare.splitlines()[1:] == ["nothing in it looks like a secret, an address or a person"]


@pytest.mark.parametrize(
    ("words", "error"), [(("--under", "9"), ExportError), (("--redact", "("), RedactionError)]
)
def test_what_cannot_be_is_refused_and_leaves_no_file(
    recorded: str, tmp_path: Path, words: tuple[str, ...], error: type[Exception]
) -> None:
    target = tmp_path / "run.html"
    done = call(recorded, "-o", str(target), *words)
    assert isinstance(done.exception, error)
    assert list(tmp_path.glob("run.html*")) == []


def test_the_command_needs_nothing_of_the_server() -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(('starlette', 'uvicorn'));"
        "import agentflow_web.cli.export"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_build_that_came_with_the_package_is_there() -> None:
    assert {"index.html", "app.js", "app.css"} <= {item.name for item in build_folder().iterdir()}


def test_the_page_gets_the_same_file_and_the_same_preview(recorded: str, tmp_path: Path) -> None:
    target = tmp_path / "run.html"
    call(recorded, "-o", str(target))
    body: dict[str, Any] = {"under": None, "contents": True, "redact": []}
    with site(recorded) as served:
        told = served.post("/api/runs/r1/export", body | {"preview": True}).json
        given = served.post("/api/runs/r1/export", body | {"preview": False})
    assert (told["steps"], told["bytes"]) == (1, target.stat().st_size)
    assert [one["rule"] for one in told["findings"]] == ["e-mail address"]
    assert given.body == target.read_bytes()
    assert given.headers["content-disposition"] == 'attachment; filename="r1.html"'
    assert given.headers["content-type"] == "text/html; charset=utf-8"


def test_what_the_page_may_not_ask_for_is_refused_in_words(recorded: str) -> None:
    with site(recorded) as served:
        path = "/api/runs/r1/export"
        answers = {
            problem: served.post(path, {"preview": True, name: value})
            for problem, name, value in (
                ("no step 9", "under", 9),
                ("under", "under", 0),
                ("contents", "contents", "yes"),
                ("no regular expression", "redact", ["("]),
            )
        }
        assert served.post("/api/runs/r2/export", {"preview": True}).status == 404
        assert served.post(path, {}).status == 400
    for problem, answer in answers.items():
        assert answer.status == 400
        assert problem in answer.problem
