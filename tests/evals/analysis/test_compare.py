"""Two evaluations against each other: what changed, and whether it may be chance."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agentflow_evals.analysis.comparing import compare
from agentflow_evals.cli.compare import compare as command
from agentflow_evals.formats.outcomes_jsonl import write
from agentflow_evals.record import Evaluation
from click.testing import CliRunner

from agentflow.errors import EvaluationError
from agentflow.statistics import mcnemar, paired_difference, wilson
from tests.evals.report_parts import evaluation, passing, plan

SAMPLES = [f"s{number}" for number in range(12)]


def solving(
    name: str, *solved: int, planners: tuple[str, ...] = ("direct",), **more: Any
) -> Evaluation:
    """Return an evaluation whose first planner solves the first so many samples, and so on."""
    made = plan(more.pop("samples", SAMPLES), planners, **more)
    return evaluation(
        made,
        passing(
            {planner: {*SAMPLES[:count]} for planner, count in zip(planners, solved, strict=True)}
        ),
        name=name,
    )


def test_a_win_is_a_sample_that_the_second_solves() -> None:
    found = compare(solving("old", 4), solving("new", 10))
    (one,) = found.compared
    assert (one.before, one.after) == (wilson(4, 12), wilson(10, 12))
    assert (one.pair.wins, one.pair.losses, one.pair.samples) == (6, 0, 12)
    assert one.pair.solved.p == mcnemar(4, 0, 6, 2) == 2 / 64
    assert one.pair.solved.interval == paired_difference(4, 6, 0, 2)
    assert [change.sample for change in one.changes] == SAMPLES[4:10]
    assert (one.changes[0].before, one.changes[0].after) == (0, 1)
    assert one.changes[0].run_after == "s4-direct-small-0"
    assert (found.without, found.warnings) == ((), ())


def test_the_same_evaluation_twice_differs_in_nothing() -> None:
    found = compare(solving("old", 5), solving("new", 5))
    assert found.compared[0].changes == ()
    assert found.compared[0].pair.solved.p == 1
    assert found.compared[0].pair.solved.interval.estimate == 0


def test_planners_of_the_same_name_are_compared_and_the_others_named() -> None:
    first = solving("old", 4, 5, planners=("direct", "codet"))
    second = solving("new", 4, 6, planners=("direct", "recode"))
    found = compare(first, second)
    assert [one.first for one in found.compared] == [("direct", "small")]
    assert found.without == ("codet with small is only in old", "recode with small is only in new")
    given = compare(first, second, planners={"codet": "recode"})
    assert [(one.first[0], one.second[0]) for one in given.compared] == [("codet", "recode")]
    assert (given.compared[0].pair.wins, given.compared[0].pair.losses) == (1, 0)


def test_a_single_model_on_each_side_needs_no_name() -> None:
    found = compare(solving("old", 4, models=["small"]), solving("new", 6, models=["large"]))
    assert found.compared[0].second == ("direct", "large")


def test_labels_that_are_not_there_are_an_error_that_says_which_are() -> None:
    first = solving("old", 4, 4, planners=("direct", "codet"))
    with pytest.raises(EvaluationError, match=r"the second evaluation has no planner 'x'.*direct"):
        compare(first, first, planners={"direct": "x"})
    with pytest.raises(EvaluationError, match="--planner FIRST=SECOND"):
        compare(first, solving("new", 4, planners=("recode",)))


def test_only_samples_in_both_that_count_are_compared() -> None:
    first = solving("old", 4, samples=SAMPLES[:6], digest="d1")
    second = solving("new", 4, samples=SAMPLES[3:], digest="d2")
    found = compare(first, second)
    assert found.compared[0].pair.samples == 3
    assert found.compared[0].pair.left_out == 9
    assert "the samples are not the same, or not known to be" in found.warnings[0]
    with pytest.raises(EvaluationError, match="no sample in common"):
        compare(first, solving("new", 4, samples=SAMPLES[6:]))


def test_what_makes_a_comparison_doubtful_is_said() -> None:
    second = solving("new", 4, suite="others", repeat=2, seed=1)
    suite = second.plan.suite.model_copy(update={"digest": "d2"})
    second = replace(second, plan=second.plan.model_copy(update={"suite": suite}))
    assert compare(solving("old", 4), second).warnings == (
        "the suites are not the same: sums and others",
        "the number of repeats is not the same",
        "the seed is not the same",
    )


def test_one_suite_at_two_places_is_the_same() -> None:
    second = solving("new", 4, suite="/elsewhere/others")
    assert compare(solving("old", 4), second).warnings == ()


def test_repeats_are_compared_by_their_mean() -> None:
    second = evaluation(
        plan(SAMPLES, ["direct"], repeat=2),
        lambda cell: {"status": "failed" if cell.repeat else "passed"},
        name="new",
    )
    (one,) = compare(solving("old", 12), second).compared
    assert (one.pair.losses, one.pair.solved.interval.estimate) == (12, -0.5)
    assert one.pair.solved.p == 2 / 2**12
    assert (one.changes[0].run_before, one.changes[0].run_after) == (
        "s0-direct-small-0",
        "s0-direct-small-1",
    )


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The files of two evaluations."""
    paths = [tmp_path / "old.jsonl", tmp_path / "new.jsonl"]
    for path, solved in zip(paths, (9, 4), strict=True):
        write(solving(path.stem, solved), path)
    return [str(path) for path in paths]


def test_the_command_prints_the_change_and_the_samples(files: list[str]) -> None:
    done = CliRunner().invoke(command, files)
    assert done.exit_code == 0
    assert "old.jsonl → new.jsonl" in done.output
    assert re.search(r"direct, small +12 +75\.0 % +33\.3 % +-41\.7 \(", done.output)
    assert "-5 s4, s5, s6, s7, s8\n" in done.output
    assert max(map(len, done.output.splitlines())) <= 100


def test_the_command_writes_csv_json_and_markdown(files: list[str], tmp_path: Path) -> None:
    def written(form: str) -> str:
        out = tmp_path / "out"
        done = CliRunner().invoke(command, [*files, "--format", form, "--out", str(out)])
        assert done.exit_code == 0
        return out.read_text()

    (line,) = csv.DictReader(io.StringIO(written("csv")))
    assert (line["losses"], line["test"], line["before"]) == ("5", "McNemar", "0.75")
    found = json.loads(written("json"))
    assert [change["sample"] for change in found["changes"]] == SAMPLES[4:9]
    assert "| s4     | 100.0 % | 0.0 % |" in written("md")
    assert written("table").startswith("old.jsonl → new.jsonl\n\nplanner, model")


def test_a_mapping_that_is_none_is_exit_code_2(files: list[str]) -> None:
    done = CliRunner().invoke(command, [*files, "--planner", "direct"])
    assert done.exit_code == 2
    assert "'direct': write FIRST=SECOND" in done.output
