"""What the journal holds of a graph of LangGraph, and what a resume takes from it."""

import operator
from pathlib import Path
from typing import Annotated, Any

import pytest

pytest.importorskip("langgraph", reason="the extra `langgraph` is not installed")

from langgraph.graph import START
from langgraph.types import Command, Send, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

from agentflow import Flow, Journal, Runner, RunPausedError, RunResult, flow, generate
from agentflow.errors import AskError, CodeChangedError, PayloadError
from agentflow.interop.langgraph import from_langgraph
from agentflow.journal.records import RunRecord
from tests.agentflow.interop.langgraph.graphs import Log, chain, graph_of, speakers
from tests.agentflow.interop.langgraph.recording import did, effects
from tests.parts import Scripted, shape

pytestmark = pytest.mark.anyio


def tree(record: RunRecord) -> list[tuple[str, str, str]]:
    """Return every step with the one above it: name above, kind, name."""
    steps = record.steps
    above = {step.number: steps[step.parent].name if step.parent else "" for step in steps.values()}
    return [(above[step.number], step.kind, step.name) for step in steps.values()]


async def test_nodes_are_steps_and_subgraphs_stand_below_their_node(journal: str) -> None:
    below = chain(speakers("x", "y"), "x", "y").compile()
    graph = chain(speakers("a").add_node("below", below), "a", "below").compile()
    with effects():
        result = await Runner(journal=journal).run_async(
            from_langgraph(graph, name="whole"), {"n": 1}
        )
    assert tree(result.record) == [
        ("", "flow", "whole"),
        ("whole", "code", "a"),
        ("whole", "code", "below"),
        ("below", "code", "x"),
        ("below", "code", "y"),
    ]


async def test_nodes_of_a_graph_that_a_function_calls_stand_below_it_and_stay_usable_outside(
    journal: str,
) -> None:
    below = chain(speakers("x", "y"), "x", "y").compile()

    async def call(state: Log) -> Any:
        return await below.ainvoke({"n": 2})

    builder = graph_of(Log).add_node("call", call)
    named = from_langgraph(chain(builder, "call").compile(), name="whole")
    with effects() as found:
        result = await Runner(journal=journal).run_async(named, {"n": 1})
        assert ("call", "code", "y") in tree(result.record)
        await below.ainvoke({"n": 3})
        assert below.invoke({"n": 3})["log"] == ["x", "y"]
    assert len(found) == 6


async def test_model_calls_of_a_node_are_steps_below_it_and_are_not_repeated(journal: str) -> None:
    fails = [True]

    async def think(state: Log) -> Any:
        first = await generate("first?")
        if fails:
            raise ConnectionError("cut off")
        return {"log": [first.text, (await generate("second?")).text]}

    builder: Any = speakers("a").add_node("think", think)
    named = from_langgraph(chain(builder, "a", "think").compile(), name="whole")
    model = Scripted(lambda prompt: f"answer to {prompt}")
    runner = Runner(journal=journal, model=model)
    with effects() as found:
        with pytest.raises(ConnectionError):
            await runner.run_as("run", named, {"n": 1})
        fails.clear()
        result = await runner.resume(named, "run")
    assert result.output["log"] == ["a", "answer to first?", "answer to second?"]
    assert model.asked == ["first?", "second?"]
    assert [what for _, what in found] == ["a"]
    replayed = await runner.replay(named, "run")
    assert replayed.output == result.output


async def test_a_failure_costs_the_failed_node_not_its_finished_siblings(journal: str) -> None:
    broken = [True]

    def work(item: Any) -> Any:
        did(f"work {item['item']}")
        return {"log": [str(item["item"])]}

    def last(state: Log) -> Any:
        did("last")
        if broken:
            raise ConnectionError("broken")
        return {"log": ["last"]}

    builder = graph_of(Log).add_node("work", work).add_node("last", last)
    builder.add_conditional_edges(START, lambda _: [Send("work", {"item": i}) for i in range(3)])
    named = from_langgraph(builder.add_edge("work", "last").compile(), name="whole")
    runner = Runner(journal=journal)
    with effects() as found:
        with pytest.raises(ConnectionError):
            await runner.run_as("run", named, {"n": 1})
        broken.clear()
        result = await runner.resume(named, "run")
    assert result.output["log"] == ["0", "1", "2", "last"]
    assert sorted(what for _, what in found) == ["last", "last", "work 0", "work 1", "work 2"]


