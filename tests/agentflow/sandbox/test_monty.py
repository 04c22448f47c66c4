"""The sandbox: plain Python in, calls out, overlap where nobody can tell the difference."""

from typing import Any

import anyio
import pytest

from agentflow.errors import ProgramError, ToolError
from agentflow.sandbox.monty import MontySandbox
from agentflow.sandbox.protocol import Call, Limits
from tests.agentflow.sandbox.parts import run

pytestmark = pytest.mark.anyio


def triple(x: int) -> int:
    return 3 * x + 1


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("a = f(x)\nb = f(a)\nreturn a + b", 29),
        ("f(1); f(2)", 7),
        (
            "import math\nfrom collections import Counter\nreturn math.floor(2.5) + Counter('aab')['a']",
            4,
        ),
        ("double = lambda v: 2 * v\ndef own(v):\n    return double(v) + f(v)\nreturn own(x)", 11),
        ("total = 0\nfor i in range(3):\n    total += f(i)\nreturn total", 12),
        ("if f(x) > 5 and f(0) == 1:\n    return 'yes'\nreturn 'no'", "yes"),
        ("return [f(i) for i in range(4) if i % 2]", [4, 10]),
        (
            "return {i: f(i) for i in range(2)}, {f(0)}, sum(f(i) for i in range(3))",
            ({0: 1, 1: 4}, {1}, 12),
        ),
        ("return list(map(f, [1, 2]))", [4, 7]),
        ("a, b = pair(x)\nreturn b - a", 1),
        ("a = f(x)\na = f(a)\na += f(a)\nreturn a", 89),
        ("a = f(1)\nalias = a\nb = f(alias)\nreturn [a, alias, b]", [4, 4, 13]),
        ("xs = [3, 1, 2]\nreturn max({k: f(k) for k in xs}, key={1: 9, 2: 5, 3: 1}.get)", 1),
        ("import asyncio\na, b = await asyncio.gather(f(1), f(2))\nreturn a + b", 11),
        ("async def own(v):\n    return await f(v)\nreturn await own(1)", 4),
        ("x", 2),
        ("y = f(1)", None),
    ],
)
async def test_programs_mean_what_they_mean_in_python(
    code: str, value: Any, parallel: bool, sandbox: MontySandbox
) -> None:
    def pair(x: int) -> tuple[int, int]:
        return x, x + 1

    finished = await run(sandbox, code, {"x": 2}, parallel=parallel, f=triple, pair=pair)
    assert finished.value == value


class Meeting:
    """Two calls that can only both return if they are under way at the same time."""

    def __init__(self) -> None:
        self.met = {"f": anyio.Event(), "g": anyio.Event()}

    async def f(self, *_args: Any) -> int:
        self.met["f"].set()
        await self.met["g"].wait()
        return 1

    async def g(self, *_args: Any) -> int:
        self.met["g"].set()
        await self.met["f"].wait()
        return 2


@pytest.mark.parametrize(
    "code",
    [
        "a = f(1)\nb = g(2)\nreturn a + b",
        "return f(1) + g(2)",
        "return sum([f(1), g(2)])",
        "result = {'a': f(1), 'b': g(2)}\nreturn sum(result.values())",
        "return total(f(1), g(2))",
        "a = [f(x) for x in [1]]\nb = g(2)\nreturn a[0] + b",
        "def both():\n    a = f(1)\n    b = g(2)\n    return a + b\nreturn both()",
        "if True:\n    a = f(1)\n    b = g(2)\nreturn a + b",
    ],
)
async def test_independent_calls_overlap(code: str, sandbox: MontySandbox) -> None:
    meeting = Meeting()
    finished = await run(sandbox, code, f=meeting.f, g=meeting.g, total=lambda a, b: a + b)
    assert finished.value == 3


async def test_a_call_starts_when_its_own_inputs_are_there_and_not_later(
    sandbox: MontySandbox,
) -> None:
    h_started = anyio.Event()

    async def g() -> int:
        await h_started.wait()  # h needs f alone: with a barrier after f and g this never ends
        return 10

    async def h(a: int) -> int:
        h_started.set()
        return a + 1

    code = "a = f()\nb = g()\na2 = h(a)\nb2 = k(b)\nreturn a2 + b2"
    assert (await run(sandbox, code, f=lambda: 1, g=g, h=h, k=lambda b: b + 1)).value == 13


async def test_in_order_means_in_order(sandbox: MontySandbox) -> None:
    seen: list[str] = []

    def log(name: str) -> str:
        seen.append(name)
        return name

    code = "log('a')\nx = log('b')\n[log('c'), log('d')]\nreturn log('e') + log('f')"
    await run(sandbox, code, parallel=False, log=log)
    assert seen == ["a", "b", "c", "d", "e", "f"]


async def test_calls_know_their_number_line_and_what_feeds_them(sandbox: MontySandbox) -> None:
    seen: list[Call] = []

    async def answer(call: Call) -> int:
        seen.append(call)
        return 1

    code = "a = f(1)\nb = f(2)\nc = g(a, k=b)\nreturn c"
    await sandbox.run(code, {}, call=answer, parallel=True, limits=Limits())
    ordered = sorted(seen, key=lambda call: call.number)
    assert [(call.name, call.line, call.waits_for) for call in ordered] == [
        ("f", 1, ()),
        ("f", 2, ()),
        ("g", 3, (0, 1)),
    ]
    assert (ordered[2].args, ordered[2].kwargs) == ((1,), {"k": 1})


def refuse(x: int) -> int:
    raise ValueError(f"no {x}")


@pytest.mark.parametrize("parallel", [True, False])
async def test_a_failing_call_can_be_caught_where_python_would(
    parallel: bool, sandbox: MontySandbox
) -> None:
    code = "try:\n    a = bad(1)\n    b = f(a)\nexcept ValueError as error:\n    return str(error)\nreturn 'none'"
    assert (await run(sandbox, code, parallel=parallel, bad=refuse, f=triple)).value == "no 1"


