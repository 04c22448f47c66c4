"""Reading data files: every form, and every way in which one can be damaged."""

import gzip
import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from agentflow_evals.suites.files import read_json, read_records, sha256_of

from agentflow.errors import SuiteError

ROWS = [{"n": 1, "word": "a"}, {"n": 2, "word": "ß"}]
LINES = "\n".join(json.dumps(row) for row in ROWS)


def written(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def rows(path: Path) -> list[dict[str, object]]:
    return [record.data for record in read_records(path, "s")]


def test_every_form_of_a_file_holds_the_same_records(tmp_path: Path) -> None:
    files = [
        written(tmp_path / "a.jsonl", f"\ufeff{LINES}\n\n"),
        written(tmp_path / "a.json", json.dumps(ROWS)),
        written(tmp_path / "b.json", json.dumps({"data": ROWS})),
        written(tmp_path / "a.jsonl.gz", gzip.compress(LINES.encode())),
    ]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/a.jsonl", LINES)
        archive.writestr("in/b.json", json.dumps(ROWS))
        archive.writestr("README.txt", "-")
    files += [tmp_path / "a.zip" / "in" / "a.jsonl", tmp_path / "a.zip" / "in" / "b.json"]
    assert all(rows(file) == ROWS for file in files)
    assert rows(written(tmp_path / "a.csv", "n,word\n1,a\n2,ß\n")) == [
        {"n": "1", "word": "a"},
        {"n": "2", "word": "ß"},
    ]


def test_parquet_is_read_where_pyarrow_is_installed(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet") == ROWS
    with pytest.raises(SuiteError, match=r"b.parquet: no Parquet"):
        rows(written(tmp_path / "b.parquet", b"PAR1 no"))


def test_a_name_given_twice_in_an_object_keeps_the_last(tmp_path: Path) -> None:
    assert rows(written(tmp_path / "a.jsonl", '{"n": 1, "n": 2}')) == [{"n": 2}]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", '{"n": 1}\n\n{"n": \n', "suite s: a.jsonl:3: no JSON: Expecting value"),
        ("a.jsonl", "[1]", "suite s: a.jsonl:1: an object is expected, not list"),
        ("a.jsonl", b'{"n": 1}\n{"w": "\xff"}', "suite s: a.jsonl:2: it is not UTF-8 (byte 7)"),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: JSON that cannot be read"),
        ("a.jsonl", f'{{"n": {"9" * 5000}}}', "a.jsonl:1: JSON that cannot be read"),
        ("a.json", '[{"n": 1},\n 2]', "suite s: a.json: item 2: an object is expected, not int"),
        ("a.json", '{\n"n": 1,\n}', "a.json: no JSON: "),
        ("a.jsonl", "version https://git-lfs.github.com/spec/v1\n", "a.jsonl:1: a Git LFS pointer"),
        ("a.json", "3", "a.json: neither a list nor an object"),
        ("a.jsonl.gz", b"no gzip", "a.jsonl.gz: it is damaged"),
        ("a.jsonl.gz", gzip.compress(b'{"n": 1}' * 99, mtime=0)[:-9], "a.jsonl.gz: it is damaged"),
        ("a.csv", "n,word\n1\n", "a.csv:2: the row does not have the 2 fields"),
        ("a.csv", 'n,word\n"1', "a.csv: no CSV"),
        ("a.zip", b"PK no", "a.zip: File is not a zip file"),
        ("a.txt", "x", "'a.txt' is none of: .json, .jsonl"),
    ],
)
def test_a_damaged_file_is_named_with_the_place(
    tmp_path: Path, name: str, data: str | bytes, said: str
) -> None:
    with pytest.raises(SuiteError) as raised:
        rows(written(tmp_path / name, data))
    assert said in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="No such file"):
        rows(tmp_path / "a.jsonl")


def test_a_name_in_an_archive_leads_nowhere_else(tmp_path: Path) -> None:
    written(tmp_path / "secret.jsonl", LINES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jsonl", LINES)
        archive.writestr("../secret2.jsonl", LINES)
    with pytest.raises(SuiteError, match=r"it holds no '\.\./secret\.jsonl'"):
        rows(tmp_path / "a.zip" / ".." / "secret.jsonl")
    with pytest.raises(SuiteError, match="it holds 2 data files; name one"):
        rows(tmp_path / "a.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "secret.jsonl"]


def test_what_unpacks_beyond_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentflow_evals.suites.files.MOST_LINE_BYTES", 1000)
    bomb = written(tmp_path / "a.jsonl.gz", gzip.compress(b'{"n": "' + b"0" * 10**6 + b'"}'))
    with pytest.raises(SuiteError, match=r"a.jsonl.gz:1: it is too large"):
        rows(bomb)


def test_the_sum_of_a_folder_changes_with_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    file = written(tmp_path / "in" / "a.json", "1")
    assert sha256_of(file) == hashlib.sha256(b"1").hexdigest()
    sums = {sha256_of(tmp_path)}
    written(file, "2")
    sums.add(sha256_of(tmp_path))
    file.rename(tmp_path / "in" / "b.json")
    sums.add(sha256_of(tmp_path))
    assert len(sums) == 3
    assert read_json(tmp_path / "in" / "b.json", "s") == 2


def test_a_field_that_is_not_what_is_needed_is_named(tmp_path: Path) -> None:
    record = next(read_records(written(tmp_path / "a.jsonl", '{"n": 1.5, "w": "", "l": [1]}'), "s"))
    for read, said in (
        (lambda: record.text("x", "y"), "the field 'x' or 'y' is missing"),
        (lambda: record.text("n"), "the field 'n' is not text but float"),
        (lambda: record.text("w"), "the field 'w' is empty"),
        (lambda: record.whole("n"), "the field 'n' is no whole number"),
        (lambda: record.items("w"), "the field 'w' is not a list but str"),
        (lambda: record.texts("l"), "item 0 of 'l' is no text"),
    ):
        with pytest.raises(SuiteError) as raised:
            read()
        assert str(raised.value) == f"suite s: a.jsonl:1: {said}"
