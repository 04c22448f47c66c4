"""Task files: what is read, and the one line a person gets for everything that is wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agentflow.budget import Budget
from agentflow.errors import TaskFileError
from agentflow.taskfile import NamedOptions, TaskFile, json_schema, load_task_file
from agentflow.yamltree import MAX_BYTES, MAX_DEPTH, read_yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("task.yaml"))
HEAD = "agentflow: 1\ngoal: x\n"
WHOLE = """agentflow: 1
name: orders
goal: Add up the orders.
context: Prices are in euros.
inputs:
  year: 2024
  orders: {csv: orders.csv}
planner: {name: recode, levels: 3}
model:
  provider: openai
  name: gpt-5-mini
  api_key_env: TEAM_KEY
environments:
  hall: {use: corridor, options: {length: 3}}
tools: [calculate, hall.look]
budget: {tokens: 1000, usd: 1}
output:
  type: object
  properties:
    total: {type: number}
check:
  - numeric: {expected: 3}
  - numeric: {expected: 4}
journal: runs.db
"""

fuzzing = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def load(folder: Path, text: str | bytes) -> TaskFile:
    path = folder / "task.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_task_file(path)


def problem(folder: Path, text: str | bytes) -> str:
    with pytest.raises(TaskFileError) as caught:
        load(folder, text)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder}/")


def inputs(folder: Path, text: str) -> dict[str, Any]:
    return load(folder, f"{HEAD}inputs:\n{text}").task.inputs


# What is read ------------------------------------------------------------------------------


def test_a_whole_file_becomes_a_task_and_how_to_solve_it(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("id,price\n1,2.5\n")
    file = load(tmp_path, WHOLE)
    assert file.name == "orders"
    assert file.task.goal == "Add up the orders."
    assert file.task.context == "Prices are in euros."
    assert file.task.inputs == {"year": 2024, "orders": [{"id": 1, "price": 2.5}]}
    assert file.task.tools == file.tools == ("calculate", "hall.look")
    assert file.environments == {"hall": NamedOptions("corridor", {"length": 3})}
    assert file.task.output_schema == {
        "type": "object",
        "properties": {"total": {"type": "number"}},
    }
    assert file.planner == NamedOptions("recode", {"levels": 3})
    assert file.model == {"provider": "openai", "name": "gpt-5-mini", "api_key_env": "TEAM_KEY"}
    assert file.budget == Budget(tokens=1000, usd=1)
    assert [check.options for check in file.checks] == [{"expected": 3}, {"expected": 4}]
    assert file.journal == str(tmp_path / "runs.db")


def test_two_lines_are_a_task_file(tmp_path: Path) -> None:
    file = load(tmp_path, HEAD)
    assert (file.name, file.model, file.planner.name) == ("task", "auto", "recode")
    assert (file.checks, file.tools, file.budget, file.journal) == ((), (), Budget(), None)
    assert file.task.output_schema is None


def test_lines_are_those_of_the_keys(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("id,price\n1,2.5\n")
    file = load(tmp_path, WHOLE)
    assert file.line_of("goal") == 3
    assert file.line_of("output", "properties", "total") == 20
    assert file.line_of("check", 1, "numeric") == 23
    assert file.line_of("budget", "depth") is None
    assert file.error("budget", "depth", problem="no").line == 16
    assert file.error("nowhere", problem="no").line == 1


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("True", "True"),
        ("1:30", "1:30"),
        ("012", "012"),
        ("0x1F", "0x1F"),
        ("2024-05-01", "2024-05-01"),
        (".5", ".5"),
        ("+1", "+1"),
        (".inf", ".inf"),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ('"null"', "null"),
        ("|\n    12\n", "12\n"),
    ],
)
def test_what_json_would_not_read_is_text(tmp_path: Path, written: str, value: str) -> None:
    assert inputs(tmp_path, f"  a: {written}\n") == {"a": value}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("false", False),
        ("-3", -3),
        ("0", 0),
        ("1.50", 1.5),
        ("-2e3", -2000.0),
        ("[1, a]", [1, "a"]),
        ("{b: {}}", {"b": {}}),
    ],
)
def test_what_json_would_read_has_its_type(tmp_path: Path, written: str, value: object) -> None:
    found = inputs(tmp_path, f"  a: {written}\n")["a"]
    assert (found, type(found)) == (value, type(value))


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbfagentflow: 1\r\ngoal: x\r\n").task.goal == "x"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("number", "number"),
        ("integer", "integer"),
        ("boolean", "boolean"),
        ("list", "array"),
        ("object", "object"),
    ],
)
def test_a_short_output_is_a_schema(tmp_path: Path, word: str, kind: str) -> None:
    assert load(tmp_path, f"{HEAD}output: {word}\n").task.output_schema == {"type": kind}


@pytest.mark.parametrize("journal", ["postgresql://host/db", "sqlite:////tmp/a.db", ":memory:"])
def test_a_journal_that_is_no_path_stays_as_written(tmp_path: Path, journal: str) -> None:
    assert load(tmp_path, f"{HEAD}journal: '{journal}'\n").journal == journal


def test_a_password_in_a_journal_url_is_not_in_the_repr(tmp_path: Path) -> None:
    assert "hunter2" not in repr(
        load(tmp_path, f"{HEAD}journal: 'postgresql://me:hunter2@host/db'\n")
    )


# What is refused ---------------------------------------------------------------------------

REFUSED = [
    ("", "1: the file is empty; start it with"),
    ("# only words\n", "1: the file is empty"),
    ("---\n", "the file is empty"),
    ("- a\n", "1: a task file is a mapping, found a list"),
    ("goal: x\n", "1: `agentflow` is missing; write `agentflow: 1`"),
    ("agentflow: 1\n", "1: `goal` is missing; write `goal: ...`"),
    ("agentflow: 2\nnew: 1\n", "1: `agentflow` is the version of the format, found the number 2"),
    ("agentflow: true\ngoal: x\n", "found true; write `agentflow: 1`"),
    ("agentflow: 1\ngaol: x\n", "2: unknown key `gaol`; did you mean `goal`?"),
    ("agentflow: 1\ngoal: 12\n", "2: `goal` must be text, found the number 12; put it in quotes"),
    ("agentflow: 1\ngoal: ' '\n", "2: `goal` must not be empty"),
    ("agentflow: 1\ngoal:\n\tx: 1\n", "3: a tab is used for indentation; write spaces"),
    (HEAD + "\tname: x\n", "3: a tab is used for indentation"),
    (HEAD + "goal: y\n", "3: duplicate key `goal`, first on line 2"),
    (HEAD + "inputs: {a: {b: 1, b: 2}}\n", "3: duplicate key `b`"),
    (HEAD + "x: y: z\n", "3: not valid YAML: mapping values are not allowed"),
    (HEAD + "inputs: [\n", "4: not valid YAML"),
    (HEAD + 'name: "a\n', "4: not valid YAML"),
    (HEAD + "---\nx: 1\n", "4: a second document"),
    (HEAD + "name: a\0b\n", "3: unprintable character U+0000"),
    (b"agentflow: 1\ngoal: \xff\n", "2: not UTF-8 text; save the file as UTF-8"),
    (HEAD + "inputs: {1: a}\n", '3: a key must be text; write it in quotes: "1"'),
    (HEAD + "inputs: {null: a}\n", "3: a key must be text"),
    (HEAD + "inputs: {? [a] : b}\n", "3: a key must be text, found a list or mapping"),
    (HEAD + "inputs: {a: &x 3}\n", "3: anchors (`&x`) are not read; write the value out"),
    (HEAD + "inputs: {a: *x }\n", "3: aliases (`*x`) are not read; write the value out"),
    (HEAD + "inputs: {a: !!int 3}\n", "3: tags (`tag:yaml.org,2002:int`) are not read"),
    (HEAD + "inputs: !!map {}\n", "3: tags"),
    (HEAD + "inputs: {<<: {}}\n", "3: merge keys"),
    (HEAD + "inputs: {a: 1e999}\n", "3: the number 1e999 is too large"),
    (HEAD + f"inputs: {{a: {'1' * 5000}}}\n", "is too long; put it in quotes"),
    (HEAD + "inputs: " + "[" * 100_000, f"3: nested more than {MAX_DEPTH} deep"),
    (HEAD + "#" * MAX_BYTES, "larger than 1 MB"),
    (HEAD + '"a\\e[31m\\n": 1\n', "3: unknown key `a\\x1b[31m\\n`; write one of agentflow, goal"),
    (HEAD + "inputs: 3\n", "3: `inputs` must be a mapping, found the number 3"),
    (HEAD + "budget: {token: 3}\n", "3: unknown key `budget.token`; did you mean `tokens`?"),
    (HEAD + "budget: {tokens: 0}\n", "3: `budget.tokens` must be 1 or more, found the number 0"),
    (HEAD + "budget: {usd: -1}\n", "3: `budget.usd` must be greater than 0"),
    (HEAD + "budget: {tokens: '5'}\n", "must be a whole number, found the text '5'"),
    (HEAD + "budget: {steps: 5.5}\n", "must be a whole number, found the number 5.5"),
    (HEAD + "budget: {steps: true}\n", "must be a whole number, found true"),
    (HEAD + "budget:\n", "3: `budget` must be a mapping, found nothing"),
    (HEAD + f"budget: {{usd: 1{'0' * 400}}}\n", "must be a number, found a number too large"),
    (HEAD + "planner: 3\n", "3: `planner` must be a planner's name or a mapping with `name`"),
    (HEAD + "planner: {depth: 3}\n", "3: `planner.name` is missing; write `name: ...`"),
    (HEAD + "tools: calculate\n", "3: `tools` must be a list, found the text 'calculate'"),
    (HEAD + "tools:\n- a\n- 3\n", "5: `tools.1` must be text, found the number 3"),
    (HEAD + "tools:\n- a\n- a\n", "5: tool `a` is listed twice"),
    (HEAD + "environments: {cave: adventure}\n", "`environments.cave` must be a mapping"),
    (HEAD + "environments: {cave: {}}\n", "3: `environments.cave.use` is missing"),
    (HEAD + "environments: {cave: {use: a, option: {}}}\n", "did you mean `options`?"),
    (HEAD + "environments: {my cave: {use: a}}\n", "3: environment `my cave`: its name begins"),
    (HEAD + "environments: {if: {use: a}}\n", "3: environment `if`: its name begins"),
    (HEAD + "environments: {cave: {use: a}}\n", "3: no tool of environment `cave` is listed"),
    (HEAD + "tools:\n- cave.look\n", "4: tool `cave.look` is an action of `cave`, which is not"),
    (
        HEAD + "environments: {a: {use: b}}\ntools:\n- a\n- a.look\n",
        "6: tool `a.look` is listed twice",
    ),
    (
        HEAD + "environments: {a: {use: b}}\ntools:\n- a.look\n- a\n",
        "6: tool `a` is listed twice",
    ),
    (HEAD + "output: textt\n", "3: `output` must be 'text', 'number'"),
    (HEAD + "output: 3\n", "3: `output` must be one of text, number"),
    (HEAD + "output:\n  type: strin\n", "4: `output.type` is not valid JSON schema: 'strin'"),
    (HEAD + "output:\n  pattern: (\n", "4: `output.pattern` is not valid JSON schema"),
    (HEAD + f"output: {{pattern: 'a{{{'9' * 20}}}'}}\n", "a pattern that is too large"),
    (HEAD + "check: exact\n", "3: `check` must be a mapping of one scorer to its parameters"),
    (HEAD + "check:\n  exact: 3\n", "4: `check.exact` must be a mapping, found the number 3"),
    (HEAD + "check:\n- exact: {}\n- 4\n", "5: `check.1` must be a mapping"),
    (HEAD + "check:\n  a: {}\n  b: {}\n", "3: `check` must name one scorer, found 2; write a list"),
    (HEAD + "check:\n- a: {}\n- {}\n", "5: `check.1` must name one scorer, found 0"),
    (HEAD + "model: [a]\n", "3: `model` must be text such as `auto` or `openai:NAME`"),
    (HEAD + "model:\n  provider: openai\n", "3: `model.name` is missing"),
    (HEAD + "journal: 3\n", "3: `journal` must be text"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_a_mistake_is_one_line_that_says_what_to_write(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    assert said in problem(tmp_path, text)


@pytest.mark.parametrize("key", ["api_key", "apiKey", "token", "password", "Api-Key", "x_secret"])
def test_a_secret_under_model_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    text = f"{HEAD}model:\n  provider: openai\n  name: a\n  {key}: sk-hidden\n"
    message = problem(tmp_path, text)
    assert message.startswith(f"task.yaml:6: `model.{key}` looks like a secret")
    assert "api_key_env: " in message
    assert "sk-hidden" not in message


@pytest.mark.parametrize(
    "place",
    ["{}", "planner:\n  name: recode\n  {}", "inputs:\n  a:\n    - {}", "check:\n- exact:\n    {}"],
)
@pytest.mark.parametrize("key", ["api_key", "apiKey", "OPENAI-API-KEY", "secret_key"])
def test_a_secret_anywhere_is_refused_and_not_shown(tmp_path: Path, place: str, key: str) -> None:
    text = HEAD + place.format(f"{key}: sk-hidden")
    message = problem(tmp_path, text)
    assert message.startswith(f"task.yaml:{len(text.splitlines())}: ")
    assert f"{key}` looks like a secret" in message
    assert "write `api_key_env: NAME_OF_THE_VARIABLE` under `model`" in message
    assert "sk-hidden" not in message


@pytest.mark.parametrize(
    "text",
    [
        "output: {properties: {api_key: {type: string}}}",
        "inputs: {token: a, key: b, api_key_env: c, api_key: null}",
    ],
)
def test_a_key_that_only_names_one_is_no_secret(tmp_path: Path, text: str) -> None:
    load(tmp_path, HEAD + text)


@pytest.mark.parametrize("key", ["api_key_env", "max_tokens", "api", "max_token", "headers"])
def test_no_text_under_model_is_ever_shown(tmp_path: Path, key: str) -> None:
    text = f"{HEAD}model:\n  provider: openai\n  name: a\n  {key}: sk-hidden\n"
    message = problem(tmp_path, text)
    assert message.startswith("task.yaml:6: ")
    assert "secret" not in message
    assert "sk-hidden" not in message


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (Path("/nowhere/task.yaml"), "there is no such file"),
        (Path("/dev/zero"), "not a regular file"),
        (ROOT, "this is a directory, not a file"),
        (Path("x" * 5000), "cannot be read"),
    ],
)
def test_a_path_that_is_no_task_file_is_told(path: Path, said: str) -> None:
    with pytest.raises(TaskFileError, match=said):
        load_task_file(path)


def test_a_schema_as_deep_as_is_allowed_is_checked(tmp_path: Path) -> None:
    deep = "{items: " * (MAX_DEPTH - 2) + "{}" + "}" * (MAX_DEPTH - 2)
    assert load(tmp_path, f"{HEAD}output: {deep}\n").task.output_schema is not None


# Hostile text ------------------------------------------------------------------------------


def survives(folder: Path, content: bytes) -> None:
    try:
        load(folder, content)
    except TaskFileError as error:
        message = str(error)
    else:
        return
    assert "\n" not in message


@fuzzing
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_task_or_one_line(tmp_path: Path, content: bytes) -> None:
    survives(tmp_path, content)


@fuzzing
@given(text=st.text(max_size=80) | st.text(alphabet="ab1:-[]{}&*!|>'\"#%@`?,\n\t .e", max_size=80))
def test_any_text_after_the_head_is_a_task_or_one_line(tmp_path: Path, text: str) -> None:
    survives(tmp_path, (HEAD + text).encode("utf-8", "surrogatepass"))


# JSON writes what lies above as two escapes, which YAML reads as two half characters and refuses.
words = st.text(st.characters(max_codepoint=0xD7FF), max_size=8)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
keys = ["agentflow", "goal", "name", "context", "inputs", "planner", "model", "tools", "budget"]
keys.append("environments")


@fuzzing
@given(given_=st.dictionaries(st.sampled_from([*keys, "output", "check", "journal"]), plain))
def test_any_values_under_the_known_keys_are_a_task_or_one_line(
    tmp_path: Path, given_: dict[str, Any]
) -> None:
    survives(tmp_path, json.dumps({"agentflow": 1, "goal": "x", **given_}).encode())


@fuzzing
@given(data=st.data())
def test_a_damaged_file_is_a_task_or_one_line(tmp_path: Path, data: st.DataObject) -> None:
    (tmp_path / "orders.csv").write_text("id,price\n1,2.5\n")
    whole = WHOLE.encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 30)))
    inserted = data.draw(
        st.binary(max_size=4) | st.sampled_from([b"\t", b"&a ", b"*a", b"- ", b": "])
    )
    survives(tmp_path, whole[:start] + inserted + whole[end:])


@fuzzing
@given(value=plain)
def test_json_is_read_as_json_reads_it(tmp_path: Path, value: object) -> None:
    path = tmp_path / "value.yaml"
    path.write_text(json.dumps({"value": value}), encoding="utf-8")
    assert read_yaml(path).plain() == {"value": json.loads(json.dumps(value))}


# Documents ---------------------------------------------------------------------------------

BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/task-file.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[block[:30] for block in BLOCKS])
def test_every_example_in_the_reference_loads(tmp_path: Path, block: str) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "orders.csv").write_text("id\n1\n")
    load(tmp_path, block if "agentflow: 1" in block else HEAD + block)


def test_the_reference_names_every_key() -> None:
    text = (ROOT / "docs/task-file.md").read_text().partition("### ")[0]
    rows = re.findall(r"^\| `(\w+)`", text, re.MULTILINE)
    assert sorted(rows) == sorted(json_schema()["properties"])


def test_the_committed_schema_is_current() -> None:
    assert json.loads((ROOT / "docs/task.schema.json").read_text()) == json_schema()


def test_the_schema_is_valid_and_refuses_what_the_loader_refuses(tmp_path: Path) -> None:
    Draft202012Validator.check_schema(json_schema())
    validator = Draft202012Validator(json_schema())
    two_checks = {"agentflow": 1, "goal": "x", "check": {"exact": {}, "numeric": {}}}
    for wrong in (
        {"goal": "x"},
        {"agentflow": 2, "goal": "x"},
        {"agentflow": 1, "gaol": "x"},
        two_checks,
    ):
        assert not validator.is_valid(wrong)
        problem(tmp_path, json.dumps(wrong))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.parent.name for path in EXAMPLES])
def test_an_example_loads_and_fits_the_schema(path: Path) -> None:
    load_task_file(path)
    Draft202012Validator(json_schema()).validate(read_yaml(path).plain())


def test_there_are_examples() -> None:
    assert EXAMPLES
