"""Reading functions out of text: to the letter, with nothing lost that the program needs."""

import ast
import bdb
import dis
import functools
import heapq
import inspect
import textwrap
import typing
from types import ModuleType

import pytest
from agentflow_planners.functions.node import Function, FunctionNode
from agentflow_planners.functions.source import (
    is_stub,
    read_module,
    read_reply,
)
from agentflow_planners.functions.text.layout import shape


def code(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


def only(text: str) -> FunctionNode:
    (found,) = read_module(text).functions
    return found


# FunCoder's defects (the numbers of the list we keep) ------------------------------------------


def test_defect_2_classes_dataclasses_async_functions_and_statements_are_kept() -> None:
    module = read_module(
        code(
            """
            import sys
            from dataclasses import dataclass

            sys.setrecursionlimit(10_000)

            class Plain:
                def walk(self): return 1

            # a point
            @dataclass
            class Point:
                x: int = 0  # across

            LIMIT: int = 3
            TABLE = [0] * LIMIT
            for i in range(LIMIT):
                TABLE[i] = i

            async def fetch(x):
                await x

            def plain(): return 2
            """
        )
    )
    assert module.setup == (
        "import sys",
        "from dataclasses import dataclass",
        "sys.setrecursionlimit(10_000)",
        "class Plain:\n    def walk(self): return 1",
        "# a point\n@dataclass\nclass Point:\n    x: int = 0  # across",
        "LIMIT: int = 3",
        "TABLE = [0] * LIMIT",
        "for i in range(LIMIT):\n    TABLE[i] = i",
    )
    assert [(node.name, node.is_async) for node in module.functions] == [
        ("fetch", True),
        ("plain", False),
    ]


def test_defect_3_decorators_and_every_kind_of_parameter_stay_in_the_signature() -> None:
    found = only(
        code(
            """
            # Sums up.
            @first(
                size=1,
            )
            @second
            def f(
                a, /, b: "dict[str, int]" = {"a:b": 1}, *args,
                key=lambda x: x, **rest  # all: of it
            ) -> int:
                return 1
            """
        )
    )
    assert found.signature == code(
        """
        # Sums up.
        @first(
            size=1,
        )
        @second
        def f(
            a, /, b: "dict[str, int]" = {"a:b": 1}, *args,
            key=lambda x: x, **rest  # all: of it
        ) -> int:
        """
    )
    assert [item.kind for item in found.parameters] == [
        "positional_only",
        "positional_or_keyword",
        "var_positional",
        "keyword_only",
        "var_keyword",
    ]
    assert found.body == "return 1"


def test_defect_17_text_that_no_formatter_can_read_is_kept_as_written() -> None:
    odd = "def f( x,y = 1 ) :  # odd\n\tif x : return {  'a':x ,}\n\n\n\treturn   y;  y+1  # end"
    found = only(odd)
    assert found.signature == "def f( x,y = 1 ) :"
    assert found.body == "# odd\nif x : return {  'a':x ,}\n\n\nreturn   y;  y+1  # end"
    reply = read_reply(f"```python\n{odd}\n```\nThis prints:\n```\n1 apple, 2 pears)\n```")
    assert reply.functions == (found,)


# Cutting text out ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "signature", "doc", "body"),
    [
        ("def f(x): return x", "def f(x):", "", "return x"),
        ("def f(x): 'doc'; return x", "def f(x):", "doc", "return x"),
        ("def f(é='é'): y = 'ü'; return y  # ß", "def f(é='é'):", "", "y = 'ü'; return y  # ß"),
        ("def f(x): return (x +\n  1)", "def f(x):", "", "return (x +\n  1)"),
        ("def f(x):\n  r'''a\\d\n  b'''\n  return x", "def f(x):", "a\\d\nb", "return x"),
        ('def f(x):\n  "a" "b"; y = 1\n  return y', "def f(x):", "ab", "y = 1\nreturn y"),
        ("def f(x):\n    'é'; é = 1\n    return é", "def f(x):", "é", "é = 1\nreturn é"),
        ("def f(x):\n\t# why\n\treturn x", "def f(x):", "", "# why\nreturn x"),
        (
            "def f(x):\n\t'd'\n\t# why\n\n\tdef g():\n\t\treturn x\n\treturn g",
            "def f(x):",
            "d",
            "# why\n\ndef g():\n\treturn x\nreturn g",
        ),
        (
            "def f(x):\n    @d\n    def g(): pass\n    return g",
            "def f(x):",
            "",
            "@d\ndef g(): pass\nreturn g",
        ),
        (
            "def f(x):\r\n    y = '''a\r\n b'''\r\n    return y\r\n",
            "def f(x):",
            "",
            "y = '''a\n b'''\nreturn y",
        ),
        ("def f(x):\n    return [\n  1,\n]", "def f(x):", "", "return [\n1,\n]"),
        ("def f(x) -> (lambda: 0): return x", "def f(x) -> (lambda: 0):", "", "return x"),
        ("def f(x) \\\n  : return x", "def f(x) \\\n  :", "", "return x"),
    ],
)
def test_a_function_is_cut_out_to_the_letter(
    text: str, signature: str, doc: str, body: str
) -> None:
    found = only(text)
    assert (found.signature, found.doc, found.body) == (signature, doc, body)


