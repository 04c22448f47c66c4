"""`agentflow planners`: what is installed says of itself what it is."""

import json
from importlib.metadata import entry_points

from click.testing import CliRunner, Result

from agentflow.cli.main import commands

NAMES = {entry.name for entry in entry_points(group="agentflow.planners")}


def call(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["planners", *arguments])


def test_every_planner_is_listed_with_a_line_and_its_source() -> None:
    found = [json.loads(line) for line in call("--json").stdout.splitlines()]
    assert {one["name"] for one in found} == NAMES
    for one in found:
        assert one["line"].endswith("."), one
        assert not one["problem"], one
    listed = call().stdout
    assert all(name in listed for name in NAMES)


def test_one_planner_tells_its_paper_figures_and_options() -> None:
    told = call("adapt").stdout
    assert "arXiv:2311.05772" in told
    assert "Published figures" in told
    assert [line.split() for line in told.splitlines() if line.strip().startswith("depth")] == [
        ["depth", "3"]
    ]
    assert told.rstrip().endswith("planner: adapt")


def test_an_unknown_planner_is_a_line_that_names_what_is_near() -> None:
    result = call("recod")
    assert result.exit_code
    assert "did you mean 'recode'?" in str(result.exception)
