"""`agentflow journal` as people use it, in a process of its own."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from agentflow.cli.journal import journal
from agentflow.journal import tables
from tests.agentflow.cli.test_run import agentflow
from tests.agentflow.journal.upkeep.parts import LONG, execute, runner, shouts

pytestmark = pytest.mark.anyio


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A folder whose journal holds the runs `one` and `two`."""
    for name in ("one", "two"):
        await runner(str(tmp_path / "j.db")).run_as(name, shouts, [LONG, name])
    return tmp_path


async def test_a_run_travels_to_another_journal(folder: Path) -> None:
    done = agentflow("journal", "export", "one", "-o", "one.jsonl.gz", folder=folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert "one.jsonl.gz: 1 run, 9 events" in done.stderr
    other = ("-j", str(folder / "other.db"))
    done = agentflow("journal", "import", "one.jsonl.gz", *other, folder=folder)
    assert (done.returncode, done.stdout) == (0, "one\n")
    assert agentflow("journal", "verify", *other, folder=folder).returncode == 0
    done = agentflow("journal", "import", "one.jsonl.gz", *other, folder=folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "there is a run one already; skip such runs with --skip-existing" in done.stderr
    done = agentflow("journal", "import", "one.jsonl.gz", "--skip-existing", *other, folder=folder)
    assert done.returncode == 0
    assert "took in 0 runs; left out 1 run that was there" in done.stderr


async def test_a_bad_file_is_one_line_with_its_line_number(folder: Path) -> None:
    agentflow("journal", "export", "--all", "-o", "all.jsonl", folder=folder)
    path = folder / "all.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"kind":"tool"', b'"kind":"root"'))
    done = agentflow("journal", "import", "all.jsonl", "-j", "new.db", folder=folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "all.jsonl: line 6: no event of run one" in done.stderr


async def test_pruning_says_first_and_then_does(folder: Path) -> None:
    would = agentflow("journal", "prune", "--keep", "1", "--dry-run", folder=folder)
    assert would.stdout.startswith("one  succeeded")
    assert "would remove 1 run and" in would.stderr
    did = agentflow("journal", "prune", "--keep", "1", "--compact", folder=folder)
    assert did.stdout == would.stdout
    assert "removed 1 run and" in did.stderr
    assert "smaller" in did.stderr
    listed = agentflow("runs", "--json", folder=folder).stdout
    assert [json.loads(line)["run"] for line in listed.splitlines()] == ["two"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune"], "say what to remove: --older-than, --status, --keep or --run"),
        (["prune", "--compact"], "say what to remove"),
        (["prune", "--older-than", "soon"], "'soon' is no age; write 30d, 12h, 90m or 4w"),
        (["prune", "--status", "failed,dead"], "unknown status 'dead'; there are succeeded"),
        (["prune", "--keep", "-1"], "-1 is not in the range"),
        (["export", "-o", "x.jsonl"], "name the runs, or give --all"),
        (["export", "one", "--all", "-o", "x.jsonl"], "name the runs, or give --all"),
    ],
)
async def test_a_wrong_command_line_is_exit_code_2(
    folder: Path, arguments: list[str], message: str
) -> None:
    done = agentflow("journal", *arguments, folder=folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(agentflow("runs", "--json", folder=folder).stdout.splitlines()) == 2


async def test_ages_and_statuses_are_understood(folder: Path) -> None:
    for arguments in (["--older-than", "12h"], ["--status", "failed,interrupted,paused,stopped"]):
        done = agentflow("journal", "prune", *arguments, folder=folder)
        assert (done.returncode, done.stdout) == (0, "")
        assert "removed 0 runs" in done.stderr
    done = agentflow("journal", "prune", "--status", "failed, succeeded", folder=folder)
    assert done.stdout.count("\n") == 2


async def test_problems_are_a_line_each_and_exit_code_1(folder: Path) -> None:
    whole = agentflow("journal", "verify", folder=folder)
    assert (whole.returncode, whole.stdout) == (0, "")
    assert "2 runs, 18 events" in whole.stderr
    execute(
        str(folder / "j.db"),
        update(tables.runs).where(tables.runs.c.id == "two").values(flow="\x1b[2Jx\nrun one: y"),
    )
    damaged = agentflow("journal", "verify", folder=folder)
    assert damaged.returncode == 1
    assert damaged.stdout.splitlines() == [
        "run two: the list of runs says flow [2Jx run one: y, its events shouts"
    ]
    found = json.loads(agentflow("journal", "verify", "two", "--json", folder=folder).stdout)
    assert found["problems"][0]["run"] == "two"
    assert agentflow("journal", "verify", "one", folder=folder).returncode == 0


async def test_stats_are_for_people_and_for_programs(folder: Path) -> None:
    shown = agentflow("journal", "stats", folder=folder).stdout
    assert "2 succeeded" in shown
    assert "bytes a step" in shown
    found = json.loads(agentflow("journal", "stats", "--json", folder=folder).stdout)
    assert (found["runs"], found["steps"], found["events"]) == ({"succeeded": 2}, 6, 18)
    assert found["saved_bytes"] > 19_000


async def test_no_command_shows_a_traceback_for_a_damaged_file(folder: Path) -> None:
    whole = (folder / "j.db").read_bytes()
    pages = len(whole) // 4096
    generator = random.Random(3)
    for page in (0, 1, pages // 2):
        damaged = bytearray(whole)
        damaged[page * 4096 + 100 : page * 4096 + 4096] = generator.randbytes(3996)
        (folder / "j.db").write_bytes(damaged)
        for command in (["verify"], ["stats"], ["prune", "--keep", "0", "--dry-run"]):
            done = agentflow("journal", *command, folder=folder)
            assert "Traceback" not in done.stderr, (page, command, done.stderr)
            assert done.returncode == 1 or command != ["verify"], (page, done.stdout)


def test_every_subcommand_ends_its_help_in_an_example() -> None:
    for command in ("prune", "export", "import", "verify", "stats"):
        shown = CliRunner().invoke(journal, [command, "--help"]).output
        assert f"agentflow journal {command}" in shown.split("Options:")[0].split("\n", 2)[2]


def test_a_journal_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for command in (
        ["prune", "--keep", "1"],
        ["export", "--all", "-o", "x"],
        ["verify"],
        ["stats"],
    ):
        done = agentflow("journal", *command, folder=tmp_path)
        assert done.returncode == 1
        assert "no such journal" in done.stderr
        assert done.stderr.count("\n") == 1
