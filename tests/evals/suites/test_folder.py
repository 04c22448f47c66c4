"""A suite of one's own: what a folder becomes, and what is said of a wrong one."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from agentflow_evals.checks import check_samples
from agentflow_evals.opening import open_suite
from agentflow_evals.suites.files import sha256_of
from agentflow_evals.suites.folder import FolderSuite
from agentflow_evals.suites.template import TemplateError, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.errors import SuiteError

EXAMPLES = Path(__file__).parents[3] / "examples/suites"
HEAD = "suite: 1\nname: own\ndata: data.jsonl\nsample:\n"
SAMPLE = '  goal: "{question}"\n  check:\n    exact: {equals: "{answer}"}\n'

names = st.text(st.characters(exclude_characters="{}."), min_size=1, max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def suite_in(folder: Path, text: str, *lines: dict[str, Any] | str) -> FolderSuite:
    (folder / "suite.yaml").write_text(text)
    written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "data.jsonl").write_text("\n".join(written) + "\n")
    return FolderSuite(str(folder))


def test_the_example_folder_is_a_suite_without_a_fault() -> None:
    suite = FolderSuite(str(EXAMPLES / "capitals"))
    samples = list(suite.samples())
    assert len(samples) == 10
    first = samples[0]
    assert (first.id, first.group, first.target) == ("Australia", "Oceania", "Canberra")
    assert first.task.goal == "What is the capital of Australia?"
    assert first.checks[0].options == {"all": ["Canberra"], "ignore_case": True}
    assert "What is the capital of France?" in list(suite.training_texts())
    assert check_samples(samples, suite.training_texts()) == []


def test_the_example_class_is_a_suite_with_an_option() -> None:
    opened = open_suite(f"{EXAMPLES / 'sums.py'}:Sums", {"largest": 4})
    assert [sample.id for sample in opened.samples] == ["sum-1", "sum-2", "sum-3", "sum-4"]
    assert opened.samples[0].checks[0].options == {"value": 5}
    assert check_samples(opened.samples) == []


def test_columns_of_an_export_need_a_mapping_and_nothing_else(tmp_path: Path) -> None:
    text = HEAD + '  goal: "{question}"\n  check:\n    numeric: {value: "{answer}"}\n'
    line = {"question": "How many?", "answer": "4 + 5 = 9\n#### 9"}
    (sample,) = suite_in(tmp_path, text, line).samples()
    assert (sample.id, sample.task.goal, sample.checks[0].options["value"]) == (
        "1",
        "How many?",
        line["answer"],
    )


def test_a_field_alone_keeps_its_type_and_dots_lead_inside(tmp_path: Path) -> None:
    text = (
        HEAD
        + '  id: "{n}, first"\n  goal: "Use {q.text} for {n}"\n  inputs: {rows: "{rows}"}\n'
        + '  output: {type: array}\n  target: "{rows.1}"\n  tools: [calculate]\n'
        + '  environments: {house: {use: adventure, options: {seed: "{n}"}}}\n'
        + '  check:\n    - exact: {equals: "{rows}"}\n    - contains: {all: ["{q.text}"]}\n'
    )
    line = {"n": 3, "q": {"text": "{n} braces"}, "rows": [[1], [2]]}
    (sample,) = suite_in(tmp_path, text, line).samples()
    assert sample.id == "3_first"
    assert sample.task.goal == "Use {n} braces for 3"
    assert sample.task.inputs == {"rows": [[1], [2]]}
    assert sample.task.output_schema == {"type": "array"}
    assert sample.target == [2]
    assert sample.environments["house"].options == {"seed": 3}
    assert [named.name for named in sample.checks] == ["exact", "contains"]


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("", r"suite\.yaml:1: .*"),
        ("- 1", r"suite\.yaml:1: it is a mapping; start it with `suite: 1`"),
        ("suite: 2\nname: own", r"suite\.yaml:1: `suite` must be 1"),
        (HEAD + "  gaol: x\n" + SAMPLE, r"suite\.yaml:5: unknown key `sample.gaol`; did .*`goal`"),
        (HEAD + "  goal: x\n", r"suite\.yaml:4: `sample.check` is missing"),
        (HEAD + "  goal: x\n  check: {exakt: {}}\n", r"suite\.yaml:6: no scorer 'exakt'; did"),
        (HEAD + "  output: nmber\n" + SAMPLE, r"suite\.yaml:5: `sample.output` is one of text, n"),
        (HEAD.replace("data.jsonl", "no.jsonl") + SAMPLE, r"suite\.yaml:3: there is no file no"),
        (HEAD.replace("data.jsonl", "../x.jsonl") + SAMPLE, r"suite\.yaml:3: .* outside"),
        (HEAD + "  id: &a x\n" + SAMPLE, r"suite\.yaml:5: anchors"),
    ],
)
def test_a_wrong_suite_file_is_named_by_its_line(tmp_path: Path, yaml: str, said: str) -> None:
    with pytest.raises(SuiteError, match=said):
        list(suite_in(tmp_path, yaml, {"question": "q", "answer": "a"}).samples())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"question": "q"}, r"data\.jsonl:2: `check exact`: there is no field 'answer' .*question"),
        ({"question": " ", "answer": 1}, r"data\.jsonl:2: `goal` is empty"),
        ("{", r"data\.jsonl:2: no JSON"),
        ("[1]", r"data\.jsonl:2: an object is expected"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: dict[str, Any] | str, said: str) -> None:
    with pytest.raises(SuiteError, match=said):
        list(suite_in(tmp_path, HEAD + SAMPLE, {"question": "q", "answer": 1}, line).samples())


def test_a_data_file_has_the_sum_that_is_written_or_is_refused(tmp_path: Path) -> None:
    line = {"question": "q", "answer": 1}
    suite_in(tmp_path, HEAD + SAMPLE, line)
    right = sha256_of(tmp_path / "data.jsonl")
    for sum_, is_right in ((right, True), ("0" * 64, False)):
        text = HEAD.replace("data.jsonl", f"{{file: data.jsonl, sha256: '{sum_}'}}") + SAMPLE
        suite = suite_in(tmp_path, text, line)
        if is_right:
            assert len(list(suite.samples())) == 1
            assert suite.origin().sha256 == right
        else:
            with pytest.raises(SuiteError, match=f"sha256 of data.jsonl is {right}"):
                list(suite.samples())


@settings(deadline=None)
@given(names, plain)
def test_a_field_alone_is_the_field(name: str, value: Any) -> None:
    assert fill(f"{{{name}}}", {name: value}) == value


@settings(deadline=None)
@given(names, st.text(), st.text())
def test_what_is_put_in_is_no_template(name: str, value: str, around: str) -> None:
    quoted = around.replace("{", "{{").replace("}", "}}")
    found = fill(f"{quoted}{{{name}}}{quoted}.", {name: value})
    assert found == f"{around}{value}{around}."


@settings(deadline=None)
@given(st.text(), st.dictionaries(names, st.text(), max_size=3))
def test_any_text_is_filled_or_refused(template: str, fields: dict[str, str]) -> None:
    with suppress(TemplateError):
        assert isinstance(fill(template, fields), str)


@pytest.mark.parametrize("name", ["a.__class__", "a.upper", "__class__", "a.0", "b.-1", "b.9", ""])
def test_nothing_but_data_is_ever_looked_up(name: str) -> None:
    with pytest.raises(TemplateError, match="there is no field"):
        fill(f"{{{name}}}", {"a": "text", "b": [1]})
