"""`agentflow planners`: what is installed says of itself what it is."""

import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agentflow import plugins
from agentflow.cli.main import commands

NAMES = {entry.name for entry in entry_points(group="agentflow.planners")}


@pytest.fixture
def installed_planner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Install a planner `twice` of a third party, whose module has this docstring."""

    def install(docstring: str) -> None:
        code = "from agentflow import Result, Task, flow\n\n@flow\nasync def twice(task: Task) -> Result: ..."
        (tmp_path / "a_third_party.py").write_text(f'"""{docstring}"""\n{code}\n')
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "a_third_party", raising=False)
        entry = EntryPoint("twice", "a_third_party:twice", "agentflow.planners")
        monkeypatch.setattr(plugins, "_entries", lambda _kind: {"twice": entry})

    return install


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
    assert "Published" in told
    assert [line.split() for line in told.splitlines() if line.strip().startswith("depth")] == [
        ["depth", "3"]
    ]
    assert told.rstrip().endswith("planner: adapt")


def test_the_sections_of_a_docstring_are_data(installed_planner: Callable[[str], None]) -> None:
    installed_planner("""Asks twice.

        More words.

        Source: Doe, Twice, arXiv:0000.00000,
            second version.
        Cost: a few calls: 2.
        Needs: tools, a person.
        Published: X 1.5 (small model); Y 2.
        """)
    (card,) = (json.loads(line) for line in call("twice", "--json").stdout.splitlines())
    assert card["source"] == "Doe, Twice, arXiv:0000.00000, second version."
    assert card["cost"] == "a few calls: 2"
    assert card["needs"] == ["tools", "a person"]
    assert card["published"] == ["X 1.5 (small model)", "Y 2"]
    assert card["text"] == "Asks twice.\n\nMore words."
    told = call("twice").stdout
    words = " ".join(told.split())
    assert "Published X 1.5 (small model) Y 2" in words
    assert "Needs tools a person" in words


def test_of_two_planners_in_a_module_each_may_say_its_own_cost() -> None:
    edges, prompts = (
        json.loads(call(f"gptswarm_{what}", "--json").stdout) for what in ("edges", "prompts")
    )
    assert edges["cost"].startswith("thousands of calls:")
    assert prompts["cost"].startswith("hundreds of calls:")
    assert edges["source"] == prompts["source"]


def test_a_planner_that_cannot_be_imported_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"broken": EntryPoint("broken", "no_such_module:x", "agentflow.planners")}
    entries["direct"] = EntryPoint("direct", "agentflow_planners.direct:direct", "")
    monkeypatch.setattr(plugins, "_entries", lambda _kind: entries)
    broken, direct = (json.loads(line) for line in call("--json").stdout.splitlines())
    assert "No module named 'no_such_module'" in broken["problem"]
    assert not direct["problem"]


def test_an_unknown_planner_is_a_line_that_names_what_is_near() -> None:
    result = call("recod")
    assert result.exit_code
    assert "did you mean 'recode'?" in str(result.exception)


def test_the_page_that_compares_all_planners_is_what_they_say_of_themselves() -> None:
    page = (Path(__file__).parents[3] / "docs" / "planners.md").read_text(encoding="utf-8")
    assert call("--markdown").stdout in page, "put `agentflow planners --markdown` into the page"