async def test_a_tools_error_is_caught_by_its_own_type(sandbox: MontySandbox) -> None:
    def tool() -> int:
        raise ToolError(tool="t", name="KeyError", message="k")

    code = "try:\n    return tool()\nexcept KeyError:\n    return 'caught'"
    assert (await run(sandbox, code, tool=tool)).value == "caught"


async def test_an_uncaught_failure_is_the_hosts_own_error_object(sandbox: MontySandbox) -> None:
    error = ValueError("mine")

    def bad() -> int:
        raise error

    for code in ("return bad()", "x = bad()\nreturn 1", "bad()"):
        with pytest.raises(ValueError, match="mine") as caught:
            await run(sandbox, code, bad=bad)
        assert caught.value is error


async def test_errors_name_the_line_as_written(sandbox: MontySandbox) -> None:
    code = "def inner(v):\n    w = f(v)\n    return w / 0\n\na = f(1)\nreturn inner(a)"
    with pytest.raises(ProgramError) as caught:
        await run(sandbox, code, f=triple)
    error = caught.value
    assert (error.phase, error.name, error.line) == ("run", "ZeroDivisionError", 3)
    assert error.report.splitlines() == [
        "ZeroDivisionError: division by zero in line 3: `return w / 0`",
        "  called from line 6: `return inner(a)`",
    ]


@pytest.mark.parametrize(
    ("code", "phase", "says"),
    [
        ("class A(Base):\n    pass", "unsupported", "plain function instead of a class hierarchy"),
        ("import heapq", "unsupported", "do without that module"),
        ("import numpy as np", "unsupported", "No module named 'numpy'"),
        ("def g():\n    yield 1\nreturn list(g())", "unsupported", "build and return a list"),
        ("return sorted([2, 1], key=score)", "run", "name 'score' is not defined"),
        ("while True:\n    pass", "limit", "time limit"),
        ("x = [0]\nwhile True:\n    x = x + x", "limit", "MemoryError"),
        ("def f(n):\n    return f(n + 1)\nreturn f(0)", "limit", "RecursionError"),
        ("return [f(i) for i in range(99)]", "limit", "more than 50 calls"),
        ("__af_issue('f', 1)", "parse", "reserved"),
        ("__af_1 = 5", "parse", "reserved"),
        ("return __import__('os')", "run", "__import__"),
        ("return open('/etc/passwd').read()", "run", "Permission"),
        ("import os\nreturn os.environ['HOME']", "run", ""),
        ("import socket", "unsupported", "socket"),
        ("import subprocess", "unsupported", "subprocess"),
        ("return 'x' * 10 ** 12", "limit", "MemoryError"),
    ],
)
async def test_what_is_not_allowed_is_refused_in_words(
    code: str, phase: str, says: str, sandbox: MontySandbox
) -> None:
    limits = Limits(feed_s=0.5, calls=50, memory_bytes=32 << 20)
    with pytest.raises(ProgramError) as caught:
        await run(sandbox, code, limits=limits, f=triple)
    assert (caught.value.phase, says in caught.value.report) == (phase, True), caught.value.report
    assert (await run(sandbox, "return 1")).value == 1


async def test_only_plain_data_crosses(sandbox: MontySandbox) -> None:
    with pytest.raises(ProgramError, match="the result of f is a object"):
        await run(sandbox, "return f()", f=object)
    with pytest.raises(ProgramError, match="the input x is a object"):
        await run(sandbox, "return 1", {"x": object()})
    with pytest.raises(ProgramError):
        await run(sandbox, "class A:\n    pass\nreturn f(A())", f=lambda a: a)


async def test_prints_are_captured_and_the_hosts_are_its_own(
    sandbox: MontySandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = await run(sandbox, "print('hi', f(1))\nprint('ho')\nreturn 0", f=triple)
    assert finished.stdout == "hi 4\nho\n"
    assert capsys.readouterr().out == ""


async def test_an_endless_loop_does_not_stop_other_programs(sandbox: MontySandbox) -> None:
    ended = anyio.Event()

    async def loops() -> None:
        with pytest.raises(ProgramError, match="time limit"):
            await run(sandbox, "while True: pass", limits=Limits(feed_s=1))
        assert ended.is_set()

    async with anyio.create_task_group() as group:
        group.start_soon(loops)
        await run(sandbox, "return f(1)", f=triple)
        ended.set()


async def test_many_paused_programs_share_one_worker() -> None:
    sandbox, waiting, go = MontySandbox(workers=1), [0], anyio.Event()

    async def ask() -> int:
        waiting[0] += 1
        if waiting[0] == 200:
            go.set()
        await go.wait()
        return 1

    values: list[object] = []

    async def program() -> None:
        values.append((await run(sandbox, "return ask() + 1", ask=ask)).value)

    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(program)
    await sandbox.aclose()
    assert values == [2] * 200


async def test_programs_nest_deeply_on_one_worker() -> None:
    sandbox = MontySandbox(workers=1)

    async def deeper(left: int) -> Any:
        if left == 0:
            return 0
        return (await run(sandbox, "return deeper(n - 1) + 1", {"n": left}, deeper=deeper)).value

    assert await deeper(40) == 40
    await sandbox.aclose()


async def test_cancelling_leaves_the_sandbox_usable(sandbox: MontySandbox) -> None:
    asked = anyio.Event()

    async def ask() -> None:
        asked.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: run(sandbox, "return ask()", ask=ask))
        await asked.wait()
        group.cancel_scope.cancel()
    assert (await run(sandbox, "return f(1)", f=triple)).value == 4
