"""`agentflow doctor`: what it finds, what it says to type, and what it never shows."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentflow import Runner, flow
from agentflow.cli.exits import EXIT_FAILED
from agentflow.doctor import Finding, is_well
from agentflow.doctor.machine import journal_findings
from agentflow.doctor.models import (
    HOSTED,
    embedded_finding,
    hosted_finding,
    key_findings,
    local_findings,
)
from agentflow.doctor.packages import extras_of, is_older
from agentflow.journal import tables
from tests.wire import WireServer

SECRET = "sk-proj-do-not-show-this-0123456789"


@flow
async def nothing() -> None:
    """Do nothing."""


def doctor(
    folder: Path, *words: str, code: int | None = None, **given: str
) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from agentflow.cli.doctor import doctor; doctor()", *words]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
        **given,
    }
    done = subprocess.run(program, env=environment, capture_output=True, text=True, cwd=folder)
    assert "Traceback" not in done.stderr
    if code is not None:
        assert done.returncode == code, done.stdout
    return done


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in json.loads(done.stdout)["findings"]}


def test_json_has_every_finding_and_no_secret(tmp_path: Path) -> None:
    url = "http://user:password1234@127.0.0.1:9/v1"
    done = doctor(tmp_path, "--json", OPENAI_API_KEY=SECRET, OPENAI_BASE_URL=url)
    found = findings(done)
    assert found["OPENAI_API_KEY"]["told"] == "set"
    assert found["ANTHROPIC_API_KEY"]["status"] == "missing"
    assert found["openai server"]["status"] == "wrong"
    assert found["auto"]["told"].startswith("openai:gpt-5-mini: OPENAI_API_KEY is set")
    assert {"agentflow", "sandbox", "journal", "disk", "node", "embedded model"} <= set(found)
    assert done.returncode == EXIT_FAILED
    assert json.loads(done.stdout)["ok"] is False
    assert SECRET not in done.stdout + done.stderr
    assert "password1234" not in done.stdout + done.stderr


def test_the_table_says_what_to_type(tmp_path: Path) -> None:
    done = doctor(tmp_path, COLUMNS="200", AGENTFLOW_MODELS=str(tmp_path))
    assert "→ agentflow models pull" in done.stdout
    assert "→ export OPENAI_API_KEY=..." in done.stdout


def test_a_missing_sandbox_is_no_good(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json", code=EXIT_FAILED, AGENTFLOW_SANDBOX="none-of-them")
    assert findings(done)["sandbox"]["status"] != "ok"


@pytest.mark.parametrize("hosted", HOSTED, ids=[name for name, *_rest in HOSTED])
def test_a_server_is_asked_for_its_models_and_nothing_else(hosted: Any) -> None:
    name, variable, url_variable, *_rest = hosted
    with WireServer([]) as server:
        url = server.openai_url if name == "openai" else server.openai_url.removesuffix("/v1")
        found = hosted_finding(hosted, {variable: SECRET, url_variable: url})
        assert server.requests == [], "a list of models is no request of a model"
    assert found.status == "ok"
    assert found.told.endswith("answers and takes the key")


def test_a_server_that_is_not_there_is_missing_and_with_a_key_wrong() -> None:
    given = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    assert hosted_finding(HOSTED[0], given).status == "missing"
    assert hosted_finding(HOSTED[0], given | {"OPENAI_API_KEY": SECRET}).status == "wrong"


def test_a_key_with_a_line_end_is_wrong() -> None:
    found = key_findings({"OPENAI_API_KEY": f"{SECRET}\n", "ANTHROPIC_API_KEY": SECRET})
    assert [one.status for one in found] == ["wrong", "ok"]
    assert SECRET not in repr(found)


@pytest.mark.parametrize("key", ["sk one", "sk\none", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_wrong_and_not_sent(key: str) -> None:
    assert key_findings({"OPENAI_API_KEY": key})[0].status == "wrong"
    with WireServer([]) as server:
        given = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": server.openai_url}
        found = hosted_finding(HOSTED[0], given)
    assert (found.status, found.told) == ("ok", f"{server.openai_url.removesuffix('/v1')} answers")


def test_a_server_on_this_machine_is_named_and_its_address_told() -> None:
    (found,) = local_findings({}, [("Ollama", "http://127.0.0.1:9/v1")])
    assert (found.name, found.told) == ("Ollama", "http://127.0.0.1:9: Connection refused")


def test_cut_weights_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTFLOW_MODELS", str(tmp_path))
    assert embedded_finding().status == "missing"
    from agentflow.models import catalogue, weights

    weights.path_of(catalogue.find(catalogue.DEFAULT)).write_bytes(b"half")
    found = embedded_finding()
    assert found.status == "wrong"
    assert "agentflow models pull" in found.fix


def test_a_journal_is_looked_at_and_left_as_it_is(journal: str) -> None:
    told = {one.name: one for one in journal_findings(journal)}
    assert "the first run makes it" in told["journal"].told
    assert not Path(journal).exists()
    Runner(journal=journal).run(nothing)
    assert journal_findings(journal)[0].status == "ok"
    set_version(journal, "1")
    assert "the next run brings it" in journal_findings(journal)[0].told
    assert set_version(journal, "99") == "1", "looking has changed nothing"
    newer = journal_findings(journal)[0]
    assert (newer.status, newer.fix) == ("wrong", "pip install -U agentflow")


def set_version(journal: str, version: str) -> str:
    """Set the version of a journal's schema; return the one it had."""
    name = tables.meta.name
    with closing(sqlite3.connect(journal)) as connection, connection:
        (before,) = connection.execute(f"SELECT value FROM {name} WHERE name = 'schema'").fetchone()
        connection.execute(f"UPDATE {name} SET value = ? WHERE name = 'schema'", (version,))
    return str(before)


