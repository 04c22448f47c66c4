"""Flow files: what is written is read again, and one line for everything that is wrong."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agentflow.cli.prepare import prepare
from agentflow.errors import TaskFileError
from agentflow.flowfile import FlowFile, load_flow_file, write_flow_file
from agentflow.taskfile import NamedOptions, load_task_file
from agentflow.yamltree import MAX_BYTES

HEAD = "agentflow_flow: 1\nplanner: cot\n"
FOUND = FlowFile(
    planner="archon",
    options={
        "layers": [[{"type": "generator", "samples": 3}], [{"type": "fuser"}]],
        "source": "async def solve(task):\n    return task\n",
    },
    found={"by": "archon_search", "held_out": {"mean": 0.5, "low": 0.25, "high": 0.75}},
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["no", "1e5", "012", "1:30", "null", "Null", "~", "<<", "=", "2026-11-21", "_1", "_"]
    )
)
data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
fuzzing = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def problem(folder: Path, text: str) -> str:
    path = folder / "best.flow.yaml"
    path.write_text(text)
    with pytest.raises(TaskFileError) as caught:
        load_flow_file(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder}/")


def refusal(folder: Path, options: Any) -> str:
    path = folder / "best.flow.yaml"
    with pytest.raises(TaskFileError) as caught:
        write_flow_file(path, FlowFile(planner="cot", options=options))
    assert list(folder.iterdir()) == []
    return str(caught.value)


def test_what_is_written_is_read_again_and_is_a_file_for_people(tmp_path: Path) -> None:
    path = tmp_path / "best.flow.yaml"
    write_flow_file(path, FOUND)
    assert load_flow_file(path) == FOUND
    text = path.read_text()
    assert "\nplanner: archon\n" in text
    assert "    async def solve(task):\n        return task\n" in text


@fuzzing
@example({"\n\x85": None})
@given(options=st.dictionaries(st.text(), data, max_size=4))
def test_any_plain_options_come_back_as_they_were(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "any.flow.yaml"
    flow = FlowFile(planner="cot", options=options)
    try:
        write_flow_file(path, flow, replace=True)
    except TaskFileError:
        assert any("\ud800" <= char <= "\udfff" for char in str(options))
        return
    assert load_flow_file(path) == flow
    first = path.read_bytes()
    write_flow_file(path, flow, replace=True)
    assert path.read_bytes() == first


@fuzzing
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_no_file_does_worse_than_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.flow.yaml"
    path.write_text(HEAD + text)
    told = ""
    try:
        load_flow_file(path)
    except TaskFileError as error:
        told = str(error)
    assert "\n" not in told


def test_a_file_that_is_there_is_not_written_over_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "best.flow.yaml"
    path.write_text("mine")
    with pytest.raises(TaskFileError, match="--force"):
        write_flow_file(path, FOUND)
    assert path.read_text() == "mine"
    write_flow_file(path, FOUND, replace=True)
    assert load_flow_file(path) == FOUND


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"x": float("nan")}, "`options.x` is a float, which"),
        ({"x": {1, 2}}, "`options.x` is a set, which"),
        ({"x": [b"y"]}, "`options.x.0` is a bytes, which"),
        ({"x": {1: 2}}, "`options.x` has keys that are not text"),
        ({"x": "y" * MAX_BYTES}, "larger than 1 MB"),
        ({"x": 10**5000}, "cannot be written"),
    ],
)
def test_what_a_flow_file_cannot_hold_is_not_written(
    tmp_path: Path, options: Any, told: str
) -> None:
    assert told in refusal(tmp_path, options)


def test_nothing_is_nested_deeper_than_can_be_read(tmp_path: Path) -> None:
    deep: Any = 1
    for _level in range(60):
        deep = [deep]
    assert "nested more than 40 deep" in refusal(tmp_path, {"x": deep})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "best.flow.yaml:1: the file is empty; start it with `agentflow_flow: 1`"),
        ("- cot\n", "best.flow.yaml:1: a flow file is a mapping, found a list"),
        ("agentflow: 1\ngoal: x\n", "best.flow.yaml:1: this is a task file"),
        ("planner: cot\n", "best.flow.yaml:1: write `agentflow_flow: 1`, found nothing"),
        ("planner: cot\nagentflow_flow: 2\n", "best.flow.yaml:2: write `agentflow_flow: 1`, found"),
        (
            "agentflow_flow: 1\n",
            "best.flow.yaml:1: `planner` must be a planner's name, found nothing",
        ),
        (HEAD + "option: {}\n", "best.flow.yaml:3: unknown key `option`; did you mean `options`?"),
        (HEAD + "options: [1]\n", "best.flow.yaml:3: `options` must be a mapping, found a list"),
        (
            HEAD + "found: yes\n",
            "best.flow.yaml:3: `found` must be a mapping, found the text 'yes'",
        ),
        (HEAD + "options:\n  x: !!python/object:os.system y\n", "best.flow.yaml:4: tags"),
        (HEAD + "options:\n  x: &a y\n  z: *a\n", "best.flow.yaml:4: anchors"),
        (HEAD + "options:\n  api_key: abc\n", "best.flow.yaml:4: `options.api_key` looks like a"),
        (
            "agentflow_flow: 1\nplanner: other.yaml\n",
            "best.flow.yaml:2: `planner` must be installed, not another flow file",
        ),
    ],
)
def test_a_wrong_flow_file_is_one_line_with_its_number(
    tmp_path: Path, text: str, told: str
) -> None:
    assert problem(tmp_path, text).startswith(told)


def test_a_task_file_names_a_flow_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    write_flow_file(tmp_path / "flows" / "best.yaml", FOUND)
    task = tmp_path / "task.yaml"
    task.write_text("agentflow: 1\ngoal: x\nplanner: flows/best.yaml\n")
    planner = load_task_file(task).planner
    assert planner == NamedOptions("archon", FOUND.options, source="flows/best.yaml")


def test_options_in_the_task_file_come_before_those_of_the_flow_file(tmp_path: Path) -> None:
    write_flow_file(tmp_path / "best.yml", FOUND)
    task = tmp_path / "task.yaml"
    task.write_text("agentflow: 1\ngoal: x\nplanner: {name: best.yml, layers: [], most: 3}\n")
    options = load_task_file(task).planner.options
    assert options == {**FOUND.options, "layers": [], "most": 3}


def test_a_wrong_flow_file_is_told_with_the_line_that_names_it(tmp_path: Path) -> None:
    task = tmp_path / "task.yaml"
    task.write_text("agentflow: 1\ngoal: x\nplanner: gone.yaml\n")
    with pytest.raises(TaskFileError, match=r"task\.yaml:3: `planner`: .*gone\.yaml: there is no"):
        load_task_file(task)


def test_a_planner_that_is_not_installed_is_told_with_the_flow_file(tmp_path: Path) -> None:
    flow, task = tmp_path / "best.yaml", tmp_path / "task.yaml"
    flow.write_text("agentflow_flow: 1\nplanner: dirct\n")
    task.write_text("agentflow: 1\ngoal: x\n")
    with pytest.raises(TaskFileError, match=r"best\.yaml: .*did you mean 'direct'"):
        prepare(task, model=None, planner=str(flow), journal=None)


def test_a_run_says_which_flow_file_its_planner_is_from(tmp_path: Path) -> None:
    flow, task = tmp_path / "best.yaml", tmp_path / "task.yaml"
    write_flow_file(flow, FOUND)
    task.write_text("agentflow: 1\ngoal: x\nmodel: http://127.0.0.1:9/v1#none\n")
    prepared = prepare(task, model=None, planner=str(flow), journal=None)
    assert (prepared.planner.name, prepared.planner.options) == ("archon", FOUND.options)
    assert f"planner archon of {flow}" in prepared.announcement
