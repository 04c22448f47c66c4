"""The defects of FunCoder's published code: a test each that fails where ours has the same one.

Numbers are those of our reading of that code (a snapshot of December 2024). What concerns one part alone
is tested in more cases beside that part, in tests/planners/functions and tests/agentflow/sandbox/workers.
"""

from typing import Any

import anyio
import pytest
from agentflow_planners.codet import codet
from agentflow_planners.funcoder import funcoder

from agentflow import Budget, Runner
from agentflow.errors import BudgetExceededError, ExpansionError
from agentflow.models.protocol import OnText, Reply, Request
from tests.planners.coders import Coder, called, carried_out, code_task
from tests.planners.test_funcoder import DIVIDED, DOUBLE, HELPERS, PLAIN, RIGHT, TOTAL, WRONG

pytestmark = pytest.mark.anyio


async def answer(script: dict[str, Any], code: str, **options: Any) -> str:
    result, _ = await carried_out(funcoder, script, code_task(code), **{"samples": 3} | options)
    return str(result.output.output)


async def test_defect_1_consensus_and_codet_choose_by_different_rules() -> None:
    # CodeT trusts the model's tests, which are wrong here; the consensus does not look at them.
    script = {
        "write double": [RIGHT, RIGHT, WRONG, RIGHT],
        "tests double": "assert double(3) == 5\nassert double(4) == 6\nassert double(9) == 11\n",
    }
    by_tests, _ = await carried_out(codet, script, code_task(PLAIN), samples=4)
    by_behaviour, _ = await carried_out(funcoder, script, code_task(PLAIN), samples=5)
    assert called(by_tests.output.output, "double(5)") == 7
    assert called(by_behaviour.output.output, "double(5)") == 10


async def test_defect_2_classes_async_functions_and_statements_are_kept() -> None:
    code = '''import sys
from dataclasses import dataclass

sys.setrecursionlimit(3000)

@dataclass
class Point:
    x: int

async def shift(point: Point, by: int) -> Point:
    """Return the point moved by `by`."""
'''
    body = "async def shift(point: Point, by: int) -> Point:\n    return Point(point.x + by)"
    source = await answer({"write shift": body}, code)
    assert "sys.setrecursionlimit(3000)" in source
    moved = await called(source, "shift(Point(1), 2)")
    assert moved.x == 3


async def test_defect_3_decorators_and_all_kinds_of_parameters_are_kept() -> None:
    head = "@cache\ndef join(first: str, /, *rest: str, sep: str = '-', **options: int) -> str:"
    code = f'from functools import cache\n\n{head}\n    """Join the words."""\n'
    body = f"{head}\n    return sep.join((first, *rest))"
    source = await answer({"write join": body}, code)
    assert called(source, "join('a', 'b', 'c', sep='+')") == "a+b+c"
    assert called(source, "join.cache_info().hits") == 0


async def test_defect_4_what_a_prompt_builds_is_what_the_model_gets() -> None:
    _, model = await carried_out(funcoder, {"write double": RIGHT}, code_task(PLAIN), samples=2)
    for request in model.requests:
        assert [message.role for message in request.messages] == ["system", "user", "assistant"]
        assert "def double(x: int) -> int:" in request.messages[1].text


@pytest.mark.parametrize(
    ("bodies", "call", "right"),
    [
        (["0.1 + 0.2", "0.3", "None"], "f(1)", 0.3),
        (["float('nan')", "float('nan')", "None", "None", "float('nan')"], "f(1) != f(1)", True),
        (["(1, 2)", "[1, 2]", "(1, 2)", "[1, 2]", "(1, 2)"], "f(1)", (1, 2)),
        (["{1: 2}", "{'1': 2}", "{1: 2}"], "f(1)", {1: 2}),
    ],
)
async def test_defect_5_behaviour_is_compared_by_type_and_with_tolerance(
    bodies: list[str], call: str, right: Any
) -> None:
    code = 'def f(x: int) -> object:\n    """Return something."""\n'
    versions = [f"def f(x: int) -> object:\n    return {body}" for body in bodies]
    source = await answer({"write f": versions}, code, samples=len(versions) + 1)
    value = called(source, call)
    assert value == pytest.approx(right) if isinstance(right, float) else value == right
    assert type(value) is type(right)


