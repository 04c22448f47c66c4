"""`agentflow run` and its neighbours, end to end: a task file in, a recursive run out, by real clients."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agentflow import Journal
from agentflow.cli.main import commands
from tests import warm
from tests.parts import shape
from tests.wire import Seen, WireServer, calls, fails, gives_json, says

TASK = """
agentflow: 1
goal: Describe the numbers.
inputs:
  xs: [3, 1, 2]
output:
  type: object
  properties:
    low: {type: integer, description: the smallest of xs}
    high: {type: integer, description: the largest of xs}
planner: recode
budget: {tokens: 100000, depth: 5}
check:
  exact: {equals: {low: 1, high: 3}}
"""

BODIES = {
    "solve": "low = find_low(xs)\nhigh = find_high(xs)\nreturn {'low': low, 'high': high}",
    "find_low": "ordered = put_in_order(xs)\nreturn ordered[0]",
    "find_high": "return max(xs)",
    "put_in_order": "return sorted(xs)",
}


def writer(bodies: dict[str, str] = BODIES) -> Callable[[Seen], Any]:
    """Return a server that plays the planner's model: it writes the function it is asked for."""

    def answer(seen: Seen) -> Any:
        name = re.findall(r"Write (\w+)\(", seen.text)[-1]
        body = bodies[name]
        return says("Here it is:\n```python\n", *(line + "\n" for line in body.splitlines()), "```")

    return answer


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    path = tmp_path / "task.yaml"
    path.write_text(TASK)
    return path