def test_a_journal_that_cannot_be_written_is_wrong(journal: str) -> None:
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        pytest.skip("bubblewrap makes a folder read-only, also for root")
    Runner(journal=journal).run(nothing)
    folder = str(Path(journal).parent)
    words = [bubblewrap, "--bind", "/", "/", "--dev", "/dev", "--ro-bind", folder, folder]
    look = "import sys; from agentflow.doctor.machine import journal_findings as f; print(f(sys.argv[1])[0])"
    done = subprocess.run(
        [*words, sys.executable, "-c", look, journal], capture_output=True, text=True, check=True
    )
    assert "status='wrong'" in done.stdout
    assert "cannot be written" in done.stdout
    assert "restore" not in done.stdout, "nothing is lost"


def test_what_is_no_journal_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 100)
    assert journal_findings(str(tmp_path / "text.db"))[0].status == "wrong"
    assert journal_findings("mysql://me:hunter22@x/y")[0].status == "wrong"
    assert "hunter22" not in repr(journal_findings("mysql://me:hunter22@x/y"))


def test_extras_are_read_from_the_metadata() -> None:
    lines = [
        "anyio>=4.8",
        "psycopg[binary]>=3.2; extra == 'postgres'",
        "scienceworld<1.3,>=1.2.3; extra == 'worlds'",
        "nowhere>=1; (sys_platform == 'plan9') and extra == 'worlds'",
    ]
    assert extras_of(lines) == {"postgres": {"psycopg": "3.2"}, "worlds": {"scienceworld": "1.2.3"}}
    assert is_older("1.9", "1.10")
    assert not is_older("2.13.0+cpu", "2.7")
    assert not is_older("3.2", "3.2.0")


def test_only_what_is_wrong_or_needed_fails() -> None:
    def one(status: Any, *, needed: bool = False) -> Finding:
        return Finding(area="a", name="n", status=status, told="", is_needed=needed)

    assert is_well([one("ok"), one("missing")])
    assert not is_well([one("wrong")])
    assert not is_well([one("missing", needed=True)])


def test_a_program_that_does_not_run_is_wrong(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\nexit 3\n")
    node.chmod(0o755)
    path = f"{tmp_path}:{Path(shutil.which('sh') or '/bin/sh').parent}"
    found = findings(doctor(tmp_path, "--json", PATH=path))
    assert found["node"]["status"] == "wrong"