async def test_defect_6_a_function_that_is_right_to_raise_wins() -> None:
    code = 'def root(x: int) -> int:\n    """Return the root of x; raise ValueError below 0."""\n'
    raising = "def root(x: int) -> int:\n    if x < 0:\n        raise ValueError(x)\n    return int(x ** 0.5)"
    silent = "def root(x: int) -> int:\n    return int(abs(x) ** 0.5)"
    source = await answer({"write root": [raising, silent, raising, raising]}, code, samples=4)
    with pytest.raises(ValueError, match="-4"):
        called(source, "root(-4)")


async def test_defect_7_the_confidence_is_told_and_too_little_is_an_abstention() -> None:
    script = {"write double": [RIGHT, RIGHT, WRONG, RIGHT]}
    result, _ = await carried_out(funcoder, script, code_task(PLAIN), samples=4)
    notes = [note.text for step in result.record.steps.values() for note in step.notes]
    assert any("votes (2, 1), confidence" in text for text in notes)
    with pytest.raises(ExpansionError, match="do not agree enough"):
        await answer(script, PLAIN, samples=4, abstain_below=0.9)


async def test_defect_8_equal_runs_give_equal_answers_on_unequal_inputs() -> None:
    script = {
        "write double": [RIGHT, RIGHT, WRONG],
        "inputs double": "double(1)\ndouble( 1 )\ndouble(2)\nprint('no')\ndouble(",
    }
    options = {"samples": 3, "seed": 5, "repairs": 0}
    results = [
        (await carried_out(funcoder, script, code_task(PLAIN), **options))[0] for _ in range(2)
    ]
    assert results[0].output == results[1].output
    observed = [step.input for step in results[0].record.steps.values() if step.name == "observe"]
    assert observed
    counts = [recorded.count(b'"double(1)"') for recorded in observed]
    assert max(counts) == 1


async def test_defect_9_a_hostile_version_reaches_nothing_and_spoils_no_other(
    tmp_path: Any,
) -> None:
    target = tmp_path / "written"
    hostile = (
        "import builtins, os, socket\n"
        "def double(x: int) -> int:\n"
        "    builtins.int = str\n"
        f"    open({str(target)!r}, 'w').write('x')\n"
        "    socket.create_connection(('127.0.0.1', 1))\n"
        "    os._exit(0)\n"
    )
    leaving = "def double(x: int) -> int:\n    raise SystemExit"
    printing = f"print('hello')\n{RIGHT}"
    counting = RIGHT.replace("2 * x", "int(2) * x")
    script = {"write double": [hostile, hostile, leaving, printing, counting]}
    source = await answer(script, DOUBLE, samples=5)
    assert called(source, "double(5)") == 10
    assert not target.exists()


async def test_defect_10_helpers_of_one_function_are_written_side_by_side() -> None:
    class Together(Coder):
        waiting, both = 0, anyio.Event()

        async def complete(self, request: Request, on_text: OnText) -> Reply:
            first = next(message.text for message in request.messages if message.role == "user")
            if "leave the helper unwritten" in first and "`total`" not in first:
                Together.waiting += 1
                if Together.waiting == 2:
                    self.both.set()
                await self.both.wait()  # one after the other would wait here for ever
            return await super().complete(request, on_text)

    whole = "def total(text: str) -> int:\n    return add(numbers(text))"
    model = Together({"divide total": DIVIDED, "write total": whole, **HELPERS})
    with anyio.fail_after(60):
        result = await Runner(model=model, journal=":memory:").run_async(
            funcoder, code_task(TOTAL), samples=2
        )
    assert called(result.output.output, "total('1 2')") == 3


