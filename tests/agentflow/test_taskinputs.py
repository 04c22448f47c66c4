"""Files that inputs name: what they become, and the line a person gets when they cannot be read."""

from pathlib import Path
from typing import Any

import pytest

from agentflow.errors import TaskFileError
from agentflow.taskfile import load_task_file

HEAD = "agentflow: 1\ngoal: x\n"


def inputs(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "task.yaml"
    path.write_text(f"{HEAD}inputs:\n{text}")
    return load_task_file(path).task.inputs


def problem(folder: Path, text: str) -> str:
    with pytest.raises(TaskFileError) as caught:
        inputs(folder, text)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}/")


def test_a_csv_column_is_typed_by_all_its_filled_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'whole,number,word,code,empty\n1,1,a,007,\n,2.5,"b, c",1,\n\n-3,,,2,\n'
    )
    assert inputs(tmp_path, "  a: {csv: a.csv}\n")["a"] == [
        {"whole": 1, "number": 1.0, "word": "a", "code": "007", "empty": ""},
        {"whole": None, "number": 2.5, "word": "b, c", "code": "1", "empty": ""},
        {"whole": -3, "number": None, "word": "", "code": "2", "empty": ""},
    ]


def test_a_number_too_large_for_a_float_leaves_its_column_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1e999\n1.5\n")
    assert inputs(tmp_path, "  a: {csv: a.csv}\n")["a"] == [{"n": "1e999"}, {"n": "1.5"}]


def test_text_and_json_files_are_read_beside_the_task_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("grüße\n", encoding="utf-8")
    (tmp_path / "a.json").write_text('{"b": [1, null]}')
    found = inputs(tmp_path, "  t: {file: a.txt}\n  j: {json: a.json}\n")
    assert found == {"t": "grüße\n", "j": {"b": [1, None]}}


def test_a_mapping_with_more_than_a_file_is_a_value(tmp_path: Path) -> None:
    assert inputs(tmp_path, "  a: {file: no.txt, size: 3}\n") == {
        "a": {"file": "no.txt", "size": 3}
    }


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("file", b"a\n\xff", "line 2: not UTF-8 text"),
        ("file", b"a" * 10_000_001, "larger than 10 MB"),
        ("json", b'{\n"a": }', "line 2: not valid JSON"),
        ("json", b"[NaN]", "NaN is not JSON"),
        ("json", b"[" * 100_000, "nested too deeply"),
        ("json", b"[" * 300 + b"]" * 300, "nested too deeply"),
        ("json", b"1" * 5000, "data: "),
        ("csv", b"", "no header"),
        ("csv", b"a,a\n", "two columns are named `a`"),
        ("csv", b"a,\n", "column 2 has no name"),
        ("csv", b"a,b\n1,2\n3\n", "line 3: 1 cells, but the header names 2"),
        ("csv", b'a\n"b', "not valid CSV"),
        ("csv", b"a\n" + b"x" * 200_000, "not valid CSV"),
    ],
)
def test_a_bad_input_file_is_told_at_its_line(
    tmp_path: Path, kind: str, content: bytes, said: str
) -> None:
    (tmp_path / "data").write_bytes(content)
    message = problem(tmp_path, f"  a:\n    {kind}: data\n")
    assert message.startswith(f"task.yaml:5: `inputs.a`: {kind} data: ")
    assert said in message


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("no.txt", "there is no such file"),
        (".", "this is a directory"),
        ("3", "must be the path"),
        ("/dev/null", "not a regular file"),
        ('"a\\0b"', "there is no such file"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_an_input_that_is_no_file_is_told_at_its_line(
    tmp_path: Path, written: str, said: str
) -> None:
    message = problem(tmp_path, f"  a: {{file: {written}}}\n")
    assert message.startswith("task.yaml:4: ")
    assert said in message