def test_statements_that_share_a_line_are_kept_once_each() -> None:
    setup = read_module("é = 'é'; b = 2; c = [\n3]  # three\ndef f(): return é").setup
    assert setup == ("é = 'é'", "b = 2", "c = [\n3]  # three")


def test_the_last_written_version_of_a_function_counts() -> None:
    module = read_module(
        "def f(x): return 1\ndef f(x): return 2\ndef f(x): ...\ndef g(x): ...\ndef g(x): return 3"
    )
    assert [node.body for node in module.functions] == ["return 2", "return 3"]


def test_functions_that_a_decorator_registers_stay_with_the_setup() -> None:
    module = read_module(
        "from functools import singledispatch\n@singledispatch\ndef f(x): return 0\n"
        "@f.register\ndef _(x: int): return 1\n@f.register\ndef _(x: str): return 2"
    )
    assert [node.name for node in module.functions] == ["f"]
    assert module.setup[1:] == (
        "@f.register\ndef _(x: int): return 1",
        "@f.register\ndef _(x: str): return 2",
    )


def test_try_outs_are_left_out_and_what_the_functions_use_is_kept() -> None:
    module = read_module(
        code(
            '''
            """Module."""
            import random, doctest
            random.seed(1)
            TABLE = build(10)
            USED_BY_TABLE = 3
            for n in range(3):
                print(f(n))
            for n in range(3):
                TABLE[n] = build(n)
            if True:
                CACHE = {}
            data = [1, 2]
            result = f(data)
            assert f(1) == 2
            f(3)
            f(2) == 3
            print(result)
            n = int(input())
            doctest.testmod()
            try:
                import numpy
            except ImportError:
                numpy = None
            def build(n): return [USED_BY_TABLE]
            def f(x): return TABLE
            if __name__ == "__main__":
                print(f(1))
            '''
        )
    )
    assert module.setup == (
        "import random, doctest",
        "random.seed(1)",
        "TABLE = build(10)",
        "USED_BY_TABLE = 3",
        "for n in range(3):\n    TABLE[n] = build(n)",
        "if True:\n    CACHE = {}",
        "data = [1, 2]",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None",
    )


def test_needs_are_the_functions_of_the_module_that_are_used() -> None:
    module = read_module(
        "def memo(f): return f\ndef g(x): return x\ndef h(x): ...\n"
        "@memo\ndef f(x, h=None):\n    g = x.h\n    return f(g)\n"
        "def k(g):\n    return [h(h2) for h2 in g]"
    )
    needs = {node.name: node.needs for node in module.functions}
    assert needs == {"memo": (), "g": (), "h": (), "f": ("memo",), "k": ("h",)}


@pytest.mark.parametrize(
    ("body", "doc"),
    [
        ("    '''Double.'''", "Double."),
        ("    ...", ""),
        ("    pass", ""),
        ("    raise NotImplementedError('later')", ""),
        ("    '''Double.'''\n    # TODO: write\n    pass", "Double."),
        ("    # TODO: double it\n    # at once\n    ...", "double it\nat once"),
        ("    # TODO double it\n    return None", "double it"),
        ("    return 0  # TODO", ""),
        ("    import math\n    'Double.'\n    ...", "Double."),
    ],
)
def test_a_body_that_only_holds_a_place_makes_a_stub(body: str, doc: str) -> None:
    found = only(f"def f(x):\n{body}")
    assert not found.is_written
    assert found.doc == doc


def test_a_function_that_does_something_is_no_stub() -> None:
    tree = ast.parse("def f(): return None\ndef g(): ...\nclass A: ...\nx = 1")
    assert [is_stub(item) for item in tree.body] == [False, True, False, False]
    assert only("def f():\n    return 0").is_written


# A real corpus ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("module", [ast, bdb, dis, functools, heapq, inspect, textwrap, typing])
def test_every_function_of_the_standard_library_is_read_as_it_is(module: ModuleType) -> None:
    text = inspect.getsource(module)
    there = [node for node in ast.parse(text).body if isinstance(node, Function)]
    expected = {shape(_undocumented(node)) for node in there}
    for node in read_module(text).functions:
        if node.is_written:
            (found,) = ast.parse(node.source()).body
            assert isinstance(found, Function)
            assert (ast.get_docstring(found) or "") == node.doc
            assert shape(_undocumented(found)) in expected


def _undocumented(node: ast.stmt) -> ast.stmt:
    assert isinstance(node, Function)
    if ast.get_docstring(node) is not None:
        del node.body[0]
    return node
