"""`agentflow eval predict` on the journal of a real run."""

import json

import pytest
from agentflow_evals.cli.predict import predict
from click.testing import CliRunner, Result

from agentflow import Runner, flow, generate, parallel
from tests.parts import Scripted


@flow
async def words() -> int:
    found = await parallel(generate("word " * n) for n in range(1, 9))
    return len(found)


@pytest.fixture
def recorded_run(journal: str) -> str:
    return Runner(model=Scripted(str.upper, concurrency=2), journal=journal).run(words).id


def call(*arguments: str, journal: str) -> Result:
    return CliRunner().invoke(predict, [*arguments, "--journal", journal])


def test_it_prints_a_line_for_each_parallelism(recorded_run: str, journal: str) -> None:
    done = call(recorded_run, "-p", "1,3", "--price", "1,10", journal=journal)
    assert done.exit_code == 0, done.output
    assert "8 calls" in done.output
    assert "$0.0004" in done.output  # 36 words read and 36 written


def test_json_says_the_same_for_programs(recorded_run: str, journal: str) -> None:
    done = call("last", "--parallelism", "2", "--json", journal=journal)
    found = json.loads(done.output)
    assert (found["run"], found["parallelism"], found["calls"]) == (recorded_run, 2, 8)
    assert found["input_tokens"] == found["output_tokens"] == 36


def test_the_figures_may_come_from_another_run(recorded_run: str, journal: str) -> None:
    other = Runner(model=Scripted(str.upper), journal=journal).run(words).id
    done = call(recorded_run, "--model-from", other, "--json", journal=journal)
    assert [json.loads(line)["run"] for line in done.output.splitlines()] == [recorded_run] * 3


def test_it_sweeps_chunk_sizes_over_items(recorded_run: str, journal: str) -> None:
    done = call(recorded_run, "--items", "12", "-p", "4", "--json", journal=journal)
    found = [json.loads(line) for line in done.output.splitlines()]
    assert [line["chunk"] for line in found] == [1, 2, 3, 4, 6, 12]
    assert [line["calls"] for line in found] == [12, 6, 4, 3, 2, 1]
    shown = call(recorded_run, "--items", "12", "-p", "4", journal=journal)
    assert "parallelism 4: chunks of" in shown.output


def test_numbers_that_are_none_are_refused_with_an_example(recorded_run: str, journal: str) -> None:
    done = call(recorded_run, "--parallelism", "1,x", journal=journal)
    assert done.exit_code == 2
    assert "such as 4,16" in done.output