async def test_an_edge_that_chose_is_not_asked_again(journal: str) -> None:
    ways = iter(["low", "high"])

    def last(state: Log) -> Any:
        if not state.get("n"):
            raise ConnectionError("broken")
        return {"log": ["last"]}

    builder = chain(speakers("first", "low", "high").add_node("last", last), "first")
    builder.add_conditional_edges("first", lambda _: next(ways), ["low", "high"])
    builder.add_edge("low", "last").add_edge("high", "last")
    named = from_langgraph(builder.compile(), name="whole")
    runner = Runner(journal=journal)
    with effects() as found:
        for attempt in (runner.run_as("run", named, {"n": 0}), runner.resume(named, "run")):
            with pytest.raises(ConnectionError):
                await attempt
    assert [what for _, what in found] == ["first", "low"]


async def test_a_command_that_left_a_subgraph_leads_there_after_a_resume_too(journal: str) -> None:
    broken = [True]

    def leave(state: Log) -> Any:
        did("leave")
        return Command(graph=Command.PARENT, update={"log": ["left"]}, goto="last")

    def last(state: Log) -> Any:
        if broken:
            raise ConnectionError("broken")
        return {"log": ["last"]}

    below = chain(graph_of(Log).add_node("leave", leave), "leave").compile()
    builder = graph_of(Log).add_node("below", below, destinations=("last",))
    named = from_langgraph(chain(builder.add_node("last", last), "below").compile(), name="whole")
    runner = Runner(journal=journal)
    with effects() as found:
        with pytest.raises(ConnectionError):
            await runner.run_as("run", named, {"n": 1})
        broken.clear()
        result = await runner.resume(named, "run")
    assert result.output["log"] == ["left", "last"]
    assert [what for _, what in found] == ["leave"]


async def test_the_journal_says_what_a_node_asks_and_an_answer_of_the_wrong_shape_is_refused(
    journal: str,
) -> None:
    def review(state: Log) -> Any:
        return {"log": [interrupt({"keep": state["n"]}, response_schema={"type": "boolean"})]}

    builder = graph_of(Log).add_node("review", review)
    named = from_langgraph(chain(builder, "review").compile(), name="whole")
    runner = Runner(journal=journal)
    with pytest.raises(RunPausedError) as paused:
        await runner.run_as("run", named, {"n": 7})
    assert paused.value.questions[0]["text"] == '{"keep":7}'
    with Journal(journal) as opened:
        with pytest.raises(AskError, match="does not fit"):
            opened.answer("run", "perhaps")
        opened.answer("run", True)
    assert (await runner.resume(named, "run")).output["log"] == [True]


class Secret:
    """A class that nothing can write down."""


class Loose(TypedDict, total=False):
    value: Any


class Kept(BaseModel):
    inner: tuple[int, ...]


def holding(value: Any, **options: Any) -> Flow[[Any], Any]:
    builder = graph_of(Loose)
    builder.add_node("make", lambda _: {"value": value})
    builder.add_node("use", lambda state: {"value": [state["value"], "used"]})
    return from_langgraph(chain(builder, "make", "use").compile(), name="loose", **options)


async def test_a_value_without_a_form_in_json_is_named_with_its_node(journal: str) -> None:
    with pytest.raises(PayloadError, match=r"make: value\['writes'\]\[0\]\[1\] is a Secret"):
        await Runner(journal=journal).run_async(holding(Secret()), {})


async def test_a_type_that_the_state_does_not_name_is_asked_for(journal: str) -> None:
    with pytest.raises(PayloadError, match="Kept, which no annotation of the state names"):
        await Runner(journal=journal).run_async(holding(Kept(inner=(1,))), {})
    runner = Runner(journal=journal)
    result = await runner.run_async(holding(Kept(inner=(1,)), types=[Kept]), {})
    assert result.output == {"value": [Kept(inner=(1,)), "used"]}
    replayed = await runner.replay(holding(None, types=[Kept]), result.id)
    assert replayed.output == result.output


