"""Tests run where the source cannot reach them, and calls cross between the two."""

import pytest

from agentflow.sandbox.workers.pool import TrialWorkers
from agentflow.sandbox.workers.protocol import TrialLimits
from tests.agentflow.sandbox.workers.parts import SHORT, examine

pytestmark = pytest.mark.anyio


async def test_a_right_source_passes_and_a_wrong_one_does_not(workers: TrialWorkers) -> None:
    tests = (
        "def check(c):\n    assert c(2) == 4\n    assert c(3) == 9\ncheck(candidate)\nprint('ok')"
    )
    passed = await examine(workers, "def square(x): return x * x", tests, candidate="square")
    assert (passed.passed, passed.failure, passed.stdout) == (True, None, "ok\n")
    wrong = await examine(workers, "def square(x): return x + 2", tests, candidate="square")
    assert not wrong.passed
    assert wrong.failure is not None
    assert (wrong.failure.type, wrong.failure.line) == ("AssertionError", 3)
    assert "assert c(3) == 9" in wrong.failure.report


@pytest.mark.parametrize(
    "expression",
    [
        "1",
        "10 ** 5000",
        "'é\\ud800'",
        "[1.5, None, True]",
        "(1, (2,))",
        "{(1, 2): {3}}",
        "frozenset({1})",
        "b'\\xff'",
        "bytearray(b'a')",
        "1 + 2j",
        "range(3)",
        "float('inf')",
        "Decimal('1.50')",
        "Fraction(1, 3)",
        "date(2026, 1, 2)",
        "Counter('aab')",
        "deque([1, 2])",
        "OrderedDict(a=1)",
    ],
)
async def test_plain_data_crosses_both_ways_and_keeps_its_type(
    workers: TrialWorkers, expression: str
) -> None:
    tests = f"""
        from collections import Counter, OrderedDict, deque
        from datetime import date
        from decimal import Decimal
        from fractions import Fraction
        before = {expression}
        after = f(before)
        assert after == before and type(after) is type(before), after
    """
    examined = await examine(workers, "def f(x): return x", tests)
    assert examined.passed, examined.failure


async def test_named_tuples_and_iterators_come_as_what_they_equal(workers: TrialWorkers) -> None:
    source = """
        from collections import namedtuple
        from itertools import count
        Pair = namedtuple("Pair", "a b")
        def f(x): return Pair(1, 2) if x else count()
    """
    tests = """
        from itertools import islice
        assert f(1) == (1, 2)
        assert list(islice(f(0), 3)) == [0, 1, 2]
    """
    examined = await examine(workers, source, tests)
    assert examined.passed, examined.failure


async def test_an_object_that_equals_everything_equals_nothing_in_the_tests(
    workers: TrialWorkers,
) -> None:
    source = """
        class Yes:
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            def __bool__(self): return True
            def __hash__(self): return 42
        def f(x): return [Yes()] if x else Yes()
    """
    for tests in ("assert f(0) == 42", "assert f(1) == [42]", "assert not f(0) != 42"):
        examined = await examine(workers, source, tests)
        assert not examined.passed
        assert examined.failure is not None
        assert examined.failure.type == "AssertionError"


async def test_an_error_crosses_as_the_built_in_one_it_is(workers: TrialWorkers) -> None:
    source = """
        class Mine(KeyError): pass
        def f(x):
            if x: raise Mine("a", 1)
            return [][3]
    """
    tests = """
        try:
            f(1)
        except KeyError as error:
            assert error.args == ("a", 1)
        f(0)
    """
    examined = await examine(workers, source, tests)
    assert examined.failure is not None
    assert examined.failure.type == "IndexError"
    assert "return [][3]" in examined.failure.report


async def test_arguments_that_the_source_changes_are_changed_in_the_tests(
    workers: TrialWorkers,
) -> None:
    source = """
        def f(rows, names, seen):
            rows[0].append(3)
            rows.pop()
            names["b"] = names.pop("a")
            seen.add(1)
    """
    tests = """
        inner = [1]
        rows, names, seen = [inner, [2]], {"a": inner}, set()
        assert f(rows, names, seen=seen) is None
        assert rows == [[1, 3]] and rows[0] is inner
        assert names == {"b": [1, 3]} or names == {"b": [1]}
        assert seen == {1}
    """
    examined = await examine(workers, source, tests)
    assert examined.passed, examined.failure


async def test_an_asynchronous_function_is_awaited_by_the_tests(workers: TrialWorkers) -> None:
    source = "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x"
    tests = "import asyncio\nassert asyncio.run(f(3)) == 3"
    examined = await examine(workers, source, tests)
    assert examined.passed, examined.failure


