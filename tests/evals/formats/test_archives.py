"""Archives of others that are damaged or mean harm: one line, and little memory."""

import zipfile
from pathlib import Path

import pytest
from agentflow_evals.formats.reading import read
from agentflow_evals.suites.files import read_records

from agentflow.errors import EvaluationError, SuiteError


def archive(path: Path, member: str, data: bytes, how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as file:
        file.writestr(member, data)
    return path


def test_a_member_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "log.eval", "header.json", b"0" * 5_000_000)
    told = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(told)
    with pytest.raises(EvaluationError, match="damaged"):
        read(path)


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_can_unpack_without_a_bound_is_refused(tmp_path: Path, how: int) -> None:
    with pytest.raises(EvaluationError, match="Inspect does not use"):
        read(archive(tmp_path / "log.eval", "header.json", b"{}", how))
    records = archive(tmp_path / "data.zip", "data.jsonl", b"{}\n", how)
    with pytest.raises(SuiteError, match="uncommon"):
        list(read_records(records, "own"))


def test_a_broken_member_is_one_line(tmp_path: Path) -> None:
    path = archive(tmp_path / "log.eval", "header.json", b"{" + b"ab" * 500 + b"}")
    data = bytearray(path.read_bytes())
    data[45:50] = b"\xff" * 5
    path.write_bytes(data)
    with pytest.raises(EvaluationError, match="damaged"):
        read(path)
