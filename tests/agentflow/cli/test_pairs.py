"""`agentflow pairs` as people use it, in a process of its own."""

import json
from pathlib import Path

import pytest

from tests.agentflow.cli.test_run import agentflow
from tests.agentflow.training.parts import Bodies, taught

pytestmark = pytest.mark.anyio


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A folder whose journal holds the runs `good`, `poor` and `plain`."""
    where = str(tmp_path / "j.db")
    bodies: Bodies = {
        "solve": ["return 1 / 0", "return part(2)"],
        "part": "return argument_1",
    }
    await taught(bodies, journal=where, run="good", expected=[2])
    await taught({"solve": "return 3"}, journal=where, run="poor", expected=[4])
    await taught({"solve": "words"}, journal=where, run="plain", planner="direct", expected=["x"])
    return tmp_path


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_the_best_runs_become_a_file_and_an_account_of_it(folder: Path) -> None:
    done = agentflow("pairs", "-o", "pairs.jsonl", "--keep", "0.3", folder=folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert "pairs.jsonl: 2 pairs of 1 of 3 runs, " in done.stderr
    assert "mean reward 1.00" in done.stderr
    found = lines(folder / "pairs.jsonl")
    assert [line["metadata"]["name"] for line in found] == ["recode", "part"]  # type: ignore[index]
    account = json.loads((folder / "pairs.settings.json").read_text())
    assert account["runs"] == {
        "selected": 3,
        "other_planner": 0,
        "unfinished": 0,
        "not_kept": 2,
        "kept": 1,
    }
    assert account["calls"]["failed"] == 1


async def test_every_format_can_be_written_bare(folder: Path) -> None:
    for form in ("chat", "prompt-completion", "alpaca", "sharegpt"):
        done = agentflow(
            "pairs", "good", "-o", f"{form}.jsonl", "--format", form, "--bare", folder=folder
        )
        assert done.returncode == 0, done.stderr
        assert all("metadata" not in line for line in lines(folder / f"{form}.jsonl"))


async def test_a_file_that_is_there_stays_unless_forced(folder: Path) -> None:
    (folder / "pairs.jsonl").write_text("mine")
    done = agentflow("pairs", "-o", "pairs.jsonl", folder=folder)
    assert done.returncode == 1
    assert done.stderr == "Error: pairs.jsonl: it is there already; replace it with --force\n"
    assert (folder / "pairs.jsonl").read_text() == "mine"
    assert agentflow("pairs", "-o", "pairs.jsonl", "--force", folder=folder).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plain"], "model calls: 1 seen, 1 no expansion; try --only all-model-calls"),
        (["--min-reward", "2"], "runs: 3 selected, 3 not kept"),
        (["--planner", "nobody"], "runs: 3 selected, 3 other planner"),
        (["nowhere"], "no run nowhere"),
    ],
)
async def test_nothing_to_write_is_one_line_that_says_why(
    folder: Path, arguments: list[str], message: str
) -> None:
    done = agentflow("pairs", *arguments, "-o", "pairs.jsonl", folder=folder)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "pairs.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing option '--output'"),
        (["-o", "x", "--keep", "0"], "0 is not in the range"),
        (["-o", "x", "--keep", "1.5"], "1.5 is not in the range"),
        (["-o", "x", "--format", "xml"], "'xml' is not one of"),
    ],
)
async def test_a_wrong_command_line_is_exit_code_2(
    folder: Path, arguments: list[str], message: str
) -> None:
    done = agentflow("pairs", *arguments, folder=folder)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_journal_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = agentflow("pairs", "-o", "pairs.jsonl", folder=tmp_path)
    assert done.returncode == 1
    assert "no such journal" in done.stderr
    assert done.stderr.count("\n") == 1
