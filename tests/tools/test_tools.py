"""The ready tools: what they do, and what hostile arguments cannot make them do."""

from pathlib import Path

import pytest
from agentflow_tools.calculate import calculate
from agentflow_tools.files import list_folder, read_text


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("-(2 ** 10) / 4", -256),
        ("max(3, sqrt(16), abs(-7))", 7),
        ("7 // 2 % 2", 1),
    ],
)
def test_arithmetic_is_calculated(expression: str, value: float) -> None:
    assert calculate.function(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os')",
        "'a' * 10",
        "9**9**9",
        "2**99999",
        "(1).__class__",
        "True + 1",
        "1 if 1 else 2",
        "1" * 600,
    ],
)
def test_what_is_not_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        calculate.function(expression)


def test_files_below_the_folder_are_read_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("hello")
    assert list_folder.function() == ["notes/"]
    assert read_text.function("notes/a.txt") == "hello"


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "notes/../../secret", "link"])
def test_no_path_leads_out_of_the_folder(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("key")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "secret")
    monkeypatch.chdir(inside)
    with pytest.raises(ValueError, match="outside the working folder"):
        read_text.function(path)
