"""Names that two functions want, and code that is renamed: nothing but the names changes."""

import ast
import inspect
import re

import pytest
from agentflow_planners.functions.library import Library
from agentflow_planners.functions.node import Function, FunctionNode
from agentflow_planners.functions.source import read_module
from agentflow_planners.functions.text.scopes import renamed
from hypothesis import given
from hypothesis import strategies as st

from tests.planners.functions.texts import library_of, one, value


def test_a_helper_never_takes_the_name_of_a_builtin_or_an_import_from_others() -> None:
    library = Library()
    library.add(one("from math import gcd\ndef root(x): return part(x) + sum([x, gcd(4, 6)])"))
    library.add(one("def part(x): return sum(x) + gcd(x)"), "root")
    assert library.add(one("def sum(x):\n    'Sum up.'\n    return 100"), "part") == "sum_2"
    assert library.add(one("def gcd(x):\n    'Divide.'\n    return 1000"), "part") == "gcd_2"
    assert value(library.assemble("root"), "root(1)") == 1100 + 1 + 2


def test_constants_of_one_name_and_two_values_stay_two_constants() -> None:
    library = Library()
    library.add(one("MOD = 7\ndef root(x): return x % MOD, part(x)"))
    library.add(one("MOD = 5\ndef part(x, m=MOD): return x % MOD + MOD"), "root")
    assert value(library.assemble("root"), "root(13)") == (6, 8)


def test_a_class_that_the_caller_has_is_not_made_twice() -> None:
    library = Library()
    library.add(
        one("class P:\n    'A point.'\n    x = 1\ndef root(): return isinstance(part(), P)")
    )
    library.add(one("class P:\n    x = 1\ndef part(): return P()"), "root")
    assert value(library.assemble("root"), "root()") is True


def test_imports_are_first_and_there_once() -> None:
    library = Library()
    library.add(one("import math\nfrom typing import List, Dict\ndef root(x): return part(x)"))
    library.add(
        one("from __future__ import annotations\nfrom typing import List\nimport math\nimport re\n"
            "def part(x: List[int]): return math.pi"),
        "root",
    )  # fmt: skip
    lines = library.assemble("root").split("\n")
    assert lines[:4] == [
        "from __future__ import annotations",
        "import math",
        "from typing import List, Dict",
        "import re",
    ]
    assert "import" not in " ".join(lines[4:])


def test_statements_that_call_functions_come_after_them() -> None:
    source = library_of(
        """
        from functools import singledispatch
        BASE = 2
        TABLE = build(3)
        def root(x, first=TABLE[0]): return first + kind(x) + sum(TABLE)
        def build(n): return [step(i) for i in range(n)]
        def step(i): return BASE * i
        @singledispatch
        def kind(x): return 1000
        @kind.register
        def _(x: int): return 2000
        """
    ).assemble("root")
    assert value(source, "root(1)") == 2006
    assert value(source, "root('')") == 1006


def test_a_function_for_nobody_or_an_unknown_one_is_a_wrong_argument() -> None:
    library = Library()
    with pytest.raises(ValueError, match="no function 'g' in the library"):
        library.add(one("def f(x): ..."), "g")
    with pytest.raises(ValueError, match="there are: none"):
        library.assemble("g")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("helper = 1\nreturn helper", None),
        ("return x.helper(helper=1)", None),
        ("return [helper for helper in x]", None),
        ("def inner(helper): return helper\nreturn inner", None),
        ("return lambda helper: helper", None),
        ("for helper in x: pass\nreturn helper", None),
        ("with x as helper: return helper", None),
        ("match x:\n    case helper: return helper", None),
        ("'helper'  # helper\nreturn 'helper'", None),
        ("return [helper(y) for y in helper(x)]", "return [helper_2(y) for y in helper_2(x)]"),
        ("return [helper for helper in helper(x)]", "return [helper for helper in helper_2(x)]"),
        ("é = helper(x); return helper", "é = helper_2(x); return helper_2"),
        ("return lambda y=helper: y", "return lambda y=helper_2: y"),
        ("global helper\nhelper = 3", "global helper_2\nhelper_2 = 3"),
        ("return f'{helper(x)} helper'", "return f'{helper_2(x)} helper'"),
        ("return x.a(  helper ,helper=helper)", "return x.a(  helper_2 ,helper=helper_2)"),
        ("def g():\n    return helper\nreturn g", "def g():\n    return helper_2\nreturn g"),
        (
            "def g():\n    y = 1\n    def h():\n        nonlocal y\n        y = helper\n    h()",
            "def g():\n    y = 1\n    def h():\n        nonlocal y\n        y = helper_2\n    h()",
        ),
        ("helper = 1\ndef g():\n    nonlocal helper\n    helper = 2\nreturn g", None),
        (
            "class A:\n    helper = 1\n    def m(self): return helper",
            "class A:\n    helper = 1\n    def m(self): return helper_2",
        ),
    ],
)
def test_renaming_knows_scopes(body: str, wanted: str | None) -> None:
    library = Library()
    library.add(one("def root(x):\n    return other(x)"))
    library.add(one("def helper(x):\n    'One.'\n    return 1"), "root")
    library.add(FunctionNode(name="user", signature="def user(x):", body=body), "root")
    assert library.add(one("def helper(x):\n    'Two.'\n    return 2"), "user") == "helper_2"
    assert library.node("user").body == (wanted or body)


