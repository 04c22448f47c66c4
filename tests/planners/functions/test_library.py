"""The library: one meaning a name, whole programs, and prompts within their budget."""

import ast

import pytest
from agentflow_planners.functions.library import Library
from agentflow_planners.functions.node import FunctionNode
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import ExpansionError, ProgramError
from tests.planners.functions.texts import library_of, one, value

# FunCoder's defects (the numbers of the list we keep) ------------------------------------------


def test_defect_2_and_3_a_program_keeps_what_its_functions_are_read_in() -> None:
    text = """
        from dataclasses import dataclass
        from functools import lru_cache
        import sys

        sys.setrecursionlimit(5_000)

        @dataclass
        class Point:
            x: int

        def root(n, *rest, scale=1):
            return Point(helper(n) * scale), count.cache_info().hits

        @lru_cache(maxsize=None)
        def count(n): return n

        def helper(n):
            return count(n) + count(n)
    """
    source = library_of(text).assemble("root")
    assert value(source, "root(2, 0, scale=3)[0].x, root(2)[1]") == (12, 3)
    assert source.index("setrecursionlimit") < source.index("def ")


def test_defect_11_two_helpers_of_one_name_stay_two_functions() -> None:
    library = Library()
    library.add(one("def left(x): ...\ndef right(x): ...\ndef root(x): return left(x), right(x)"))
    for name, calls in (("left", "helper(x)"), ("right", "helper(x) + mate(x)")):
        library.add(one(f"def {name}(x):\n    # uses the helper\n    return {calls}"), "root")
    library.add(one("def mate(x): return helper(x) * 10"), "right")
    assert library.add(one("def helper(x):\n    'Double.'\n    return 2 * x"), "left") == "helper"
    name = library.add(
        one("def helper(x):\n    'Count down.'\n    return helper(x - 1) if x else 100"), "right"
    )
    assert name == "helper_2"
    source = library.assemble("root")
    assert value(source, "root(3)") == (6, 100 + 1000)
    assert "return helper_2(x) + mate(x)" in source
    assert "# uses the helper\n" in source


def test_defect_11_what_is_added_after_a_renamed_helper_calls_it_by_its_new_name() -> None:
    library = Library()
    library.add(one("def root(x): return left(x), right(x)"))
    library.add(one("def left(x): return helper(x)"), "root")
    library.add(one("def right(x): return mate(x)"), "root")
    library.add(one("def helper(x):\n    'One.'\n    return 1"), "left")
    library.add(one("def helper(x):\n    'Two.'\n    return 2"), "right")
    library.add(one("def helper(x):\n    ...\ndef mate(x): return helper(x)"), "right")
    assert library.needs("mate") == ("helper_2",)
    assert value(library.assemble("root"), "root(0)") == (1, 2)


def test_defect_11_a_helper_of_the_same_meaning_is_shared_and_not_written_again() -> None:
    library = Library()
    library.add(one("def root(x): return left(x) + right(x)"))
    library.add(one("def left(x): return helper(x)"), "root")
    library.add(one("def right(x): return helper(x) + 1"), "root")
    first = one("def helper(x):\n    'Double.'\n    return 2 * x")
    again = one("import math\ndef helper( x ):\n    'Double.'\n    ...")
    assert library.add(first, "left") == library.add(again, "right") == "helper"
    assert library.node("helper").body == "return 2 * x"
    assert library.callers("helper") == ("left", "right", "root")
    assert value(library.assemble("root"), "root(3)") == 13


def test_defect_11_a_renamed_helper_is_found_again_by_its_meaning() -> None:
    library = Library()
    library.add(one("def root(x): return a(x) + b(x) + c(x)"))
    for name in "abc":
        library.add(one(f"def {name}(x): return helper(x)"), "root")
    library.add(one("def helper(x):\n    'One.'\n    return 1"), "a")
    two = one("def helper(x):\n    'Two.'\n    return 2")
    assert [library.add(two, name) for name in "bc"] == ["helper_2", "helper_2"]
    assert value(library.assemble("root"), "root(0)") == 5


def test_defect_11_functions_may_need_each_other_in_a_circle() -> None:
    library = library_of(
        """
        def root(n): return even(n), top(n)
        def even(n): return True if n == 0 else odd(n - 1)
        def odd(n): return False if n == 0 else even(n - 1)
        def top(n): return root(n - 1) if n > 3 else n
        """
    )
    assert library.order() == (("even", "odd"), ("root", "top"))
    assert library.ready(()) == ("even", "odd")
    assert library.ready({"even", "odd"}) == ("root", "top")
    source = library.assemble("root")
    assert value(source, "root(5)") == (False, (True, (False, 3)))
    assert source.rstrip().endswith("top(n)")


