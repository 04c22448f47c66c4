"""Function nodes: what they say of a function, and that they write it as it was read."""

import ast
import inspect
from typing import Any

import pytest
from agentflow_planners.functions.node import FunctionNode
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import ExpansionError, ProgramError

BODIES = st.sampled_from(["return 1", "x = [\n1,\n]\nreturn x", "while True:\n\tbreak", "pass"])


def node(signature: str = "def f(x):", **parts: Any) -> FunctionNode:
    return FunctionNode(**{"name": "f", "signature": signature, **parts})


def test_stub_and_source_are_python_with_the_docstring() -> None:
    found = node("@cache\nasync def f(x: int) -> int:", doc="Return x.\n\n>>> f(1)\n1")
    assert found.stub() == (
        '@cache\nasync def f(x: int) -> int:\n    """Return x.\n\n    >>> f(1)\n    1"""\n    ...'
    )
    written = found.written("    y = x\n    return y")
    assert written.source().endswith('"""\n    y = x\n    return y')
    assert found.is_async
    assert written.is_written
    assert not found.is_written


def test_an_unwritten_function_has_no_source() -> None:
    with pytest.raises(ExpansionError, match="`f` has not been written"):
        node().source()


@pytest.mark.parametrize(
    "body", ["...", "pass", "raise NotImplementedError", "raise NotImplementedError('x')", "'doc'"]
)
def test_a_body_that_only_holds_a_place_does_not_count_as_written(body: str) -> None:
    assert not node(body=body).is_written
    with pytest.raises(ExpansionError):
        node(body=body).source()


def test_parameters_of_every_kind_are_told_as_written() -> None:
    found = node("def f(a, /, b: 'é' = \"ü,\", *args: int, c, d=(1, 2), **rest) -> dict[str, int]:")
    told = [(item.name, item.kind, item.annotation, item.default) for item in found.parameters]
    assert told == [
        ("a", "positional_only", None, None),
        ("b", "positional_or_keyword", "'é'", '"ü,"'),
        ("args", "var_positional", "int", None),
        ("c", "keyword_only", None, None),
        ("d", "keyword_only", None, "(1, 2)"),
        ("rest", "var_keyword", None, None),
    ]
    assert found.returns == "dict[str, int]"


@given(BODIES, BODIES)
def test_the_key_does_not_depend_on_the_body(one: str, other: str) -> None:
    empty = node(doc="Return x.")
    assert empty.key == empty.written(one, ["g"]).key == empty.written(other).key


def test_the_key_depends_on_what_the_function_is_for() -> None:
    setup = "LIMIT = 3\nOTHER = 4"
    first = node(doc="Return what is below LIMIT.", setup=setup)
    others = [
        node("def f(x, y):", doc=first.doc, setup=setup),
        node(doc="Return what is above LIMIT.", setup=setup),
        node(doc=first.doc, setup="LIMIT = 5\nOTHER = 4"),
        node("# Return what is below.\ndef f(x):"),
        node("# Return what is above.\ndef f(x):"),
        node("async def f(x):", doc=first.doc, setup=setup),
    ]
    assert len({first.key, *(other.key for other in others)}) == 7


def test_the_key_does_not_depend_on_layout_imports_or_unrelated_constants() -> None:
    first = node(doc="Return what is below LIMIT.", setup="LIMIT = 3")
    same = node(
        "# a note\ndef  f( x ):", doc=first.doc, setup="import math\nOTHER = 1\nLIMIT  =  3"
    )
    assert same.key == first.key


def test_a_string_over_several_lines_keeps_its_value_when_the_body_is_moved() -> None:
    text = '    s = """a\n  b\nc"""\n    if s:\n        return s'
    found = node().written(text)
    assert found.body == 's = """a\n  b\nc"""\nif s:\n    return s'
    assert found.source() == f"def f(x):\n{text}"


@given(st.text(st.sampled_from(" \t\nab\\\"'{é\x00\x1b\ud800"), max_size=12))
def test_any_docstring_reads_back_as_it_was(text: str) -> None:
    lines = [line.rstrip() for line in text.split("\n")]
    doc = inspect.cleandoc("\n".join(lines))
    tree = ast.parse(node(doc=doc).stub())
    assert isinstance(tree.body[0], ast.FunctionDef)
    assert (ast.get_docstring(tree.body[0]) or "") == doc


@pytest.mark.parametrize(
    "parts",
    [
        {"signature": "def g(x):"},
        {"signature": "def f(x)"},
        {"signature": "def f(x): # note"},
        {"signature": "x = 1\ndef f(x):"},
        {"signature": "def f(x): pass\ndef f(x):", "body": "return 1"},
        {"body": ""},
        {"body": "return (\n1"},
        {"body": "x = 1\n'''"},
        {"setup": "import"},
        {"setup": "x = '\x00'"},
        {"body": "return " + "(" * 5000},
        {"body": "return " + "-" * 50_000 + "1"},
        {"body": "return " + "+".join("x" * 3000)},
        {"body": "return " + "x" * 300_000},
    ],
)
def test_what_is_not_one_function_of_that_name_is_a_typed_error(parts: dict[str, Any]) -> None:
    with pytest.raises(ProgramError):
        node(**{"signature": "def f(x):", **parts})


@pytest.mark.parametrize("body", ["", "# only a comment", "return (", "\x00"])
def test_a_body_that_is_none_is_a_typed_error(body: str) -> None:
    with pytest.raises(ProgramError):
        node().written(body)


def test_a_node_for_a_call_says_the_types_of_its_arguments() -> None:
    found = FunctionNode.of_call(
        "total",
        {
            "rows": [{"a": 1}, {"a": 2.5}],
            "flag": True,
            "pair": (1, "x"),
            "none": None,
            "mixed": [1, "x", b"", 2j],
            "deep": [[[[1]]]],
            "empty": [],
            "thing": object(),
        },
        "Return the total.",
        "int",
    )
    assert found.signature == (
        "def total(rows: list[dict[str, int] | dict[str, float]], flag: bool, "
        "pair: tuple[int, str], none: None, mixed: list, deep: list[list[list[list]]], empty: list, "
        "thing) -> int:"
    )


@pytest.mark.parametrize(("name", "argument"), [("f(", "x"), ("f", "class"), ("f", "a b")])
def test_a_call_with_names_that_python_cannot_have_is_a_typed_error(
    name: str, argument: str
) -> None:
    with pytest.raises(ExpansionError, match="cannot be a name"):
        FunctionNode.of_call(name, {argument: 1}, "", None)


def test_a_node_survives_the_journal() -> None:
    found = node(doc="é", needs=("g",), body="return 1", setup="import math")
    assert FunctionNode.model_validate_json(found.model_dump_json()) == found
