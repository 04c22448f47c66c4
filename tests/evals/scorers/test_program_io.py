"""Programs and functions scored by what they print and return, in the real sandbox."""

import json
from typing import Any

import pytest
from agentflow_evals.scorer import Score
from agentflow_evals.scorers.function_io import function_io
from agentflow_evals.scorers.program_io import as_program, program_io, same_output

from agentflow import Runner, flow
from agentflow.errors import InputError

pytestmark = pytest.mark.anyio

SCORERS = {"program_io": program_io, "function_io": function_io}
DOUBLES = [{"stdin": "2\n", "outputs": ["4\n"]}, {"stdin": "5\n", "outputs": ["10"]}]


@flow
async def scored(output: Any, scorer: str, options: dict[str, Any]) -> Score:
    return await SCORERS[scorer](output, options)


async def score(scorer: str, output: Any, **options: Any) -> Score:
    return (await Runner(journal=":memory:").run_async(scored, output, scorer, options)).output


@pytest.mark.parametrize(
    "program",
    [
        "print(2 * int(input()))",
        "def main():\n    print(2 * int(input()))",
        "import sys\ndef main():\n    print(2 * int(sys.stdin.read()))\nif __name__ == '__main__':\n    main()",
        "print(2 * int(open(0).read()))\nexit()",
        "import sys\nsys.stdout.buffer.write(b'%d' % (2 * int(sys.stdin.buffer.readline())))",
        "def solve(n):\n    return n if n == 0 else 2 + solve(n - 1)\nprint(solve(int(input())))",
    ],
)
async def test_a_program_passes_however_it_reads_and_prints(program: str) -> None:
    found = await score("program_io", program, cases=DOUBLES)
    assert found.passed, found.explanation


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print(4)", "case 2 of 2: it printed '4\\n', not '10'"),
        (
            "print(1/0)",
            "case 1 of 2: ",
        ),
        ("import sys; print(4); sys.exit(3)", "it exited with 3"),
        ("def main(:", "the answer is not Python"),
        (7, "the answer is not Python source text"),
        ("import os\nos._exit(0)", "case 1 of 2: it ended with: crashed"),
        ("raise SystemExit", "it printed ''"),
    ],
)
async def test_a_program_that_fails_is_told_why(program: Any, said: str) -> None:
    found = await score("program_io", program, cases=DOUBLES)
    assert not found.passed
    assert said in found.explanation


async def test_a_program_is_stopped_at_its_time_limit() -> None:
    found = await score("program_io", "while True: pass", cases=DOUBLES, seconds=0.2)
    assert found.explanation == "case 1 of 2: it took more than 0.2 s"


async def test_the_expected_output_is_nowhere_in_the_process_of_the_program() -> None:
    snoop = (
        "import gc, sys\n"
        "words = [o for o in gc.get_objects() if isinstance(o, (str, dict, list, tuple))]\n"
        "frame = sys._getframe()\n"
        "seen = repr(words)\n"
        "while frame: seen += repr(frame.f_locals) + repr(frame.f_globals); frame = frame.f_back\n"
        "print('tell-tale' if ''.join(reversed('drow-terces')) in seen else 'nothing')"
    )
    case = {"stdin": "", "outputs": ["secret-word", "tell-tale"]}
    found = await score("program_io", snoop, cases=[case])
    assert found.explanation == "case 1 of 1: it printed 'nothing\\n', not 'secret-word'"


async def test_any_of_several_outputs_is_right() -> None:
    case = {"stdin": "", "outputs": ["1 2", "2 1"]}
    assert (await score("program_io", "print(2, 1)", cases=[case])).passed


async def test_a_check_without_cases_is_refused() -> None:
    with pytest.raises(InputError, match=r"check program_io: .*cases"):
        await score("program_io", "print()", cases=[])


@pytest.mark.parametrize(
    ("given", "wanted", "compare", "tolerance", "same"),
    [
        (" 1 2 \r\n3\n\n", "1 2\n3", "lines", 0, True),
        ("1  2", "1 2", "lines", 0, True),
        ("a  b", "a b", "lines", 0, False),
        ("1\n2", "1 2", "lines", 0, False),
        ("1\n2", "1 2", "tokens", 0, True),
        ("1.0", "1", "lines", 0, True),
        ("0.3333", "0.33331", "lines", 0, False),
        ("0.3333", "0.33331", "tokens", 1e-3, True),
        ("50000000000000000", "50000000000000001", "lines", 0, False),
        ("nan", "NaN", "lines", 0, False),
        ("", "\n", "lines", 0, True),
    ],
)
def test_outputs_are_compared_by_the_rule(
    given: str, wanted: str, compare: str, tolerance: float, same: bool
) -> None:
    assert same_output(given, wanted, compare, tolerance) is same


def test_main_is_called_only_where_nothing_else_does() -> None:
    assert as_program("def main(): pass").endswith("\n\nmain()\n")
    assert as_program("def main(): pass\nmain()").endswith("pass\nmain()")
    assert as_program("x = 1") == "x = 1"


CALLS = [{"call": "f(1)", "returns": [1, 2.5]}, {"call": "f(2)", "returns": [2, 2.5]}]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(x): return (x, 2.5)", "all 2 calls"),
        ("def f(x): return [x, 2.5000000001]", "all 2 calls"),
        ("def f(x): return [1, 2.5]", "'f(2)': the value[0] is 1, not 2"),
        ("def f(x): return [True, 2.5]", "'f(1)': the value[0] is True, not 1"),
        ("def f(x): return {1, 2.5}", "'f(1)': it is a set, no plain value"),
        ("def f(x): raise KeyError(x)", "'f(1)': 'KeyError: 1'"),
        ("class Any:\n  def __eq__(s, o): return True\ndef f(x): return Any()", "no plain value"),
        ("1/0", "ZeroDivisionError"),
        ("def f(:", "the answer is not Python"),
    ],
)
async def test_functions_are_scored_by_what_they_return(source: str, said: str) -> None:
    found = await score("function_io", source, calls=CALLS, tolerance=1e-6)
    assert said in found.explanation
    assert found.passed is said.startswith("all")


SLOW = "import time\n\ndef f(x):\n    end = time.monotonic() + (0.1 if x < 9 else 9)\n    while time.monotonic() < end: pass\n    return x"


async def test_every_call_has_its_own_time_however_many_there_are() -> None:
    calls = [{"call": "f(1)", "returns": 1}] * 50
    run = await Runner(journal=":memory:").run_async(
        scored, "def f(x): return x", "function_io", {"calls": calls, "seconds": 6}
    )
    assert run.output.passed
    (trial,) = (step for step in run.record.steps.values() if step.name == "calls")
    assert json.loads(trial.input)["limits"]["total_s"] > 50 * 6


async def test_all_calls_together_may_have_less_time_and_it_is_said() -> None:
    calls = [{"call": "f(1)", "returns": 1}] * 9
    found = await score("function_io", SLOW, calls=calls, seconds=0.2, total_seconds=0.3)
    assert found.explanation == "'f(1)': it took more than 0.2 s, or all calls more than 0.3 s"


async def test_a_call_is_stopped_at_its_time_limit() -> None:
    calls = [{"call": "f(1)", "returns": 1}, {"call": "f(9)", "returns": 9}]
    found = await score("function_io", SLOW, calls=calls, seconds=0.2)
    assert found.explanation == "'f(9)': it took more than 0.2 s"
