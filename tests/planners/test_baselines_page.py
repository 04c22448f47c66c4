"""The page on the baselines says what is so: every task file in it is one, with options that exist."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from agentflow import Flow, Task
from agentflow.taskfile import load_task_file

PAGE = (Path(__file__).parents[2] / "docs" / "baselines.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^\| `(\w+)` \|.*\| (.*) \|$", re.MULTILINE)


def planner(name: str) -> Flow[..., Any]:
    found: Flow[..., Any] = getattr(importlib.import_module(f"agentflow_planners.{name}"), name)
    return found


@pytest.mark.parametrize("name", SECTIONS)
def test_its_task_file_is_one_and_the_planner_takes_the_options(name: str, tmp_path: Path) -> None:
    (text,) = BLOCK.findall(SECTIONS[name])
    path = tmp_path / "task.yaml"
    path.write_text(text)
    file = load_task_file(path)
    assert file.planner.name == name
    planner(name).signature.bind((file.task,), file.planner.options)


@pytest.mark.parametrize("name", SECTIONS)
def test_its_table_names_every_option_with_its_default(name: str) -> None:
    parameters = inspect.signature(planner(name).function).parameters
    told = dict(OPTION.findall(SECTIONS[name]))
    assert set(told) == set(parameters) - {"task"}
    for option, default in told.items():
        if default.isdigit():
            assert parameters[option].default == int(default)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_code_names_the_source_that_the_page_names(name: str) -> None:
    (source,) = set(re.findall(r"arXiv:\d+\.\d+", SECTIONS[name].split("1. ")[0]))
    assert source in (importlib.import_module(f"agentflow_planners.{name}").__doc__ or "")


def test_an_option_of_the_wrong_kind_is_refused() -> None:
    task = Task(goal="x")
    with pytest.raises(Exception, match="samples: Input should be greater than or equal to 1"):
        planner("self_consistency").signature.bind((task,), {"samples": 0})