async def test_what_cannot_cross_is_a_clear_error(workers: TrialWorkers) -> None:
    examined = await examine(workers, "def f(x): return x(1)", "f(lambda y: y)")
    assert examined.failure is not None
    assert "only plain data can cross" in examined.failure.message


async def test_the_source_finds_neither_the_tests_nor_their_process(workers: TrialWorkers) -> None:
    source = """
        import ctypes, gc, os, sys
        SECRET = "".join(map(chr, (113, 119, 101, 114, 116, 122, 117)))  # as in the tests
        def f(x):
            found = []
            for held in gc.get_objects():
                if isinstance(held, dict) and SECRET in repr(list(held))[:10_000]:
                    found.append("an object")
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.ptrace(16, os.getppid(), 0, 0) == 0:
                found.append("its parent")
            for descriptor in range(64):
                try:
                    if SECRET.encode() in os.read(descriptor, 1) if descriptor < 3 else b"":
                        found.append("a pipe")
                except (OSError, TypeError):
                    pass
            frame = sys._getframe()
            while frame:
                if SECRET in str(frame.f_locals):
                    found.append("a frame")
                frame = frame.f_back
            return found
    """
    tests = "qwertzu = 12345\nassert f(1) == [], f(1)"
    examined = await examine(workers, source, tests)
    assert examined.passed, examined.failure


async def test_an_earlier_examination_is_not_left_in_the_memory_of_a_later_source(
    workers: TrialWorkers,
) -> None:
    marker = "zebra_" + "crossing_" * 3
    tests = f"expected = '{marker}'\nassert f(1) == 1\n" + "# filling\n" * 200
    for _ in range(10):
        assert (await examine(workers, "def f(x): return x", tests)).passed
    source = f"""
        import ctypes, sys, types
        WANTED = {marker[::-1]!r}[::-1].encode() + b"'"
        def f(x):
            # All that malloc has ever given out here: code objects are from it, so they show where it begins.
            libc = ctypes.CDLL(None)
            libc.sbrk.restype = ctypes.c_void_p
            end = libc.sbrk(0)
            codes = [id(item.__code__) for module in list(sys.modules.values())
                     for item in vars(module).values() if isinstance(item, types.FunctionType)]
            begin = min(code for code in codes if end - (256 << 20) < code < end)
            return [ctypes.string_at(begin, end - begin).count(WANTED), end - begin > 1 << 20]
    """
    examined = await examine(workers, source, "assert f(1) == [0, True], f(1)")
    assert examined.passed, examined.failure


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("import os; os._exit(0)", "Crash"),
        ("raise SystemExit(0)", "Exception"),
        ("while True: pass", "TimeoutError"),
        ("return [0] * 10**10", "MemoryError"),
        ("return 'x' * 10**7", "MemoryError"),
        (
            "import os\n    for d in range(3, 64):\n        try: os.write(d, b'[[[[' * 99)\n        except OSError: pass",
            "Crash",
        ),
        ("import os; os.closerange(0, 64)", "Crash"),
    ],
)
async def test_a_source_cannot_end_the_tests_well(
    workers: TrialWorkers, body: str, kind: str
) -> None:
    tests = "try:\n    f(1)\nexcept Exception as e:\n    assert type(e) is not Exception, 'left'\nexcept BaseException:\n    pass"
    examined = await examine(workers, f"def f(x):\n    {body}", tests, SHORT)
    assert not examined.passed
    assert examined.failure is not None
    assert examined.failure.type == kind or examined.failure.type == "AssertionError"


async def test_a_source_that_does_not_load_or_lacks_the_function_fails(
    workers: TrialWorkers,
) -> None:
    wrong = await examine(workers, "def f(", "f()")
    assert wrong.failure is not None
    assert wrong.failure.type == "SyntaxError"
    missing = await examine(workers, "def g(): pass", "f()")
    assert missing.failure is not None
    assert missing.failure.message == "the source does not define f"


async def test_only_tests_that_run_to_their_end_pass(workers: TrialWorkers) -> None:
    source = "def f(): return 1"
    ended = await examine(workers, source, "import os\nos._exit(0)", SHORT)
    assert ended.failure is not None
    assert ended.failure.type == "Crash"
    slow = await examine(workers, source, "while True: f()", TrialLimits(total_s=0.5))
    assert slow.failure is not None
    assert slow.failure.type == "TimeoutError"
    left = await examine(workers, source, "raise SystemExit(1)", SHORT)
    assert not left.passed


async def test_tests_of_unittest_run(workers: TrialWorkers) -> None:
    tests = """
        import unittest
        class Tests(unittest.TestCase):
            def test_one(self): self.assertEqual(f(), {expected})
        unittest.main(module="tests", argv=["tests"])
    """
    source = "def f(): return 1"
    assert (await examine(workers, source, tests.format(expected=1))).passed
    assert not (await examine(workers, source, tests.format(expected=2))).passed
