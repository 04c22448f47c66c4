"""The library as a whole: what its files may lean on, how large they are, and what each says of itself."""

import ast
import re
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TypeGuard

import agentflow_planners
import pytest

ROOM = Path(next(iter(agentflow_planners.__path__)))
FILES = sorted(path for path in ROOM.glob("*.py") if path.name != "__init__.py")
NAMES = [path.stem for path in FILES]

FROM_THE_FIELD = """
    redel re_tuning htdag codetree competitive_flows archon composition_of_experts widedeep agentkit
    flash_searcher recurrent_gpt stored_instruction_machine l2mac llm_algorithms ladder map_planner adas
    agent_e archon_search autograms codewiki coded_flow demo2code dreamgarden gptswarm gptswarm_search
    minstrel rise s_agents stop
"""
MOST_LINES, MOST_ON_AVERAGE = 3_500, 130

SDK = ("agentflow", "agentflow.data", "agentflow.errors", "agentflow.statistics")
ROOMS = ("shared", "functions", "recoding", "students", "optimising")

COSTS = ("one call", "a few calls", "tens of calls", "hundreds of calls", "thousands of calls")
SECTION = re.compile(r"^(Source|Cost|Needs|Published): (\S.*(?:\n[ \t]+\S.*)*)$", re.M)


def imported(tree: ast.Module) -> list[str]:
    """Return the modules that a file imports, wherever it does."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


def is_allowed(module: str) -> bool:
    """Return whether a planner may import a module: the SDK's public ones, our rooms, other packages."""
    top, _, rest = module.partition(".")
    if top == "agentflow":
        return module in SDK
    if top == "agentflow_planners":
        return rest.partition(".")[0] in ROOMS
    return not top.startswith("agentflow")


def lines_of_code(source: str) -> int:
    """Return how many lines there are without blank ones, comments, docstrings and prompts."""
    tree = ast.parse(source)
    words: list[ast.stmt] = [node for node in ast.walk(tree) if is_docstring(node)]
    words += [node for node in tree.body if is_prompt(node)]
    told = {line for node in words for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    lines = ((number, line.strip()) for number, line in enumerate(source.splitlines(), 1))
    return sum(bool(line) and line[0] != "#" and number not in told for number, line in lines)


def is_docstring(node: ast.AST) -> TypeGuard[ast.Expr]:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_prompt(node: ast.stmt) -> bool:
    """Return whether a statement gives a name to text for a model: literals, and one of a sentence."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    parts = list(ast.walk(node.value))
    texts = [part.value for part in parts if isinstance(part, ast.Constant)]
    literal = (
        *(ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.Dict, ast.Tuple, ast.List),
        *(ast.BinOp, ast.Add, ast.Name, ast.Load),
    )
    is_literal = all(isinstance(part, literal) for part in parts)
    return is_literal and any(isinstance(text, str) and len(text) > 40 for text in texts)


def test_lines_that_are_words_are_not_counted() -> None:
    source = '"""Doc."""\n\n# why\nASK = (\n    "a prompt of more than forty characters, which is"\n    " long"\n)\n'
    assert lines_of_code(source + 'N = "short"\ndef f():\n    """Doc."""\n    return 1\n') == 3


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_planner_leans_on_the_public_sdk_and_on_rooms_and_on_no_other_planner(path: Path) -> None:
    modules = imported(ast.parse(path.read_text(encoding="utf-8")))
    assert [module for module in modules if not is_allowed(module)] == []


def test_what_a_planner_may_not_lean_on_is_noticed() -> None:
    tree = ast.parse("from agentflow.engine.notes import x\nimport agentflow_planners.cot, json")
    refused = {module for module in imported(tree) if not is_allowed(module)}
    assert refused == {"agentflow_planners.cot", "agentflow.engine.notes"}


def test_the_planners_from_the_field_stay_small() -> None:
    paths = [path for path in FILES if path.stem in FROM_THE_FIELD.split()]
    sizes = {path.stem: lines_of_code(path.read_text(encoding="utf-8")) for path in paths}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    assert sum(sizes.values()) <= MOST_LINES, largest
    assert sum(sizes.values()) / len(sizes) <= MOST_ON_AVERAGE, largest


def planners() -> list[str]:
    """Return the modules of this package's installed planners that are there."""
    modules = {
        entry.value.partition(":")[0]
        for entry in entry_points(group="agentflow.planners")
        if entry.value.startswith("agentflow_planners.")
    }
    return sorted(module for module in modules if find_spec(module) is not None)


@pytest.mark.parametrize("module", planners())
def test_every_planner_says_where_it_comes_from_what_it_costs_and_needs_and_what_is_published(
    module: str,
) -> None:
    path = ROOM / f"{module.rpartition('.')[2]}.py"
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found = SECTION.findall(doc)
    assert [name for name, _text in found] == ["Source", "Cost", "Needs", "Published"]
    said = {name: " ".join(text.split()) for name, text in found}
    assert all(text.endswith(".") for text in said.values())
    cost, colon, formula = said["Cost"].partition(": ")
    assert cost in COSTS
    assert colon
    assert formula
    assert ";" not in said["Needs"], "a comma list"
