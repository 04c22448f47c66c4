"""`agentflow eval export`, as a person calls it."""

from pathlib import Path

import pytest
from agentflow_evals.cli.exchange import export
from agentflow_evals.formats.reading import read
from click.testing import CliRunner, Result

from agentflow.errors import EvaluationError, UnknownRunError
from tests.evals.formats.test_inspect_log import evaluated

pytestmark = pytest.mark.anyio


def called(*words: str | Path) -> Result:
    return CliRunner().invoke(export, [str(word) for word in words])


async def test_an_evaluation_is_exported_in_both_forms(journal: str, tmp_path: Path) -> None:
    evaluation = await evaluated(journal, "short", "long")
    lines, logs = tmp_path / "out.jsonl", tmp_path / "logs"
    done = called("last", "--out", lines, "-j", journal)
    assert done.output == f"wrote {lines}\n"
    done = called(evaluation.id[:8], "--format", "inspect", "--out", logs, "-j", journal)
    assert [line.removeprefix("wrote ") for line in done.output.splitlines()] == [
        str(path) for path in sorted(logs.iterdir())
    ]
    assert list(read(lines).outcomes) == list(read(logs).outcomes) == list(evaluation.outcomes)


async def test_a_file_is_taken_in_place_of_an_id(journal: str, tmp_path: Path) -> None:
    evaluation = await evaluated(journal)
    lines, log = tmp_path / "out.jsonl", tmp_path / "log.eval"
    called("last", "--out", lines, "-j", journal)
    assert called(lines, "--format", "inspect", "--out", log).exit_code == 0
    assert list(read(log).outcomes) == list(evaluation.outcomes)


async def test_what_cannot_be_done_is_one_line(journal: str, tmp_path: Path) -> None:
    await evaluated(journal)
    (tmp_path / "file").write_text("")
    for form, out in (("inspect", tmp_path / "file" / "x"), ("jsonl", tmp_path / "nowhere" / "x")):
        done = called("last", "--format", form, "--out", out, "-j", journal)
        assert isinstance(done.exception, EvaluationError)
        assert str(out) in str(done.exception)
    done = called("nope", "--out", tmp_path / "x.jsonl", "-j", journal)
    assert isinstance(done.exception, UnknownRunError)
    assert not (tmp_path / "x.jsonl").exists()
