"""What is seen of a call: its value, its error, what it did to its arguments, what it printed."""

import anyio
import pytest

from agentflow.sandbox.workers.pool import TrialWorkers
from agentflow.sandbox.workers.protocol import Trial
from tests.agentflow.sandbox.workers.parts import load, observe, outcomes, value

pytestmark = pytest.mark.anyio


async def test_values_are_told_with_their_types(workers: TrialWorkers) -> None:
    source = "def f(): return [1, True, None, 'é', 0.1, (1,), {2}, {'a': b'\\xff'}, 3 + 4j]"
    assert await value(workers, source) == {
        "list": [
            *(1, True, None, "é", {"float": "0.1"}, {"tuple": [1]}, {"set": [2]}),
            {"dict": [["a", {"bytes": "ff"}]]},
            {"complex": ["3.0", "4.0"]},
        ]
    }


@pytest.mark.parametrize(
    ("expression", "encoded"),
    [
        ("float('nan')", {"float": "nan"}),
        ("-float('inf')", {"float": "-inf"}),
        ("-0.0", {"float": "-0.0"}),
        ("10 ** 4000", {"int": hex(10**4000)}),
        ("2 ** 100", 2**100),
        ("range(3)", {"range": [0, 3, 1]}),
        ("frozenset('b a'.split())", {"frozenset": ["a", "b"]}),
        ("bytearray(b'a')", {"bytearray": "61"}),
        ("collections.deque([1])", {"list": [1], "type": "deque"}),
        ("collections.Counter('aa')", {"dict": [["a", 2]], "type": "Counter"}),
        (
            "collections.defaultdict(list, a=[])",
            {"dict": [["a", {"list": []}]], "type": "defaultdict"},
        ),
        ("collections.OrderedDict(a=1)", {"dict": [["a", 1]], "type": "OrderedDict"}),
        ("{1: 2}.keys()", {"list": [1], "type": "dict_keys"}),
        ("decimal.Decimal('1.50')", {"scalar": "Decimal", "text": "1.50"}),
        ("datetime.date(2026, 1, 2)", {"scalar": "date", "text": "2026-01-02"}),
        ("pathlib.Path('/a')", {"scalar": "PosixPath", "text": "/a"}),
        ("Color.RED", {"enum": "Color.RED"}),
        ("Point(1, [2])", {"object": "Point", "fields": {"x": 1, "y": {"list": [2]}}}),
        ("Pair(1, 2)", {"object": "Pair", "fields": {"a": 1, "b": 2}}),
        ("Slots()", {"object": "Slots", "fields": {"s": 1}}),
        ("Mine([1])", {"list": [1], "type": "Mine"}),
        ("ValueError('a', 1)", {"exception": "ValueError", "args": ["a", 1]}),
        ("len", {"named": "len"}),
        ("Point", {"named": "Point"}),
        ("iter([1, 2])", {"iterator": [1, 2]}),
        ("(i for i in [1])", {"iterator": [1]}),
        ("(1 // i for i in [1, 0])", {"iterator": [1], "raised": "ZeroDivisionError"}),
        ("re.compile('a')", {"opaque": "Pattern"}),
        ("Ellipsis", {"opaque": "ellipsis"}),
    ],
)
async def test_a_value_has_the_form_of_the_contract(
    workers: TrialWorkers, expression: str, encoded: object
) -> None:
    source = f"""
        import collections, dataclasses, datetime, decimal, enum, pathlib, re
        Color = enum.Enum("Color", "RED")
        Pair = collections.namedtuple("Pair", "a b")
        @dataclasses.dataclass
        class Point:
            x: int
            y: list
        class Slots:
            __slots__ = ("s", "never")
            def __init__(self): self.s = 1
        class Mine(list): pass
        def f(): return {expression}
    """
    assert await value(workers, source) == encoded


async def test_an_endless_iterator_is_told_by_its_beginning(workers: TrialWorkers) -> None:
    told = await value(workers, "import itertools\ndef f(): return itertools.count()")
    assert told == {"iterator": list(range(1000)), "more": True}


async def test_a_value_inside_itself_is_told_by_how_far_up_it_is(workers: TrialWorkers) -> None:
    source = "def f():\n    a = [1]\n    a.append((a,))\n    return a"
    assert await value(workers, source) == {"list": [1, {"tuple": [{"cycle": 2}]}]}


async def test_a_value_that_is_nested_without_end_is_cut(workers: TrialWorkers) -> None:
    source = "def f():\n    a = []\n    for _ in range(10_000): a = [a]\n    return a"
    told = await value(workers, source)
    for _ in range(50):
        (told,) = told["list"]
    assert told == {"cut": "depth"}


async def test_coroutines_and_asynchronous_generators_are_run_to_their_end(
    workers: TrialWorkers,
) -> None:
    source = """
        import asyncio
        async def double(x):
            await asyncio.sleep(0.001)
            return 2 * x
        async def f(): return await asyncio.gather(double(1), asyncio.to_thread(lambda: 3))
        async def g():
            yield 1
            yield await double(1)
        def h(): return asyncio.run(f())
    """
    seen = await observe(workers, source, "f()", "g()", "h()")
    assert [one.value for one in seen] == [
        {"list": [2, 3]},
        {"iterator": [1, 2]},
        {"list": [2, 3]},
    ]