def test_a_name_that_cannot_be_found_by_its_place_is_renamed_all_the_same() -> None:
    assert renamed("def \\\n helper(x): return helper", {"helper": "new"}) == (
        "def new(x):\n    return new"
    )


# Properties ------------------------------------------------------------------------------------

HEADS = ["def {}(x):", "async def {}(x, /, y: 'int' = 1, *a, k=(1,\n  2), **z) -> int:"]
HEADS += ["# Éà\n@d(1,\n  2)\ndef {}(é = 'ü', x=lambda x: x):", "def  {}  ( x ) : # note"]
DOCS = ["", "'doc'", '"""Two\n\n    lines é."""', "r'''a\\d\n  '''", '"a" "b"']
LINES = ["return {0}(x)", "y = '''a\nb\n  {0}'''", "x = [{0},\n1]  # é", "if x:\n@\ty = {0}({1})"]
LINES += [
    "def g({1}):\n@  return {0}",
    "pass",
    "# {0}",
    "y = f'{{{0}!r}}'; y",
    "return ({1}\n+ {0})",
]
SPACES = ["    ", " ", "\t"]

function = st.tuples(
    st.sampled_from(HEADS),
    st.sampled_from(DOCS),
    st.lists(st.sampled_from(LINES), min_size=1, max_size=4),
    st.sampled_from(SPACES),
)
SETUP = "import math\nd = lambda *a: lambda f: f\n"


def written(name: str, parts: tuple[str, str, list[str], str], others: tuple[str, str]) -> str:
    head, doc, lines, space = parts
    body = [line.format(*others).replace("@", space) for line in lines]
    shown = [f"{space}{line}" for line in ([doc] if doc else []) + body]
    return "\n".join([head.format(name), *shown, f"{space}return 0"])


def _without_ends(doc: str) -> str:
    return inspect.cleandoc("\n".join(line.rstrip() for line in doc.split("\n")))


def cleaned(node: Function, names: dict[str, str]) -> str:
    """Return a function as a tree in text, names given back, docstrings without indentation."""
    doc = ast.get_docstring(node, clean=False)
    if doc is not None:
        node.body[0] = ast.Expr(ast.Constant(_without_ends(doc)))
    text = ast.unparse(node)
    for new, old in names.items():
        text = re.sub(rf"\b{new}\b", old, text)
    return text


@given(st.lists(function, min_size=3, max_size=3))
def test_what_was_read_is_assembled_as_it_was(
    parts: list[tuple[str, str, list[str], str]],
) -> None:
    others = [("beta", "gamma"), ("gamma", "alpha"), ("alpha", "beta")]
    made = zip(("alpha", "beta", "gamma"), parts, others, strict=True)
    text = SETUP + "\n".join(written(*item) for item in made)
    library = Library()
    nodes = read_module(text).functions
    for node in nodes:
        library.add(node, None if node.name == "alpha" else "alpha")
    library.put(FunctionNode(**{**dict(nodes[0]), "body": f"beta, gamma\n{nodes[0].body}"}))
    result = ast.parse(library.assemble("alpha"))
    before = {n.name: cleaned(n, {}) for n in ast.parse(text).body if isinstance(n, Function)}
    after = {n.name: n for n in result.body if isinstance(n, Function)}
    root = after["alpha"]
    del root.body[1 if nodes[0].doc else 0]
    assert {name: cleaned(node, {}) for name, node in after.items()} == before


@given(function, function)
def test_a_renamed_function_differs_in_its_name_only(
    first: tuple[str, str, list[str], str], second: tuple[str, str, list[str], str]
) -> None:
    text = written("helper", second, ("helper", "beta"))
    library = Library()
    library.add(one("def root(x): return helper(x), user(x)"))
    library.add(one("def helper(x):\n    'Another.'\n    return 1"), "root")
    library.add(read_module(written("user", first, ("helper", "x"))).functions[0], "root")
    name = library.add(read_module(text).functions[0], "user")
    assert name == "helper_2"
    before = ast.parse(text).body[0]
    after = ast.parse(library.node(name).source()).body[0]
    assert isinstance(before, Function)
    assert isinstance(after, Function)
    assert cleaned(after, {"helper_2": "helper"}) == cleaned(before, {})


def test_a_long_chain_of_constants_in_the_wrong_order_is_put_right() -> None:
    chain = "\n".join(f"a{i} = a{i + 1}" for i in range(1_500))
    library = Library()
    library.add(read_module(f"{chain}\na1500 = 5\ndef f(): return a0").functions[0])
    assert value(library.assemble("f"), "f()") == 5
