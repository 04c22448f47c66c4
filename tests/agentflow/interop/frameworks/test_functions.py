"""Plain functions as flows, in real runs."""

import functools
import importlib
import math
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from agentflow import Runner, idempotency_key, parallel
from agentflow.errors import (
    CodeChangedError,
    InputError,
    MissingExtraError,
    OutputError,
    ToolError,
)
from agentflow.interop.functions import from_function

pytestmark = pytest.mark.anyio

calls: list[str] = []
state = {"healthy": True}


@pytest.fixture(autouse=True)
def fresh() -> None:
    calls.clear()
    state["healthy"] = True


class Point(BaseModel):
    x: int
    y: int = 0


def move(point: Point, by: int = 1) -> Point:
    """Move a point to the right."""
    calls.append(threading.current_thread().name)
    return Point(x=point.x + by, y=point.y)


async def test_a_plain_function_is_typed_by_its_annotations_and_leaves_the_loop_free(
    journal: str,
) -> None:
    flow = from_function(move)
    result = await Runner(journal=journal).run_async(flow, {"x": "3"}, by=2)  # type: ignore[arg-type]
    assert result.output == Point(x=5)
    assert calls != [threading.current_thread().name]
    with pytest.raises(InputError, match="by"):
        await Runner(journal=journal).run_async(flow, Point(x=1), by="two")  # type: ignore[arg-type]


async def test_what_it_returns_has_to_fit(journal: str) -> None:
    def wrong() -> int:
        return "seven"  # type: ignore[return-value]

    with pytest.raises(OutputError, match="seven"):
        await Runner(journal=journal).run_async(from_function(wrong))


async def test_async_functions_and_callables_of_other_kinds_are_flows_as_well(
    journal: str,
) -> None:
    async def double(x: int) -> int:
        return 2 * x

    class Adder:
        async def __call__(self, x: int) -> int:
            return x + 1

    runner = Runner(journal=journal)
    assert (await runner.run_async(from_function(double), 4)).output == 8
    assert (await runner.run_async(from_function(Adder(), name="adder"), 4)).output == 5
    root = functools.partial(math.pow, 2)
    assert (await runner.run_async(from_function(root, name="power"), 3)).output == 8.0


def test_what_is_no_flow_is_refused_when_it_is_made() -> None:
    def many() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="many is a generator"):
        from_function(many)
    with pytest.raises(TypeError, match="give `name=`"):
        from_function(functools.partial(max, 1))
    with pytest.raises(TypeError, match="name every parameter"):
        from_function(print)
    with pytest.raises(ValueError, match="drop `cache`"):
        from_function(move, effect=True, cache=True)


def work(x: int) -> int:
    """Count, or break."""
    calls.append(f"work {x}")
    if x == 2 and not state["healthy"]:
        raise ConnectionError("the line is down")
    return 10 * x


async def both() -> list[int]:
    """Work on one part, then the other."""
    flow = from_function(work)
    return [await flow(1), await flow(2)]


async def test_an_exception_is_the_functions_own_and_a_resume_repeats_nothing_finished(
    journal: str,
) -> None:
    state["healthy"] = False
    runner, root = Runner(journal=journal), from_function(both)
    with pytest.raises(ConnectionError, match="line is down"):
        await runner.run_as("r", root)
    state["healthy"] = True
    assert (await runner.resume(root, "r")).output == [10, 20]
    assert calls == ["work 1", "work 2", "work 2"]


def pay(amount: int) -> str:
    """Pay, unless the bank is down."""
    calls.append(idempotency_key())
    if not state["healthy"]:
        raise ConnectionError("the bank is down")
    return f"paid {amount}"


async def test_a_function_with_effects_is_a_tool_with_an_intent_and_a_key(journal: str) -> None:
    state["healthy"] = False
    runner, flow = Runner(journal=journal), from_function(pay, effect=True)
    with pytest.raises(ToolError, match="bank is down"):
        await runner.run_as("r", flow, 7)
    state["healthy"] = True
    result = await runner.resume(flow, "r")
    assert result.output == "paid 7"
    assert (await runner.replay(flow, "r")).output == "paid 7"
    assert len(calls) == 2, "a replay pays nothing"
    assert len(set(calls)) == 1
    tools = [step for step in result.record.steps.values() if step.kind == "tool"]
    assert {(step.name, step.details.get("effect")) for step in tools} == {("pay", True)}


async def test_a_change_of_the_function_is_noticed(journal: str) -> None:
    def made(factor: int) -> Any:
        space: dict[str, Any] = {"__name__": __name__}
        code = f"def scaled(x: int) -> int:\n    return x * {factor} // (x - 1)\n"
        exec(code, space)
        return space["scaled"]

    with pytest.raises(ZeroDivisionError):
        await Runner(journal=journal).run_as("r", from_function(made(2)), 1)
    with pytest.raises(CodeChangedError, match="scaled"):
        await Runner(journal=journal).resume(from_function(made(3)), "r")


async def test_branches_work_side_by_side(journal: str) -> None:
    meeting = threading.Barrier(3)

    def meet(x: int) -> int:
        meeting.wait(timeout=30)
        return x

    async def all_three() -> list[int]:
        flow = from_function(meet)
        return await parallel(flow(x) for x in range(3))

    result = await Runner(journal=journal).run_async(from_function(all_three))
    assert result.output == [0, 1, 2]


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [("dspy", "dspy", "dspy"), ("pydantic_ai", "pydantic_ai", "pydantic-ai")],
)
def test_without_the_package_the_error_names_the_command(
    package: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for loaded in [name for name in sys.modules if name.startswith("agentflow.interop.")]:
        monkeypatch.delitem(sys.modules, loaded)
    with pytest.raises(MissingExtraError, match=rf"pip install 'agentflow\[{extra}\]'"):
        importlib.import_module(f"agentflow.interop.{module}")