async def test_arguments_are_told_when_a_call_changed_them_and_only_then(
    workers: TrialWorkers,
) -> None:
    source = """
        def f(a, *, k=None):
            a.append(1)
            if k: k.clear()
        def g(a, k=None): return sum(a)
        def fails(a):
            a.clear()
            raise ValueError
    """
    calls = ("f([0], k={1: 2})", "g([1, 2])", "fails([1])", "g(iter([1, 2]))")
    changed, same, failed, consumed = await observe(workers, source, *calls)
    assert changed.arguments == {
        "list": [{"tuple": [{"list": [0, 1]}]}, {"dict": [["k", {"dict": []}]]}]
    }
    assert same.arguments is None
    assert (failed.outcome, failed.arguments) == (
        "raised",
        {"list": [{"tuple": [{"list": []}]}, {"dict": []}]},
    )
    assert (consumed.value, consumed.arguments) == (3, None)


async def test_an_error_is_told_with_the_lines_of_the_source(workers: TrialWorkers) -> None:
    source = """
        import statistics
        class Mine(KeyError): pass
        def f(x):
            return statistics.mean(x)
        def g():
            try:
                f([])
            except Exception as error:
                raise Mine("gone") from error
    """
    (seen,) = await observe(workers, source, "g()")
    failure = seen.failure
    assert failure is not None
    assert (failure.type, failure.bases) == ("Mine", ("KeyError", "LookupError", "Exception"))
    assert (failure.message, failure.line) == ("'gone'", 10)
    assert 'raise Mine("gone") from error' in failure.report
    assert "return statistics.mean(x)" in failure.report
    assert "statistics.py" not in failure.report
    assert "agentflow" not in failure.report


async def test_a_source_that_does_not_load_says_why(workers: TrialWorkers) -> None:
    wrong = await load(workers, "def f(:\n    pass")
    assert wrong.failure is not None
    assert (wrong.failure.type, wrong.failure.line, wrong.observations) == ("SyntaxError", 1, ())
    raised = await load(workers, "x = 1\ny = x / 0")
    assert raised.failure is not None
    assert (raised.failure.type, raised.failure.line) == ("ZeroDivisionError", 2)
    left = await load(workers, "import sys\nsys.exit(3)")
    assert left.failure is not None
    assert (left.failure.type, left.failure.message) == ("SystemExit", "3")


async def test_what_a_call_prints_is_its_own(workers: TrialWorkers) -> None:
    source = """
        import sys
        from sys import stdout
        print("while loading")
        def f(x):
            print("é", x)
            stdout.write("kept\\n")
            stdout.flush()
            sys.stdout.buffer.write(b"\\xff")
            print("not this", file=sys.stderr)
    """
    one, two = await observe(workers, source, "f(1)", "f(2)")
    assert (one.stdout, two.stdout) == ("é 1\nkept\n�", "é 2\nkept\n�")


async def test_every_call_reads_stdin_from_its_start(workers: TrialWorkers) -> None:
    source = """
        import sys
        line = sys.stdin.readline
        first = input()
        def f(): return [first, input(), line(), sys.stdin.read()]
    """
    seen = await observe(workers, source, "f()", "f()", stdin="a\nb\nc")
    assert [one.value for one in seen] == [{"list": ["a", "a", "b\n", "c"]}] * 2


async def test_calls_share_a_module_and_trials_share_nothing(workers: TrialWorkers) -> None:
    source = """
        import builtins, math
        seen = []
        def f(x):
            seen.append(x)
            math.sqrt = builtins.len = builtins.print = lambda *_: 99
            return len(seen)
    """
    assert [one.value for one in await observe(workers, source, "f(1)", "f(2)")] == [99, 99]
    after = "import math\ndef f(): return [math.sqrt(4), len('ab'), 'seen' in globals()]"
    assert await value(workers, after) == {"list": [{"float": "2.0"}, 2, False]}


async def test_chance_and_hashes_are_the_same_every_time(workers: TrialWorkers) -> None:
    source = "import random\ndef f(): return [random.random(), hash('a')]"
    first, again = await observe(workers, source, "f()", "f()")
    assert first.value == again.value == await value(workers, source)


async def test_a_call_may_be_any_expression_and_may_be_none(workers: TrialWorkers) -> None:
    source = "def f(*a, **k): return [a, k]"
    calls = ("f(*[1], **{'k': 2})", "1 + 1", "f", "f(", "[f(x)[0] for x in (1, 2)]", "f(\0)")
    seen = await observe(workers, source, *calls)
    assert outcomes(seen) == ["returned", "returned", "returned", "raised", "returned", "raised"]
    assert seen[0].value == {"list": [{"tuple": [1]}, {"dict": [["k", 2]]}]}
    assert seen[4].value == {"list": [{"tuple": [1]}, {"tuple": [2]}]}
    with pytest.raises((SyntaxError, ValueError)) as refused:  # Python 3.11.2 names it otherwise
        compile(calls[-1], "", "eval")
    types = [one.failure.type for one in seen if one.failure]
    assert types == ["SyntaxError", refused.type.__name__]


async def test_what_modules_say_of_themselves_is_true_inside(workers: TrialWorkers) -> None:
    source = """
        import dataclasses, sys, typing
        @dataclasses.dataclass
        class A:
            x: "int" = 0
        def f(): return [__name__ == "__main__", typing.get_type_hints(A)["x"] is int, A in
            [v for v in vars(sys.modules[A.__module__]).values() if isinstance(v, type)]]
    """
    assert await value(workers, source) == {"list": [False, True, True]}


async def test_many_trials_at_once_get_each_its_own_result(workers: TrialWorkers) -> None:
    results: dict[int, object] = {}

    async def one(number: int) -> None:
        results[number] = await value(workers, f"def f(): return {number}")

    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(one, number)
    assert results == {number: number for number in range(30)}


async def test_a_trial_without_calls_only_loads(workers: TrialWorkers) -> None:
    observed = await workers.observe(Trial(source="x = 1", calls=()))
    assert (observed.failure, observed.observations) == (None, ())