def test_defect_12_no_stub_survives_in_a_program() -> None:
    library = library_of("def root(x): return f(x)\ndef f(x): return g(x)\ndef g(x): ...")
    with pytest.raises(ExpansionError, match="`g` has not been written") as caught:
        library.assemble("root")
    assert caught.value.step == "root"
    library.put(library.node("g").written("return 1"))
    assert value(library.assemble("root"), "root(0)") == 1


def test_defect_12_a_helper_that_is_not_there_is_named() -> None:
    library = Library()
    library.add(FunctionNode(name="f", signature="def f(x):", needs=("g",), body="return g(x)"))
    with pytest.raises(ExpansionError, match="`g`"):
        library.assemble("f")


def test_a_stub_that_nothing_calls_is_left_out() -> None:
    library = library_of("def root(x): return x\ndef g(x): ...")
    assert "def g" not in library.assemble("root")


def test_a_function_that_nothing_calls_is_kept_when_it_is_asked_for() -> None:
    library = library_of("def root(x): return x\ndef g(x): return 2")
    source = library.assemble("root", also=["g"])
    assert value(source, "g(1)") == 2
    assert source.index("def g") < source.index("def root")


def test_an_import_that_can_have_no_other_name_is_a_typed_error() -> None:
    library = Library()
    library.add(
        one("def root(x): return urllib(x), part(x)\ndef urllib(x): ...").written("return 1")
    )
    library.add(one("def root(x): return urllib(x), part(x)"))
    with pytest.raises(ProgramError, match="cannot be given another name"):
        library.add(one("import urllib.parse\ndef part(x): return urllib.parse.quote(x)"), "root")


CHAIN = """
    LIMIT = 3
    def root(x):
        'The whole.'
        return near(x)
    def near(x):
        'The part.'
        return target(x) + sibling(x)
    def target(x):
        'What is to be written.'
        return helper(x)
    def helper(x):
        'Help.'
        return LIMIT
    def sibling(x):
        'Beside.'
        return 0
    """


def chain() -> Library:
    library = library_of(CHAIN)
    target = library.node("target")
    library.put(FunctionNode(**{**dict(target), "body": None, "needs": ("helper",)}))
    return library


def test_defect_16_a_prompt_shows_callers_and_short_helpers_whole() -> None:
    shown = chain().context("target", 10_000)
    assert shown == (
        "LIMIT = 3\n\n"
        'def root(x):\n    """The whole."""\n    return near(x)\n\n'
        'def near(x):\n    """The part."""\n    return target(x) + sibling(x)\n\n'
        'def helper(x):\n    """Help."""\n    return LIMIT\n\n'
        'def sibling(x):\n    """Beside."""\n    ...\n\n'
        'def target(x):\n    """What is to be written."""\n    ...'
    )


def test_defect_16_the_nearest_caller_goes_before_those_further_off() -> None:
    library = chain()
    fits = [budget for budget in range(600) if "def near" in _shown(library, budget)]
    assert "def root" not in _shown(library, min(fits))
    assert "return near" in _shown(library, 600)
    # What does not fit whole is shown without its body.
    assert any(
        "def near" in _shown(library, b) and "return target" not in _shown(library, b) for b in fits
    )


@given(st.integers(0, 500))
def test_defect_16_a_prompt_is_never_over_its_budget_and_ends_with_the_stub(budget: int) -> None:
    library = chain()
    stub = library.node("target").stub()
    if budget < len(stub):
        with pytest.raises(ExpansionError, match="characters"):
            library.context("target", budget)
    else:
        shown = library.context("target", budget)
        assert len(shown) <= budget
        assert shown.endswith(stub)
        ast.parse(shown)


def _shown(library: Library, budget: int) -> str:
    try:
        return library.context("target", budget)
    except ExpansionError:
        return ""


def test_a_repeated_stub_of_what_was_shown_is_the_function_that_was_shown() -> None:
    library = chain()
    assert library.add(one("def near(x): ..."), "target") == "near"
    assert library.add(one("def helper(x): ..."), "target") == "helper"
    assert library.node("helper").is_written
    assert len(library.nodes()) == 5
