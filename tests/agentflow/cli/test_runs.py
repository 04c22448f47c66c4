"""`agentflow runs`: which runs are listed."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from agentflow import Runner, flow
from agentflow.cli.runs import runs

Listed = Callable[..., list[str]]


@flow
async def works(number: int) -> int:
    return number


@flow
async def fails() -> None:
    raise ValueError("no")


@pytest.fixture
def listed(sqlite_journal: str) -> Listed:
    """The flows that the command lists in a journal of three runs, newest first."""
    runner = Runner(journal=sqlite_journal)
    runner.run(works, 1)
    with pytest.raises(ValueError, match="no"):
        runner.run(fails)
    runner.run(works, 2)

    def flows(*arguments: str) -> list[str]:
        done = CliRunner().invoke(runs, ["--journal", sqlite_journal, "--json", *arguments])
        assert done.exit_code == 0, done.output
        return [json.loads(line)["flow"] for line in done.output.splitlines()]

    return flows


@pytest.mark.parametrize(
    ("arguments", "flows"),
    [
        ((), ["works", "fails", "works"]),
        (("--flow", "works"), ["works", "works"]),
        (("--flow", "works", "--limit", "1"), ["works"]),
        (("--status", "failed"), ["fails"]),
        (("--status", "succeeded", "--flow", "fails"), []),
    ],
)
def test_runs_are_listed_by_flow_and_status(
    listed: Listed, arguments: tuple[str, ...], flows: list[str]
) -> None:
    assert listed(*arguments) == flows


def test_a_status_that_does_not_exist_is_refused() -> None:
    done = CliRunner().invoke(runs, ["--status", "gone"])
    assert done.exit_code == 2
    assert "running" in done.output
