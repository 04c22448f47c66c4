"""The live graph: what runs when, what may still be changed, and who hears of a failure."""

from typing import Any

import anyio
import pytest
from agentflow_planners.shared.live_graph import Given, LiveGraph, Work

from agentflow import BranchFailure, Flow, Runner, flow
from agentflow.errors import ExpansionError, GraphError, ToolError

pytestmark = pytest.mark.anyio


def gives(value: Any, seen: list[str] | None = None) -> Work:
    """Return a node's work that notes its value and gives it."""

    async def work(_given: Given) -> Any:
        if seen is not None:
            seen.append(value)
        return value

    return work


async def run(live: LiveGraph) -> dict[str, Any]:
    """Run a graph below a step, as a planner does."""
    found: dict[str, Any] = {}

    @flow
    async def root() -> None:
        found.update(await live.run())

    await Runner(journal=":memory:").run_async(root)
    return found


async def test_nodes_that_do_not_wait_for_each_other_run_side_by_side() -> None:
    told = anyio.Event()

    async def waits(_given: Given) -> str:
        await told.wait()  # one after the other would wait here for ever
        return "heard"

    async def tells(_given: Given) -> str:
        told.set()
        return "told"

    live = LiveGraph("test")
    live.extend({"waits": waits, "tells": tells})
    assert await run(live) == {"waits": "heard", "tells": "told"}


async def test_a_node_starts_although_a_node_it_does_not_wait_for_has_not_ended() -> None:
    late = anyio.Event()

    async def slow(_given: Given) -> None:
        await late.wait()

    async def second(given: Given) -> Any:
        late.set()
        return given["first"]

    live = LiveGraph("test")
    live.extend({"slow": slow, "first": gives(1), "second": second}, [("first", "second")])
    assert (await run(live))["second"] == 1


async def test_a_node_added_by_a_running_one_runs_at_once_and_before_its_target() -> None:
    seen: list[str] = []
    begun = anyio.Event()
    live = LiveGraph("test")

    async def added(_given: Given) -> None:
        seen.append("added")
        begun.set()

    async def adder(_given: Given) -> None:
        live.extend({"added": added}, [("added", "target")])
        await begun.wait()  # it does not wait for the end of the node that adds it
        seen.append("adder")

    live.extend({"adder": adder, "target": gives("target", seen)}, [("adder", "target")])
    await run(live)
    assert seen == ["added", "adder", "target"]


async def test_nothing_new_may_come_before_a_node_that_has_started() -> None:
    live = LiveGraph("test")
    problems: list[str] = []

    async def target(_given: Given) -> None:
        for nodes, edges in (({"late": gives(1)}, [("late", "target")]), ({}, [("b", "target")])):
            with pytest.raises(GraphError) as caught:
                live.extend(nodes, edges)
            problems.append(caught.value.problem)

    live.extend({"target": target, "b": gives(2)})
    assert set(await run(live)) == {"target", "b"}, "of a refused change nothing is kept"
    assert problems == ["'target' has started, so nothing more can come before it"] * 2


@pytest.mark.parametrize(
    ("nodes", "edges", "problem"),
    [
        ("ab", [("a", "b"), ("b", "a")], "in a circle: a -> b -> a"),
        ("a", [("a", "a")], "in a circle: a -> a"),
        ("a", [("z", "a")], "'z' -> 'a': there is no node 'z'"),
        ("old", [], "there is a node 'o' already"),
        ("abc", [], "it would have 4 nodes; at most 3 are allowed"),
    ],
)
def test_a_graph_that_cannot_run_is_refused_before_it_does(
    nodes: str, edges: list[tuple[str, str]], problem: str
) -> None:
    live = LiveGraph("test", most=3)
    live.extend({"o": gives(0)})
    with pytest.raises(GraphError, match=problem):
        live.extend({node: gives(node) for node in nodes}, edges)
    assert live.order() == ["o"], "all of a change or none"


async def test_a_setback_is_handed_to_those_that_wait_and_the_others_go_on() -> None:
    async def fails(_given: Given) -> None:
        raise ExpansionError(step="fails", problem="no way")

    async def hears(given: Given) -> str:
        failure = given["fails"]
        assert isinstance(failure, BranchFailure)
        return f"{failure.error} / {given['works']}"

    live = LiveGraph("test")
    edges = [("fails", "hears"), ("works", "hears")]
    live.extend({"fails": fails, "works": gives("fine"), "hears": hears}, edges)
    assert (await run(live))["hears"] == "fails: no way / fine"


async def test_any_other_error_stops_the_graph_and_is_raised_as_it_is() -> None:
    live, stopped = LiveGraph("test"), list[str]()

    async def fails(_given: Given) -> None:
        raise ToolError(tool="t", name="KeyError", message="gone")

    async def waits(_given: Given) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append("waits")

    live.extend({"waits": waits, "fails": fails, "after": gives(1, stopped)}, [("fails", "after")])
    with pytest.raises(ToolError, match="gone"):
        await run(live)
    assert stopped == ["waits"]


async def test_a_step_is_the_same_whatever_order_nodes_end_in(journal: str) -> None:
    """Two runs in which the nodes end in opposite order have the same steps."""

    def planner(first: str) -> Flow[..., None]:
        @flow
        async def leaf(name: str) -> str:
            return name

        @flow(name="planner")
        async def whole() -> None:
            live, ended = LiveGraph("test"), anyio.Event()

            def node(name: str) -> Work:
                async def work(_given: Given) -> None:
                    if name != first:
                        await ended.wait()
                    await leaf(name)
                    live.extend({f"{name}+": lambda _given: leaf(f"{name}+")}, [])
                    ended.set()

                return work

            live.extend({"a": node("a"), "b": node("b")})
            await live.run()

        return whole

    keys = []
    for first in "ab":
        result = await Runner(journal=journal).run_async(planner(first))
        steps = [step for step in result.record.steps.values() if step.name == "leaf"]
        keys.append({step.input: step.key for step in steps})
    assert len(keys[0]) == 4
    assert keys[0] == keys[1]
