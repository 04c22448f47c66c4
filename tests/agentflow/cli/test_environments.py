"""Environments in task files: named, checked with their lines, played, killed, resumed, forked, replayed."""

import json
import os
import signal
import subprocess
import textwrap
from pathlib import Path

import pytest

from agentflow import Journal
from agentflow.journal.records import RunRecord
from tests import warm
from tests.wire import WireServer, calls, says

# A package as a third party would install it: a module and its entry points.
MODULE = '''
    import os, signal
    from agentflow import Environment, action, tool

    def log(text):
        with open("log", "a") as file:
            file.write(text + "\\n")

    class Corridor(Environment):
        """A corridor with a door at its end."""
        def __init__(self, length: int = 4) -> None:
            log("made")
            self.place, self.length = 0, length
        def opening(self) -> str:
            return f"A corridor of {self.length} steps."
        @action
        def walk(self, steps: int) -> str:
            """Walk some steps."""
            log(f"walk {steps}")
            if os.path.exists("trap") and steps == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            self.place += steps
            return f"at {self.place} of {self.length}"
        @action
        def look(self) -> int:
            """Count the steps to the door."""
            return self.length - self.place

    @tool
    def hall_walk(steps: int) -> str:
        """Another thing under the name of an action."""
        return ""

    number = 3
'''
ENTRIES = """
[agentflow.environments]
corridor = corridors:Corridor
number = corridors:number

[agentflow.tools]
hall_walk = corridors:hall_walk
"""
TASK = """agentflow: 1
goal: Leave by the door.
planner: react
environments:
  hall: {use: corridor, options: {length: 5}}
tools: [hall, calculate]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corridors.py").write_text(textwrap.dedent(MODULE))
    about = tmp_path / "corridors-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: corridors\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "task.yaml").write_text(TASK)
    return tmp_path


def agentflow(
    folder: Path, *arguments: str, server: WireServer | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(folder),
        "AGENTFLOW_JOURNAL": str(folder / "j.db"),
        "OPENAI_API_KEY": "sk-test-key",
        "OPENAI_BASE_URL": server.openai_url if server else "http://127.0.0.1:9/v1",
    }
    done = warm.run("-m", "agentflow.cli.main", *arguments, cwd=folder, env=environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def run(folder: Path, server: WireServer, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = ("run", "task.yaml", "-m", "openai:gpt-5-mini")
    return agentflow(folder, *command, server=server, code=code)


def log(folder: Path) -> list[str]:
    path = folder / "log"
    told = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return told


def record(folder: Path) -> RunRecord:
    with Journal(folder / "j.db") as journal:
        return journal.run("last")


def walks(*steps: int) -> list[tuple[str, dict[str, int]]]:
    return [("hall_walk", {"steps": count}) for count in steps]


def test_a_run_killed_in_the_middle_of_an_action_goes_on_is_forked_and_replayed(
    folder: Path,
) -> None:
    (folder / "trap").touch()
    turns = [calls(*walks(1)), calls(*walks(2)), calls(*walks(2)), says("out")]
    with WireServer(turns) as server:
        run(folder, server, code=-signal.SIGKILL)
        assert log(folder) == ["made", "walk 1", "walk 2"]
        assert "At the beginning hall shows:\nA corridor of 5 steps." in server.requests[0].text
        (folder / "trap").unlink()
        done = agentflow(folder, "resume", "last", server=server)
    assert done.stdout.strip() == "out"
    assert log(folder) == ["made", "walk 1", "walk 2", "walk 2"]
    agentflow(folder, "replay", "last")
    assert log(folder) == [], "a replay makes nothing"

    # A later attempt of the first step has taken it over; it is the first that is forked.
    steps = record(folder).steps.values()
    first = next(step for step in steps if step.name == "hall_walk")
    with WireServer([calls(*walks(1)), says("still inside")]) as server:
        at = ("--at", str(first.number), "--set", "input.steps=3")
        planned = agentflow(folder, "fork", "last", *at, "--dry-run", "--json")
        assert first.number in json.loads(planned.stdout)["rerun"]
        assert log(folder) == [], "a dry run makes nothing"
        done = agentflow(folder, "fork", "last", *at, server=server)
        assert "at 3 of 5" in server.requests[0].text
    assert done.stdout.strip() == "still inside"
    assert log(folder) == ["made", "walk 3", "walk 1"]
    assert record(folder).settings["environments"]["hall"]["options"] == {"length": 5}


def test_one_action_may_be_chosen(folder: Path) -> None:
    (folder / "task.yaml").write_text(TASK.replace("[hall, ", "[hall.look, "))
    with WireServer([calls(("hall_look", {})), says("5")]) as server:
        run(folder, server)
        tools = [tool["function"]["name"] for tool in server.requests[0].body["tools"]]
    assert tools == ["hall_look", "calculate"], "in the order of the file"


HALL = "hall: {use: corridor, options: {length: 5}}"
WRONG = [
    (HALL, "hall: {use: coridor}", "5: unknown environment 'coridor'; did you mean 'corridor'?"),
    (HALL, "hall: {use: number}", "5: unknown environment 'number'"),
    (HALL, "hall: {use: 'corridors:Corridor'}", "5: unknown environment 'corridors:Corridor'"),
    (
        HALL,
        "hall:\n    use: corridor\n    options:\n      length: far",
        "8: environment `hall`: length: Input should be a valid integer",
    ),
    (
        HALL,
        "hall: {use: corridor, options: {lenght: 3}}",
        "5: environment `hall`: got an unexpected keyword argument 'lenght'",
    ),
    (
        f"  {HALL}\ntools: [hall, calculate]",
        "  calculate: {use: corridor}\ntools: [calculate]",
        "5: environment `calculate` has the name of an installed tool; choose another name",
    ),
    (
        "[hall, calculate]",
        "\n- hall.look\n- hall.run",
        "8: hall has no action 'run' (it has walk, look)",
    ),
    (
        "[hall, calculate]",
        "\n- hall_walk\n- hall",
        "8: `hall`: there is a tool `hall_walk` already; give one another name",
    ),
    ("[hall, calculate]", "[hall, calc]", "6: unknown tool 'calc'"),
]


@pytest.mark.parametrize(("was", "now", "said"), WRONG, ids=[said[:50] for *_, said in WRONG])
def test_a_mistake_is_told_with_its_line(folder: Path, was: str, now: str, said: str) -> None:
    (folder / "task.yaml").write_text(TASK.replace(was, now))
    done = agentflow(folder, "run", "task.yaml", "-m", "openai:gpt-5-mini", code=2)
    assert done.stderr.startswith(f"Error: task.yaml:{said}"), done.stderr
    assert done.stderr.count("\n") == 1