async def test_defect_11_two_helpers_of_one_name_stay_two_functions() -> None:
    code = 'def f(x: int) -> int:\n    """Return twice x, plus one."""\n'
    divided = '''def f(x: int) -> int:
    return grown(twice(x))

def twice(x: int) -> int:
    """Return twice x."""
    ...

def grown(x: int) -> int:
    """Return x plus one."""
    ...
'''
    twice = "def twice(x: int) -> int:\n    return helper(x)\n\ndef helper(x):\n    return 2 * x"
    grown = "def grown(x: int) -> int:\n    return helper(x)\n\ndef helper(x):\n    return x + 1"
    script = {
        "divide f": divided,
        "divide twice": twice,
        "divide grown": grown,
        "write f": "def f(x: int) -> int:\n    return grown(twice(x))",
    }
    assert called(await answer(script, code), "f(5)") == 11


async def test_defect_12_no_stub_is_left_at_the_depth_limit() -> None:
    whole = "def total(text: str) -> int:\n    return sum(map(int, text.split()))"
    script = {"divide total": DIVIDED, "write total": whole}
    source = await answer(script, TOTAL, levels=0)
    assert "..." not in source
    with pytest.raises(ExpansionError):
        await answer({"divide total": DIVIDED, "write total": DIVIDED}, TOTAL, levels=0)


async def test_defect_13_failures_come_back_and_an_easy_function_costs_little() -> None:
    from agentflow_planners.try_first import try_first

    _, model = await carried_out(try_first, {"write double": RIGHT}, code_task(DOUBLE))
    assert len(model.asked) == 2
    loose = DOUBLE.replace("double(2)\n    4", "double(3)\n    6")
    script = {"write double": WRONG, "repair double": RIGHT}
    assert called(await answer(script, loose), "double(5)") == 10


async def test_defect_14_changed_arguments_output_and_iterators_are_behaviour() -> None:
    code = 'def f(items: list) -> None:\n    """Sort items in place and print the first."""\n'
    right = "def f(items: list) -> None:\n    items.sort()\n    print(items[0] if items else None)"
    copying = "def f(items: list) -> None:\n    items = sorted(items)\n    print(items[0] if items else None)"
    silent = "def f(items: list) -> None:\n    items.sort()"
    versions = [copying, right, silent, right]
    source = await answer({"divide f": right, "write f": versions}, code, samples=5)
    items = [3, 1, 2]
    names: dict[str, Any] = {}
    exec(source, names)
    names["f"](items)
    assert items == [1, 2, 3]


async def test_defect_15_a_budget_ends_a_run_with_a_typed_refusal() -> None:
    runner = Runner(
        model=Coder({"write double": RIGHT}), journal=":memory:", budget=Budget(tokens=200)
    )
    with pytest.raises(BudgetExceededError):
        await runner.run_async(funcoder, code_task(DOUBLE), samples=40)


async def test_defect_16_a_prompt_stays_short_however_deep_the_function_is() -> None:
    long = "\n".join(f"    value_{line} = {line}" for line in range(3_000))
    divided = f'def f(x: int) -> int:\n{long}\n    return g(x)\n\ndef g(x: int) -> int:\n    """Return x."""\n    ...\n'
    script = {
        "divide f": divided,
        "write g": "def g(x: int) -> int:\n    return x",
        "write f": "def f(x: int) -> int:\n    return g(x)",
    }
    code = 'def f(x: int) -> int:\n    """Return x."""\n'
    _, model = await carried_out(funcoder, script, code_task(code), samples=2)
    assert "write g" in model.asked
    for request in model.requests:
        assert sum(len(message.text) for message in request.messages) < 15_000


async def test_defect_17_a_fragment_that_does_not_parse_costs_no_more_than_itself() -> None:
    broken = "```python\ndef double(x: int) -> int:\n    return 2 *\n```"
    fenced = f"Sure:\n```python\nthis is no python\n```\nand\n```python\n{RIGHT}\n```\nDone."
    script = {"write double": [broken, fenced]}
    source = await answer(script, DOUBLE)
    assert called(source, "double(5)") == 10