def agentflow(
    *arguments: str | Path, folder: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in a process of its own."""
    known = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AGENTFLOW_JOURNAL": str(folder / "j.db"),
    }
    words = ("-m", "agentflow.cli.main", *arguments)
    return warm.run(*words, cwd=folder, env=known | (environment or {}))


def hosted(server: WireServer) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": "sk-openai-secret-123456",
        "OPENAI_BASE_URL": server.openai_url,
        "ANTHROPIC_API_KEY": "sk-ant-secret-123456",
        "ANTHROPIC_BASE_URL": server.anthropic_url,
    }


MODELS = {
    "openai, responses": "openai:gpt-5-mini",
    "anthropic": "anthropic:claude-haiku-4-5",
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_task_is_solved_checked_shown_and_replayed_without_network(
    model: str, task_file: Path, tmp_path: Path
) -> None:
    with WireServer(writer()) as server:
        done = agentflow("run", task_file, "-m", model, folder=tmp_path, environment=hosted(server))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"low": 1, "high": 3}
    assert "✓ check exact" in done.stderr
    shown = agentflow("show", "last", folder=tmp_path)
    assert all(name in shown.stdout for name in ("find_low", "find_high", "put_in_order", "tok"))
    # The server is gone, the keys are gone: what is left is the journal.
    replayed = agentflow("replay", "last", folder=tmp_path)
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["output"] == {"low": 1, "high": 3}
    assert "same tree, same output" in replayed.stderr
    listed = json.loads(agentflow("runs", "--json", folder=tmp_path).stdout)
    assert (listed["flow"], listed["status"]) == ("task", "succeeded")


def test_chat_completions_of_any_server(task_file: Path, tmp_path: Path) -> None:
    with WireServer(writer()) as server:
        model = f"{server.openai_url}#any-model"
        done = agentflow("run", task_file, "-m", model, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["output"] == {"low": 1, "high": 3}
    assert answer["usage"]["input_tokens"] > 0
    assert answer["verdicts"][0]["passed"] is True


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_trouble_on_the_wire_is_lived_through_and_recorded(
    model: str, task_file: Path, tmp_path: Path
) -> None:
    trouble = [
        fails(429, "slow down", retry_after="0"),
        says("half an ans", fault="drop"),
        says("{", fault="not_json"),
    ]
    write = writer()

    def answer(seen: Seen) -> Any:
        return trouble.pop(0) if trouble else write(seen)

    with WireServer(answer) as server:
        done = agentflow("run", task_file, "-m", model, folder=tmp_path, environment=hosted(server))
    assert done.returncode == 0, done.stderr
    with Journal(tmp_path / "j.db") as journal:
        record = journal.run("last")
    troubled = [step for step in record.steps.values() if step.details.get("attempts", 1) > 1]
    notes = [note.text for step in troubled for note in step.notes]
    assert sum(step.details["attempts"] - 1 for step in troubled) == 3
    assert any("slow down" in note for note in notes)


def test_tools_are_called_by_the_real_clients(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("agentflow: 1\ngoal: What is 6 * 7?\nplanner: react\ntools: [calculate]\n")
    for model in MODELS.values():
        script = [calls(("calculate", {"expression": "6 * 7"})), says("It is 42")]
        with WireServer(script) as server:
            done = agentflow(
                "run", path, "-m", model, "-q", folder=tmp_path, environment=hosted(server)
            )
            assert "42" in str(server.requests[1].body)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "It is 42", "")


def test_keys_never_reach_the_journal_or_the_screen(task_file: Path, tmp_path: Path) -> None:
    with WireServer([fails(401, "bad key sk-openai-secret-123456")]) as server:
        done = agentflow(
            "run", task_file, "-m", "openai:gpt-5-mini", folder=tmp_path, environment=hosted(server)
        )
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr
    everything = done.stdout + done.stderr + (tmp_path / "j.db").read_bytes().decode("latin-1")
    everything += "".join(path.read_bytes().decode("latin-1") for path in tmp_path.glob("j.db-*"))
    assert "sk-openai-secret" not in everything


def test_a_wrong_answer_is_exit_code_3_and_says_what_differs(
    task_file: Path, tmp_path: Path
) -> None:
    bodies = BODIES | {"find_high": "return min(xs)"}
    with WireServer(writer(bodies)) as server:
        done = agentflow(
            "run", task_file, "-m", "openai:gpt-5-mini", folder=tmp_path, environment=hosted(server)
        )
    assert done.returncode == 3
    assert "✗ check exact" in done.stderr
    assert json.loads(done.stdout) == {"low": 1, "high": 1}


def test_a_budget_that_is_too_small_is_exit_code_4(task_file: Path, tmp_path: Path) -> None:
    task_file.write_text(TASK.replace("tokens: 100000", "tokens: 60"))
    with WireServer(writer()) as server:
        done = agentflow(
            "run", task_file, "-m", "openai:gpt-5-mini", folder=tmp_path, environment=hosted(server)
        )
    assert done.returncode == 4
    assert "budget.tokens" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("planner: recode", "planner: recod"),
            r"task.yaml:11: unknown planner 'recod'; did you mean 'recode'\?",
        ),
        (("check:", "chek:"), r"task.yaml:13: .*chek.*check"),
        (("goal: Describe the numbers.", "goal: [1]"), r"task.yaml:3: .*goal"),
        (("exact:", "exakt:"), r"task.yaml:1[34]: unknown scorer 'exakt'; did you mean 'exact'\?"),
        (("budget: {tokens: 100000", "budget: {tokens: many"), r"task.yaml:12: .*tokens"),
        (("planner: recode", "planner: recode\ntools: [saw]"), r"task.yaml:12: unknown tool 'saw'"),
        (
            ("planner: recode", "planner: recode\nmodel: opnai:x"),
            r"task.yaml:12: .*did you mean 'openai'\?",
        ),
        (
            ("planner: recode", "planner: recode\nmodel: openai:gpt-5-mini"),
            r"task.yaml:12: .*set OPENAI_API_KEY",
        ),
        (("xs: [3, 1, 2]", "xs: {file: no.txt}"), r"task.yaml:5: .*no.txt"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_its_number(
    change: tuple[str, str], message: str, task_file: Path, tmp_path: Path
) -> None:
    task_file.write_text(TASK.replace(*change))
    done = agentflow("run", task_file, folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert re.search(message, done.stderr), done.stderr


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    for arguments in (["run", "none.yaml"], ["show", "last"], ["replay", "x"], ["runs"], ["rnu"]):
        done = agentflow(*arguments, folder=tmp_path)
        assert done.returncode in (1, 2), arguments
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 4


def test_hostile_text_cannot_control_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("agentflow: 1\ngoal: Say something.\nplanner: direct\n")
    with WireServer([says("\x1b[2J\x1b]0;owned\x07[red]hello[/red] \u202eolleh")]) as server:
        done = agentflow(
            "run", path, "-m", "openai:gpt-5-mini", folder=tmp_path, environment=hosted(server)
        )
    shown = agentflow("show", "last", "--step", "3", folder=tmp_path)
    for text in (done.stdout, done.stderr, shown.stdout):
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert "[red]hello[/red]" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_stopped_run_leaves_a_journal_that_resumes(
    number: signal.Signals, task_file: Path, tmp_path: Path
) -> None:
    write = writer()
    held: list[str] = []

    def answer(seen: Seen) -> Any:
        name = re.findall(r"Write (\w+)\(", seen.text)[-1]
        if name == "find_high" and not held:
            held.append(name)
            return says("", hold=True)
        return write(seen)

    with WireServer(answer) as server:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **hosted(server)}
        environment["AGENTFLOW_JOURNAL"] = str(tmp_path / "j.db")
        command = ["-m", "agentflow.cli.main", "run", str(task_file), "-m", "openai:gpt-5-mini"]
        with warm.Process(command, env=environment) as running:
            wait_until(lambda: finished_calls(tmp_path / "j.db") == 3)
            running.send_signal(number)
            _out, errors = running.communicate(timeout=30)
        assert running.returncode == 130
        assert "agentflow resume" in errors
        server.release()
        asked = len(server.requests)
        resumed = agentflow("resume", "last", folder=tmp_path, environment=hosted(server))
        assert resumed.returncode == 0, resumed.stderr
        assert json.loads(resumed.stdout) == {"low": 1, "high": 3}
        assert len(server.requests) == asked + 1, "only what was under way is asked again"
    replayed = agentflow("replay", "last", folder=tmp_path)
    assert replayed.returncode == 0, replayed.stderr


def finished_calls(journal: Path) -> int:
    """Return how many model calls of the last run are committed."""
    if not journal.exists():
        return 0
    with Journal(journal) as opened:
        steps = [step for record in opened.runs(1) for step in record.steps.values()]
    return sum(step.kind == "model" and step.status == "succeeded" for step in steps)


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something in another process; there is no event to wait for."""
    import time

    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.02)


