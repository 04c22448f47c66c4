"""Where overlap could change what a program means, it does not."""

from typing import Any

import pytest

from agentflow.errors import ProgramError
from agentflow.sandbox.monty import MontySandbox
from tests.agentflow.sandbox.parts import run

pytestmark = pytest.mark.anyio


def f(x: int = 0) -> int:
    return 3 * x + 1


def bad(x: int = 0) -> int:
    raise ValueError(f"no {x}")


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize(
    ("code", "value"),
    [
        pytest.param("def show():\n    return a\na = f(1)\nreturn show()", 4, id="closure-reads"),
        pytest.param("get = lambda: a\na = f(1)\nb = f(get())\nreturn b", 13, id="lambda-reads"),
        pytest.param(
            "def own():\n    a = 1\n    def bump():\n        nonlocal a\n        a = 5\n"
            "    a = f(1)\n    bump()\n    return a\nreturn own()",
            5,
            id="closure-writes",
        ),
        pytest.param("xs = [1, 2]\nreturn xs[-1] + f(xs.pop())", 9, id="argument-acts"),
        pytest.param("xs = [1]\na = f(xs[0])\nxs[0] = 9\nreturn a", 4, id="argument-by-value"),
        pytest.param(
            "try:\n    x = bad(1) + bad(2)\nexcept ValueError as e:\n    x = str(e)\nreturn x",
            "no 1",
            id="second-error-behind-a-caught-one",
        ),
        pytest.param(
            "try:\n    a = bad(1)\n    assert False\nexcept ValueError:\n    return 'first'",
            "first",
            id="errors-under-try-come-in-order",
        ),
        pytest.param(
            "try:\n    a = bad(1)\n    b = f({}['k'])\nexcept ValueError:\n    return 'first'",
            "first",
            id="argument-errors-come-in-order",
        ),
        pytest.param(
            "try:\n    d = {k % 2: bad(k) if False else 1 for k in range(4)}\n"
            "    e = {k * 0: bad(k) for k in range(2)}\nexcept ValueError as e:\n    return str(e)",
            "no 0",
            id="equal-keys-lose-no-error",
        ),
        pytest.param("return {k % 2: f(k) for k in range(4)}", {0: 7, 1: 10}, id="last-key-wins"),
        pytest.param(
            "n = []\ndef len(x):\n    n.append(x)\n    return 0\nreturn len(1) + f(n[0])",
            4,
            id="own-function-with-a-builtins-name",
        ),
        pytest.param("return list(map(f, [1])) + [f(2)]", [4, 7], id="map-of-an-unwritten"),
        pytest.param("a = f(1)\na, b = f(a), a\nreturn [a, b]", [13, 4], id="swap"),
        pytest.param(
            "import asyncio\nreturn await asyncio.gather(*[f(i) for i in [1]])", [4], id="gather"
        ),
        pytest.param("return await gather(2)", [2, "wood"], id="gather-is-a-word-too"),
        pytest.param(
            "for i in range(3):\n    if f(i) > 3:\n        break\nreturn i", 1, id="break"
        ),
        pytest.param("a = f(1)\nx = y = f(a)\nreturn x + y", 26, id="two-targets"),
        pytest.param("d = {}\nd['k'] = f(1)\nd['k'] += f(2)\nreturn d", {"k": 11}, id="subscript"),
        pytest.param("return f(*[1]) + f(**{'x': 2})", 11, id="starred"),
        pytest.param("return sum((f(i) for i in range(2)), 1)", 6, id="generator-and-start"),
        pytest.param(
            "a = f(1)\nreturn [i for i in range(a) if i > f(0)]", [2, 3], id="filter-calls"
        ),
        pytest.param(
            "class A:\n    def __init__(self, x):\n        self.x = f(x)\nreturn A(1).x",
            4,
            id="method",
        ),
        pytest.param("def g():\n    a = f(1)\n    return\nreturn g()", None, id="bare-return"),
    ],
)
async def test_overlap_is_not_seen_in_the_value(
    code: str, value: Any, parallel: bool, sandbox: MontySandbox
) -> None:
    finished = await run(
        sandbox, code, parallel=parallel, f=f, bad=bad, gather=lambda n: [n, "wood"]
    )
    assert finished.value == value


async def test_every_iteration_and_every_call_on_a_line_runs_once(sandbox: MontySandbox) -> None:
    seen: list[Any] = []
    code = "act('a'); act('b')\nfor i in range(3):\n    if i != 1:\n        act(i)\n[act(x) for x in 'xy']"
    await run(sandbox, code, act=seen.append)
    assert sorted(map(str, seen)) == ["0", "2", "a", "b", "x", "y"]


async def test_the_result_of_a_call_touches_no_variable_of_the_caller(
    sandbox: MontySandbox,
) -> None:
    async def inner(x: int) -> Any:
        return (await run(sandbox, "a = 100\nx = x + a\nreturn x", {"x": x})).value

    assert (
        await run(sandbox, "a = 1\nx = 2\nb = inner(x)\nreturn [a, x, b]", inner=inner)
    ).value == [
        1,
        2,
        102,
    ]


@pytest.mark.parametrize(
    ("code", "line", "text"),
    [
        ("s = f'{1}' 'a' f'{2}'\n\n\nx = 1 / 0", 4, "x = 1 / 0"),
        ("s = 'a\\u2028b\x0cc\u2028d'\nx = 1 / 0", 2, "x = 1 / 0"),
        ("a = f(\n    1,\n)\nif a:\n    b = [f(i) for i in [1]]\n    c = b['k']", 6, "c = b['k']"),
        ("try:\n    a = f(1)\nfinally:\n    x = {}['k']", 4, "x = {}['k']"),
        ("match f(1):\n    case 4:\n        x = {}['k']", 3, "x = {}['k']"),
    ],
)
async def test_lines_are_those_as_written(
    code: str, line: int, text: str, sandbox: MontySandbox
) -> None:
    with pytest.raises(ProgramError) as caught:
        await run(sandbox, code, f=f)
    assert caught.value.line == line
    assert f"in line {line}: `{text}`" in caught.value.report


async def test_a_name_that_is_only_read_is_said_not_to_exist_yet(sandbox: MontySandbox) -> None:
    with pytest.raises(ProgramError) as caught:
        await run(sandbox, "return sorted([2, 1], key=score)")
    assert "`score` does not exist yet: call it directly" in caught.value.report
