"""`agentflow eval suites` and `agentflow eval check`, as a user sees them."""

import json
from pathlib import Path

import pytest
from agentflow_evals.cli.main import evaluations
from click.testing import CliRunner, Result

from agentflow.errors import AgentflowError

EXAMPLES = Path(__file__).parents[3] / "examples/suites"


def call(*words: str) -> Result:
    found = CliRunner().invoke(evaluations, words)
    assert found.exception is None or isinstance(found.exception, SystemExit | AgentflowError)
    return found


def leaking(folder: Path) -> Path:
    (folder / "suite.yaml").write_text(
        "suite: 1\nname: own\ndata: data.jsonl\nsample:\n"
        '  goal: "{q}"\n  group: "{level}"\n  check: {numeric: {value: "{a}"}}\n'
    )
    lines = [{"q": "6 * 7? Answer: 42", "a": 42, "level": 1}, {"q": "7?", "a": 7, "level": 2}]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def test_the_list_of_suites_ends_without_an_error() -> None:
    found = call("suites")
    assert found.exit_code == 0
    assert "suite" in found.output.splitlines()[0]


def test_a_clean_suite_is_checked_and_shown_as_its_planner_sees_it() -> None:
    found = call("check", str(EXAMPLES / "capitals"), "--show", "1")
    assert found.exit_code == 0, found.output
    assert "10 samples, digest" in found.output
    assert "groups: America 2" in found.output or "America 2" in found.output
    assert '"goal": "What is the capital of Australia?"' in found.output
    assert "Canberra" not in found.output
    assert found.output.endswith("0 errors, 0 warnings\n")


def test_a_leak_is_named_and_the_exit_code_says_so(tmp_path: Path) -> None:
    found = call("check", str(leaking(tmp_path)))
    assert found.exit_code == 1
    assert "error: 1: the task says the answer: '42'" in found.output
    assert found.output.endswith("1 errors, 0 warnings\n")


def test_an_option_reaches_the_suite() -> None:
    found = call("check", f"{EXAMPLES / 'sums.py'}:Sums", "--set", "largest=3")
    assert "3 samples" in found.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", f"{EXAMPLES / 'sums.py'}:Sums", "--set", "smallest=3"), "smallest"),
        (("check", "no_such_suite"), "unknown suite 'no_such_suite'"),
    ],
)
def test_a_suite_that_cannot_be_opened_is_one_line(words: tuple[str, ...], said: str) -> None:
    found = call(*words)
    assert isinstance(found.exception, AgentflowError)
    assert said in str(found.exception)
    assert "\n" not in str(found.exception)
