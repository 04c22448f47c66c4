"""The command `agentflow serve-flow` before there is a server."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm
from tests.agentflow.interop.serving.conftest import MAIN

FLOWS = """\
from agentflow import flow

@flow
async def echo(text: str) -> str:
    return text

def plain(text: str) -> str:
    return text
"""
GONE = "import sys; sys.modules['uvicorn'] = None; "
TASK = "agentflow: 1\ngoal: g\nplanner: direct\nmodel: recorded:replies.jsonl\n"


def run(
    folder: Path, *given: str, before: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    (folder / "flows.py").write_text(FLOWS)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **env}
    return warm.run("-c", before + MAIN, *given, cwd=folder, env=environment)


def refused(done: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_help_is_told_without_loading_the_server() -> None:
    code = f"import atexit, sys; atexit.register(lambda: print('uvicorn' in sys.modules)); {MAIN}"
    words = [sys.executable, "-c", code, "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "--resume-unfinished" in done.stdout
    assert done.stdout.endswith("False\n")


def test_a_missing_package_is_said_with_the_command_that_installs_it(tmp_path: Path) -> None:
    done = run(tmp_path, "flows:echo", before=GONE)
    refused(done, "pip install 'agentflow[view]'", code=1)


def test_what_is_no_flow_is_said(tmp_path: Path) -> None:
    refused(run(tmp_path, "flows:plain"), "flows:plain", "not a flow")
    refused(run(tmp_path, "flows:nothing"), "flows:nothing")
    refused(run(tmp_path, "no_such_module:echo"), "no_such_module")
    refused(run(tmp_path, "flows"), "module:flow")
    refused(run(tmp_path, "missing.yaml"), "missing.yaml")
    refused(run(tmp_path, "a b=flows:echo"), "a name has letters")


def test_two_flows_of_one_name_are_refused(tmp_path: Path) -> None:
    refused(run(tmp_path, "flows:echo", "flows:echo"), "two flows are called echo")


def test_a_message_input_that_the_flow_does_not_take_is_said(tmp_path: Path) -> None:
    refused(run(tmp_path, "flows:echo", "--message-input=title"), "takes no 'title'")
    refused(run(tmp_path, "flows:echo", "--message-input=other=text"), "no flow is called other")


def test_a_wrong_limit_a_wrong_key_and_a_journal_in_memory_are_said(tmp_path: Path) -> None:
    refused(run(tmp_path, "flows:echo", "--budget=apples=3"), "apples")
    refused(run(tmp_path, "flows:echo", "--api-key-env=NO_KEY"), "NO_KEY is not set")
    refused(run(tmp_path, "flows:echo", "--journal=:memory:"), "does not outlive", code=1)
    refused(run(tmp_path, "flows:echo", "--host="), "the host is empty", code=1)


def test_files_with_different_journals_need_one_to_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "replies.jsonl").write_text("")
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(f"{TASK}journal: {name}.db\n")
    refused(run(tmp_path, "a.yaml", "b.yaml"), "--journal")


@pytest.mark.parametrize("size", ["1XB", "GB"])
def test_a_size_that_is_none_is_said(tmp_path: Path, size: str) -> None:
    refused(run(tmp_path, "flows:echo", f"--max-body={size}"), size)
