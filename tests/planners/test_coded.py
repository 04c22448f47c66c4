"""Flows that are Python text: what is refused before it runs, what stops it, and what it can call."""

from typing import Any

import anyio
import pytest
from agentflow_planners.shared import coded
from agentflow_planners.shared.coded import MAX_SOURCE_CHARS, Allowance, checked, run_coded
from agentflow_planners.shared.vocabulary import names

from agentflow import Runner, flow
from agentflow.errors import ExpansionError, ProgramError

pytestmark = pytest.mark.anyio

GOOD = "def forward(task):\n    return ask(task['question'])"


@flow
async def one(source: str, most: int = 6) -> Any:
    """Run a program whose one function of the host is `double`."""

    async def double(number: int) -> int:
        return 2 * number

    return await run_coded(source, {"number": 4}, {"double": double}, most=most)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "there is no function `def forward(task)`"),
        ("def solve(task):\n    return 1", "there is no function `def forward(task)`"),
        ("def forward(task, model):\n    return 1", "takes one parameter"),
        ("def forward(task:\n    return 1", "line 1"),
        ("import os\ndef forward(task):\n    return os.environ", "os is not there; only asyncio"),
        ("from subprocess import run\ndef forward(task):\n    pass", "subprocess is not there"),
        ("from . import x\ndef forward(task):\n    pass", ". is not there"),
        ("def forward(task):\n    return __import__('os')", "names like __import__"),
        (
            "def forward(task):\n    return ().__class__",
            "names like __class__ are not allowed in line 2",
        ),
        (
            "def forward(task):\n    return open('/etc/passwd').read()",
            "open is not there in line 2",
        ),
        ("def forward(task):\n    return eval('1')", "eval is not there"),
        ("def forward(task):\n    return getattr(task, 'x')", "getattr is not there"),
        ("print('now')\ndef forward(task):\n    return 1", "outside of a function in line 1"),
        ("def forward(task):\n    return 1\nreturn 2", "outside of a function in line 3"),
        ("while True:\n    pass\ndef forward(task):\n    return 1", "in line 1: `while True:`"),
        ("def ask(prompt):\n    return 'yes'\n" + GOOD, "ask is there: call it"),
        (
            "def forward(task):\n    a = 1\n    return fly(a)",
            (
                "fly is not defined; the functions there are: ask, ask_json, planner, run_tests, vote "
                "in line 3: `return fly(a)`"
            ),
        ),
        (GOOD + "\n" + "#" * MAX_SOURCE_CHARS, "20000 are allowed"),
        ("def forward(task):\n    return " + "(" * 90 + "1" + ")" * 90 + "+1" * 400, "nested too"),
    ],
    ids=lambda text: text[:30],
)
def test_what_may_not_run_is_refused_before_it_does_and_the_line_is_named(
    source: str, said: str
) -> None:
    with pytest.raises(ProgramError) as caught:
        checked(source, names())
    assert said in caught.value.report


@pytest.mark.parametrize(
    "source",
    [
        GOOD,
        (
            '"""A flow."""\nimport math\nfrom collections import Counter\nK: int = 3\n\n'
            "def most(found):\n    return Counter(found).most_common(1)[0][0]\n\n"
            "def forward(task):\n    found = [ask(str(k)) for k in range(K)]\n    return most(found)"
        ),
        "async def forward(task):\n    return await ask('x')",
    ],
)
def test_plain_programs_may_run(source: str) -> None:
    assert checked(source, names()) == source


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def forward(task):\n    while True:\n        pass", "time limit"),
        (
            (
                "def forward(task):\n    while True:\n        try:\n            double(1)\n"
                "        except Exception:\n            pass"
            ),
            "more than 6 calls",
        ),
        ("def forward(task):\n    return [double(i) for i in range(100)]", "more than 6 calls"),
        ("def forward(task):\n    return 'x' * 10**10", "memory limit"),
        ("def forward(task):\n    return forward(task)", "recursion"),
        ("def forward(task):\n    return task['nothing']", "KeyError"),
        (
            "def forward(task):\n    x = 1\n    return double()",
            "double: missing a required argument",
        ),
        (
            "def forward(task):\n    return double(1, secret=2)",
            "unexpected keyword argument 'secret'",
        ),
    ],
    ids=lambda text: text[:60],
)
async def test_what_goes_wrong_in_the_run_is_a_typed_error_and_the_run_goes_on(
    source: str, said: str, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coded, "COMPUTING_S", 0.5)

    @flow
    async def both(source: str) -> list[Any]:
        try:
            await one(source)
        except ProgramError as error:
            return [
                error.report,
                await one("def forward(task):\n    return double(task['number'])"),
            ]
        return ["it ran", None]

    report, after = (await Runner(journal=journal).run_async(both, source)).output
    assert said.lower() in report.lower()
    assert after == 8


async def test_a_misused_function_names_the_line(journal: str) -> None:
    with pytest.raises(ProgramError) as caught:
        await Runner(journal=journal).run_async(
            one, "def forward(task):\n    x = 1\n    return double()"
        )
    assert caught.value.line == 3
    assert caught.value.report.endswith("in line 3: `return double()`")


async def test_functions_that_do_not_need_each_other_run_side_by_side(journal: str) -> None:
    seen: set[str] = set()
    all_there = anyio.Event()

    async def meet(name: str) -> str:
        seen.add(name)
        if len(seen) == 3:
            all_there.set()
        await all_there.wait()  # one after the other would wait here for ever
        return name

    @flow
    async def meeting() -> Any:
        source = (
            "def forward(task):\n    a = meet('a')\n    b = meet('b')\n"
            "    others = [meet(name) for name in ['c']]\n    return [a, b, *others]"
        )
        return await run_coded(source, {}, {"meet": meet}, most=5)

    with anyio.fail_after(20):
        assert (await Runner(journal=journal).run_async(meeting)).output == ["a", "b", "c"]


async def test_an_allowance_is_used_up_and_a_replay_grants_the_same(journal: str) -> None:
    @flow
    async def spending(limit: int) -> list[str]:
        allowance, told = Allowance("uses", limit), []
        for count in (2, 3, 1):
            try:
                await allowance.take(count)
                told.append("granted")
            except ExpansionError as error:
                told.append(error.problem)
        return told

    runner = Runner(journal=journal)
    result = await runner.run_async(spending, 3)
    assert result.output == ["granted", "no more than 3 uses are allowed", "granted"]
    assert (await runner.replay(spending, result.id)).output == result.output
