"""Which functions nobody has written: by scope, never by text."""

import pytest

from agentflow.errors import ProgramError
from agentflow.sandbox.names import parse_program, placeholders, unresolved


@pytest.mark.parametrize(
    ("code", "called", "read"),
    [
        ("a = f(x)\nreturn g(a, k=h(1))", {"f", "g", "h"}, set()),
        ("run(n)", {"run"}, {"n"}),
        ("s = 'f(1)'  # f(2)\nlen(s)", set(), set()),
        ("def own(y):\n    return own(y - 1) + other(y)\nown(x)", {"other"}, set()),
        ("[inner(y) for y in x if keep(y)]", {"inner", "keep"}, set()),
        ("y = 1\n[y for y in x]\ny(2)", set(), set()),
        ("[z for z in x]\nz(1)", {"z"}, set()),
        ("import math as m\nfrom json import loads\nm.sqrt(loads('4'))", set(), set()),
        ("import os.path\nos.getcwd()", set(), set()),
        ("sorted(x, key=score)", set(), {"score"}),
        ("f = lambda v: g(v)\nf(1)", {"g"}, set()),
        ("try:\n    f()\nexcept ValueError as e:\n    e(1)", {"f"}, set()),
        ("with op() as fh:\n    fh(1)", {"op"}, set()),
        ("for i in rows():\n    i()", {"rows"}, set()),
        ("if (n := f()) > 1:\n    n()", {"f"}, set()),
        ("class A:\n    p = 1\n    def m(self):\n        return q(p)", {"q"}, {"p"}),
        (
            "match x:\n    case [first, *rest]:\n        first(rest)\n    case {'k': v, **more}:\n        v(more)",
            set(),
            set(),
        ),
        ("def f(a, /, b=d(), *, c=1, **kw):\n    return kw(a, b, c)", {"d"}, set()),
        ("x.f(1)\nx[0](2)", set(), set()),
        ("await f(x)", {"f"}, set()),
    ],
)
def test_names_are_resolved_by_scope(code: str, called: set[str], read: set[str]) -> None:
    assert {item.name for item in placeholders(code, ["x"])} == called
    assert {name.id for name in unresolved(parse_program(code), ["x"]).reads} == read


def test_a_placeholder_knows_its_line_and_what_the_caller_calls_its_arguments() -> None:
    code = "\nresult = clean(room, row['size'], house.door, 3, f(1), deep=True)"
    found = {item.name: item for item in placeholders(code, ["room", "row", "house"])}
    assert found["clean"].line == 2
    assert found["clean"].parameters == ("room", "size", "door", "argument_4", "f_result")
    assert found["clean"].keywords == ("deep",)


@pytest.mark.parametrize("code", ["def f(:", "a = = 1", "(" * 300 + ")" * 300, "x = \x00"])
def test_what_does_not_parse_is_typed(code: str) -> None:
    with pytest.raises(ProgramError) as caught:
        placeholders(code, [])
    assert caught.value.phase == "parse"
    assert "SyntaxError" in caught.value.report
