"""Programs that want out, or want everything: a typed error or nothing, and the next program runs."""

import os
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.errors import ProgramError
from agentflow.sandbox.monty import MontySandbox
from agentflow.sandbox.names import placeholders
from agentflow.sandbox.protocol import Limits
from tests.agentflow.sandbox.parts import run

pytestmark = pytest.mark.anyio

SMALL = Limits(feed_s=0.5, calls=50, memory_bytes=32 << 20, stdout_bytes=1_000)


@pytest.mark.parametrize(
    ("code", "phases"),
    [
        pytest.param("x = " + "+".join(["1"] * 5_000), {"parse"}, id="long-sum"),
        pytest.param("x = " + "-" * 3_000 + "1", {"parse"}, id="deep-unary"),
        pytest.param("return 2 ** 100_000", {"unsupported"}, id="unrecordable-int"),
        pytest.param("return 9 ** 9 ** 9", {"limit"}, id="huge-int"),
        pytest.param("return 1 + f(2 ** 100_000)", {"unsupported"}, id="unrecordable-argument"),
        pytest.param(
            "import re\nreturn re.match('(a+)+$', 'a' * 40 + 'b').group()",
            {"run", "limit"},
            id="regex",
        ),
        pytest.param("while True:\n    print('x' * 90)", {"limit"}, id="prints"),
        pytest.param(
            "for i in range(40):\n    print('x' * 90)\n    f(i)", {"limit"}, id="prints-over-calls"
        ),
        pytest.param("while True:\n    f(1)", {"limit"}, id="call-flood"),
        pytest.param(
            "while True:\n    try:\n        nothing\n    except NameError:\n        pass",
            {"limit", "run"},
            id="name-flood",
        ),
        pytest.param("from x import y as __af_wait", {"parse"}, id="reserved-alias"),
        pytest.param("def __af_call(*a):\n    return 1", {"parse"}, id="reserved-def"),
        pytest.param("eval(\"__af_issue('f')\")", {"run"}, id="forged-issue"),
        pytest.param("eval(\"__af_call('f', 'x', 1)\")", {"run"}, id="forged-line"),
        pytest.param('eval("__af_call(5, 1)")', {"run"}, id="forged-name"),
        pytest.param('eval("__af_wait({1}, True)")', {"run"}, id="forged-wait"),
        pytest.param("return (lambda: 1)(x=1)", {"run"}, id="wrong-call"),
        pytest.param("class A:\n    pass\nreturn A()", {"unsupported"}, id="instance"),
        pytest.param(
            "class A:\n    pass\ns = A()\nreturn (A, s)",
            {"crash", "unsupported"},
            id="class-and-instance",
        ),
        pytest.param(
            "().__class__.__base__.__subclasses__()", {"run", "unsupported"}, id="class-walk"
        ),
    ],
)
async def test_hostile_code_is_a_typed_error_and_the_next_program_runs(
    code: str, phases: set[str], sandbox: MontySandbox
) -> None:
    with pytest.raises(ProgramError) as caught:
        await run(sandbox, code, limits=SMALL, f=lambda x: x)
    assert caught.value.phase in phases, caught.value.report
    assert (await run(sandbox, "return f(1)", f=lambda x: x)).value == 1


@pytest.mark.parametrize("code", ["s = '\\d'", "x = 1\nx = 0x1for x in y"])
def test_doubtful_python_brings_no_warning_to_the_host(code: str) -> None:
    assert placeholders(code, ["y"]) == ()


def test_code_too_deep_for_the_visitors_is_a_parse_error() -> None:
    with pytest.raises(ProgramError, match="SyntaxError"):
        placeholders("x = " + "+".join(["1"] * 5_000), [])


@pytest.mark.parametrize(
    "code",
    ["a = []\na.append(a)\nreturn a", "x = []\nfor i in range(5000):\n    x = [x]\nreturn x"],
)
async def test_values_without_end_are_cut_and_harm_nobody(code: str, sandbox: MontySandbox) -> None:
    value = (await run(sandbox, code)).value
    assert isinstance(value, list)
    assert len(value) == 1
    assert (await run(sandbox, "return 1")).value == 1


async def test_a_guessed_handle_is_only_text(sandbox: MontySandbox) -> None:
    seen: list[Any] = []
    await run(sandbox, "a = f('x:0')\nb = f('0' * 32 + ':0')\nreturn a", f=seen.append)
    assert sorted(seen) == sorted(["x:0", "0" * 32 + ":0"])


def children() -> set[int]:
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}


async def test_no_process_is_left_behind() -> None:
    before = children()
    sandbox = MontySandbox()
    await run(sandbox, "return f(1)", f=lambda x: x)
    assert children() > before
    await sandbox.aclose()
    assert children() == before


async def test_a_worker_killed_while_it_computes_is_a_crash() -> None:
    before, sandbox = children(), MontySandbox(workers=1)
    await run(sandbox, "return 1")

    async def kill() -> None:
        for child in children() - before:
            os.kill(child, signal.SIGKILL)

    # The call is issued, and the sum computed while it is under way.
    code = "a = kill()\nb = sum([i * i % 7 for i in range(10 ** 6)])\nc = sum([i for i in range(10 ** 7)])\nreturn a"
    with pytest.raises(ProgramError) as caught:
        await run(sandbox, code, limits=Limits(memory_bytes=1 << 30, feed_s=20), kill=kill)
    assert caught.value.phase == "crash"
    assert (await run(sandbox, "return 1")).value == 1
    await sandbox.aclose()
    assert children() == before


async def test_a_worker_killed_while_the_program_is_paused_fails_at_most_that_program() -> None:
    before, sandbox = children(), MontySandbox(workers=1)

    async def kill() -> int:
        for child in children() - before:
            os.kill(child, signal.SIGKILL)
        return 1

    with pytest.raises(ProgramError) as caught:
        await run(sandbox, "return kill() + 1", kill=kill)
    assert caught.value.phase == "crash"
    assert (await run(sandbox, "return 1")).value == 1
    await sandbox.aclose()


async def test_a_cancelled_endless_loop_leaves_no_process() -> None:
    before, sandbox = children(), MontySandbox(workers=1)
    async with anyio.create_task_group() as group:
        issued = anyio.Event()

        async def note() -> None:
            issued.set()

        code = "a = note()\nb = sum([i for i in range(10 ** 7)])\nreturn a"
        group.start_soon(lambda: run(sandbox, code, limits=Limits(feed_s=20), note=note))
        await issued.wait()
        group.cancel_scope.cancel()
    assert (await run(sandbox, "return 1")).value == 1
    await sandbox.aclose()
    assert children() == before
