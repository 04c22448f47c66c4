"""`resume`, `fork`, `diff`, `answer` and `runs` on a terminal's own terms: exit codes, one line a mistake."""

import json
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests import warm

MODULE = """
    import os
    from agentflow import Runner, ask, flow, parallel, tool

    @tool
    async def fetch(page: int) -> str:
        \"\"\"Fetch a page.\"\"\"
        with open("fetched", "a") as file:
            file.write(f"{page}\\n")
        return f"page {page}"

    @tool(effect=True)
    async def publish(text: str) -> str:
        \"\"\"Publish a text.\"\"\"
        if os.path.exists("closed"):
            raise ConnectionError("closed")
        return f"published {text}"

    @flow
    async def report(pages: int) -> str:
        \"\"\"Fetch all pages, ask, publish.\"\"\"
        texts = await parallel(fetch(page) for page in range(pages))
        if pages > 2 and await ask("so many?", choices=("yes", "no")) == "no":
            return "nothing"
        return await publish(", ".join(texts))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "reports.py").write_text(textwrap.dedent(MODULE))
    return tmp_path


def python(folder: Path, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(folder), "PATH": "", "HOME": str(folder), "COLUMNS": "150"}
    environment["AGENTFLOW_JOURNAL"] = str(folder / "j.db")
    done = warm.run(*command, cwd=folder, env=environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def agentflow(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return python(folder, "-m", "agentflow.cli.main", *arguments, code=code)


def start(folder: Path, pages: int, name: str) -> None:
    script = f"""
        import anyio, reports
        from agentflow import Runner
        try:
            anyio.run(Runner(journal="j.db").run_as, {name!r}, reports.report, {pages})
        except Exception as error:
            print(error)
    """
    python(folder, "-c", textwrap.dedent(script))


def fetched(folder: Path) -> list[str]:
    path = folder / "fetched"
    return path.read_text().split() if path.exists() else []


def test_a_failed_run_is_resumed_by_name(folder: Path) -> None:
    (folder / "closed").touch()
    start(folder, 2, "first")
    agentflow(folder, "resume", "first", code=1)
    (folder / "closed").unlink()
    done = agentflow(folder, "resume", "first")
    assert done.stdout.strip() == "published page 0, page 1"
    assert "3 of" in done.stderr or "steps are done" in done.stderr
    assert sorted(fetched(folder)) == ["0", "1"]
    assert "agentflow fork" in agentflow(folder, "resume", "first", code=1).stderr


def test_a_run_whose_code_changed_says_so_and_goes_on_when_told_to(folder: Path) -> None:
    (folder / "closed").touch()
    start(folder, 2, "first")
    text = (folder / "reports.py").read_text()
    (folder / "reports.py").write_text(text.replace('"closed"', '"shut"'))
    refused = agentflow(folder, "resume", "first", code=1)
    assert "reports:publish (steps 4)" in refused.stderr
    assert agentflow(folder, "resume", "first", "--accept-changes").stdout.startswith("published")


def test_a_paused_run_is_answered_and_resumed(folder: Path) -> None:
    start(folder, 3, "many")
    paused = agentflow(folder, "resume", "many", code=5)
    assert "so many?" in paused.stderr
    assert "agentflow answer many" in paused.stderr
    assert "so many?" in agentflow(folder, "answer", "many").stdout
    assert (
        "'maybe' is not one of yes, no"
        in agentflow(folder, "answer", "many", "maybe", code=1).stderr
    )
    assert "paused" in agentflow(folder, "runs").stdout
    assert "agentflow resume many" in agentflow(folder, "answer", "many", "yes").stderr
    assert agentflow(folder, "resume", "many").stdout.strip() == "published page 0, page 1, page 2"
    assert sorted(fetched(folder)) == ["0", "1", "2"]


def test_a_fork_is_planned_made_and_compared(folder: Path) -> None:
    start(folder, 2, "first")
    plan = agentflow(folder, "fork", "first", "--at", "2", "--set", "output=better", "--dry-run")
    assert "2 steps reused, 1 run again" in plan.stdout
    assert "changes something outside" in plan.stdout
    as_json = agentflow(folder, "fork", "first", "--at", "2", "--dry-run", "--json")
    assert json.loads(as_json.stdout)["rerun"] == [2]
    assert len(agentflow(folder, "runs", "--json").stdout.splitlines()) == 1
    (folder / "better.txt").write_text('"from a file"')
    made = agentflow(folder, "fork", "first", "--at", "2", "--set", "output=@better.txt", "--json")
    answer = json.loads(made.stdout)
    assert answer["output"] == "published from a file, page 1"
    assert sorted(fetched(folder)) == ["0", "1"]
    compared = agentflow(folder, "diff", "first", answer["run"])
    assert 'output: "page 0" → "from a file"' in compared.stdout
    assert "1 reused" in compared.stdout
    lines = agentflow(folder, "diff", "first", answer["run"], "--json").stdout.splitlines()
    assert {json.loads(line)["what"] for line in lines} == {"same", "changed"}
    assert "first" in agentflow(folder, "runs").stdout.splitlines()[1], "the fork names its parent"
    agentflow(folder, "replay", answer["run"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fork", "first", "--at", "9"], "no step '9'"),
        (["fork", "first", "--at", "2", "--set", "output"], "write WHAT=VALUE"),
        (["fork", "first", "--at", "2", "--set", "colour=red"], "none of output, input.NAME"),
        (["fork", "first", "--at", "2", "--set", "prompt=@no/such"], "No such file"),
        (["fork", "first", "--at", "1", "--set", "input.colour=1"], "has no input 'colour'"),
        (["fork", "nothing", "--at", "1"], "no run nothing"),
        (["diff", "first", "nothing"], "no run nothing"),
        (["answer", "first", "yes"], "it asks nothing"),
        (["resume", "nothing"], "no run nothing"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, arguments: list[str], said: str) -> None:
    start(folder, 2, "first")
    code = 2 if "--set" in arguments and "--at" in arguments and "input" not in arguments[-1] else 1
    done = agentflow(folder, *arguments, code=code)
    assert said in done.stderr


def test_a_run_whose_process_was_killed_is_shown_as_stopped(folder: Path) -> None:
    script = """
        import anyio, os, reports
        from agentflow import Runner
        real = reports.publish.function
        async def die(text: str) -> str:
            os.kill(os.getpid(), 9)
        reports.publish.function = die
        anyio.run(Runner(journal="j.db").run_as, "killed", reports.report, 2)
    """
    python(folder, "-c", textwrap.dedent(script), code=-9)
    assert "stopped" in agentflow(folder, "runs").stdout
    assert agentflow(folder, "resume", "killed").stdout.strip() == "published page 0, page 1"
    assert sorted(fetched(folder)) == ["0", "1"]


def test_a_run_of_a_script_is_resumed_from_its_folder(folder: Path) -> None:
    with (folder / "reports.py").open("a") as script:
        script.write('\nif __name__ == "__main__":\n    Runner(journal="j.db").run(report, 2)\n')
    (folder / "closed").touch()
    environment = {"PATH": "", "HOME": str(folder), "AGENTFLOW_JOURNAL": str(folder / "j.db")}
    warm.run("reports.py", cwd=folder, env=environment)
    (folder / "closed").unlink()
    command = ("-m", "agentflow.cli.main", "resume", "last")
    done = warm.run(*command, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "published page 0, page 1"


def test_a_run_that_its_budget_stopped_goes_on_with_a_larger_one(folder: Path) -> None:
    script = """
        import anyio, reports
        from agentflow import Budget, Runner
        try:
            anyio.run(Runner(journal="j.db", budget=Budget(steps=3)).run_as, "small", reports.report, 2)
        except Exception as error:
            print(error)
    """
    assert "budget of 3 steps" in python(folder, "-c", textwrap.dedent(script)).stdout
    assert "budget of 3 steps" in agentflow(folder, "resume", "small", code=4).stderr
    refused = agentflow(folder, "resume", "small", "--budget", "stepz=9", code=2)
    assert "limits are tokens, usd" in refused.stderr
    done = agentflow(folder, "resume", "small", "--budget", "steps=50")
    assert done.stdout.strip() == "published page 0, page 1"
    assert sorted(fetched(folder)) == ["0", "1"]