async def test_changed_code_of_a_node_is_noticed_before_anything_happens(journal: str) -> None:
    def of(last: Any) -> Flow[[Any], Any]:
        builder: Any = speakers("a").add_node("last", last)
        return from_langgraph(chain(builder, "a", "last").compile(), name="whole")

    def fail(state: Log) -> Any:
        raise ConnectionError("broken")

    runner = Runner(journal=journal)
    with effects() as found:
        with pytest.raises(ConnectionError):
            await runner.run_as("run", of(fail), {"n": 1})
        with pytest.raises(CodeChangedError, match="whole"):
            await runner.resume(of(lambda _: {"log": ["mended"]}), "run")
        mended = of(lambda _: {"log": ["mended"]})
        result = await runner.resume(mended, "run", accept_changes=True)
    assert result.output["log"] == ["a", "mended"]
    assert [what for _, what in found] == ["a"]


async def test_a_graph_is_called_like_any_flow_from_another(journal: str) -> None:
    named = from_langgraph(chain(speakers("a"), "a").compile(), name="whole")

    @flow
    async def twice() -> list[str]:
        first = await named({"n": 1})
        second = await named({"log": first["log"]})
        return list(second["log"])

    with effects():
        result: RunResult[list[str]] = await Runner(journal=journal).run_async(twice)
    assert result.output == ["a", "a"]
    replayed = await Runner(journal=journal).replay(twice, result.id)
    assert shape(replayed.record) == shape(result.record)


async def test_what_a_node_tells_the_stream_is_a_note_of_its_step(journal: str) -> None:
    def tell(state: Log, writer: Any) -> Any:
        writer({"progress": 0.5})
        return {"log": ["told"]}

    del tell.__annotations__["writer"]
    builder = graph_of(Log).add_node("tell", tell)
    named = from_langgraph(chain(builder, "tell").compile(), name="whole")
    result = await Runner(journal=journal).run_async(named, {"n": 1})
    node = next(step for step in result.record.steps.values() if step.name == "tell")
    assert [item.text for item in node.notes] == ["{'progress': 0.5}"]


async def test_commands_with_messages_keep_their_ids_over_a_resume(
    journal: str, tmp_path: Path
) -> None:
    from langgraph.graph import MessagesState

    def first(state: MessagesState) -> Any:
        return Command(update={"messages": [("user", "hello")]}, goto="second")

    def second(state: MessagesState) -> Any:
        return {"messages": [("assistant", interrupt(state["messages"][0].id))]}

    builder = graph_of(MessagesState)
    builder.add_node("first", first, destinations=("second",)).add_node("second", second)
    named = from_langgraph(chain(builder, "first").compile(), name="chat")
    with pytest.raises(RunPausedError) as paused:
        await Runner(journal=journal).run_as("run", named, {"messages": []})
    with Journal(journal) as opened:
        opened.answer("run", "hi")
    result = await Runner(journal=journal).resume(named, "run")
    assert result.output["messages"][0].id == paused.value.questions[0]["text"]


class Merged(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]
    data: Any


async def test_plain_data_of_every_kind_comes_back_as_it_was(journal: str) -> None:
    value = {"@": "dict", "$": 1, 3: (4, {5}), "bytes": b"x", "nested": [{"@": ["y"]}]}
    builder = graph_of(Merged)
    builder.add_node("make", lambda _: {"data": value})
    builder.add_node("ask", lambda state: {"log": [state["data"], interrupt("on?")]})
    named = from_langgraph(chain(builder, "make", "ask").compile(), name="plain")
    with pytest.raises(RunPausedError):
        await Runner(journal=journal).run_as("run", named, {})
    result = await Runner(journal=journal, ask=lambda _: "on").resume(named, "run")
    assert result.output == {"log": [value, "on"], "data": value}