def test_two_runs_of_one_file_at_once_keep_apart(task_file: Path, tmp_path: Path) -> None:
    with WireServer(writer()) as server:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **hosted(server)}
        environment["AGENTFLOW_JOURNAL"] = str(tmp_path / "j.db")
        model = "openai:gpt-5-mini"
        words = ["-m", "agentflow.cli.main", "run", str(task_file), "-q", "-m", model]
        with (
            warm.Process(words, env=environment) as one,
            warm.Process(words, env=environment) as two,
        ):
            outputs = [process.communicate()[0] for process in (one, two)]
    assert [json.loads(output) for output in outputs] == [{"low": 1, "high": 3}] * 2
    with Journal(tmp_path / "j.db") as journal:
        first, second = journal.runs()
    assert {key for _n, key, *_rest in shape(first)} == {key for _n, key, *_rest in shape(second)}


def test_help_ends_in_an_example(tmp_path: Path) -> None:
    cold = [sys.executable, "-m", "agentflow.cli.main", "--help"]
    told = subprocess.run(cold, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "agentflow run examples/orders/task.yaml" in told
    for command in ("run", "runs", "show", "replay", "resume", "schema", "export", "eval"):
        shown = CliRunner().invoke(commands, [command, "--help"]).output
        assert "\b" not in shown
        assert f"agentflow {command}" in textwrap.dedent(shown).split("Options:")[0], command


def test_every_command_is_documented() -> None:
    from agentflow.cli.main import COMMANDS

    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    assert all(f"agentflow {command}" in page for command in COMMANDS)


def test_a_json_answer_of_a_typed_task(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(
        "agentflow: 1\ngoal: How many?\nplanner: direct\noutput: integer\ncheck: {numeric: {value: 3}}\n"
    )
    with WireServer([gives_json({"value": 3})]) as server:
        done = agentflow(
            "run", path, "-m", "openai:gpt-5-mini", folder=tmp_path, environment=hosted(server)
        )
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr
