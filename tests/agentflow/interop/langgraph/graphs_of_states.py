"""Graphs of the suite about state: its schemas, reducers, messages and managed values."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, add_messages
from langgraph.managed import RemainingSteps
from langgraph.runtime import Runtime
from langgraph.types import Overwrite
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.agentflow.interop.langgraph.graphs import Builder, Log, case, chain, graph_of
from tests.agentflow.interop.langgraph.recording import did


class Chat(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    n: int


@case(
    {"messages": [HumanMessage("hello")]},
    {"messages": [("user", "hello"), {"role": "assistant", "content": "hm"}]},
    {"messages": "hello"},
)
def chat_messages_are_added_replaced_and_removed() -> Builder:
    def reply(state: Chat) -> dict[str, Any]:
        did("reply")
        return {"messages": [{"role": "assistant", "content": f"{len(state['messages'])} so far"}]}

    def amend(state: Chat) -> dict[str, Any]:
        did("amend")
        last = state["messages"][-1]
        return {"messages": [AIMessage("amended", id=last.id), ("user", "thanks")]}

    def forget(state: Chat) -> dict[str, Any]:
        did("forget")
        return {"messages": RemoveMessage(id=state["messages"][0].id)}

    builder = graph_of(Chat)
    builder.add_node("reply", reply).add_node("amend", amend).add_node("forget", forget)
    return chain(builder, "reply", "amend", "forget")


def larger(left: int, right: int) -> int:
    return max(left, right)


class Reduced(TypedDict, total=False):
    best: Annotated[int, larger]
    seen: Annotated[dict[str, int], operator.or_]
    last: str
    log: Annotated[list[str], operator.add]


@case({"best": 3, "seen": {"in": 0}}, {}, side_by_side=True)
def reducers_of_many_kinds() -> Builder:
    def of(name: str, best: int) -> Callable[[Reduced], dict[str, Any]]:
        def node(state: Reduced) -> dict[str, Any]:
            did(f"{name} sees {sorted(state.get('seen', {}))}")
            return {"best": best, "seen": {name: best}, "log": [name]}

        return node

    def reset(state: Reduced) -> dict[str, Any]:
        did("reset")
        return {"log": Overwrite(["reset"]), "last": "reset"}

    builder = graph_of(Reduced)
    builder.add_node("a", of("a", 2)).add_node("b", of("b", 7)).add_node("reset", reset)
    builder.add_edge(START, "a").add_edge(START, "b").add_edge(["a", "b"], "reset")
    return builder


@case([], ["in"])
def a_state_that_is_one_value() -> Builder:
    def node(state: list[str]) -> list[str]:
        did("node")
        return [f"after {len(state)}"]

    builder = graph_of(Annotated[list[str], operator.add])
    return chain(builder.add_node("a", node).add_node("b", node), "a", "b")


class Person(BaseModel):
    name: str
    tags: tuple[str, ...] = ()


class Typed(BaseModel):
    person: Person
    log: Annotated[list[str], operator.add] = []


@case({"person": {"name": "Ada"}}, {"person": Person(name="Eve", tags=("x",)), "log": ["in"]})
def a_pydantic_state() -> Builder:
    def rename(state: Typed) -> dict[str, Any]:
        did(f"rename {type(state).__name__} {type(state.person).__name__}")
        return {"person": Person(name=state.person.name.upper(), tags=("a", "b")), "log": ["up"]}

    def look(state: Typed) -> dict[str, Any]:
        did(f"look {state.person!r}")
        return {"log": [state.person.name]}

    builder = graph_of(Typed).add_node("rename", rename).add_node("look", look)
    return chain(builder, "rename", "look")


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Places:
    at: Point
    log: Annotated[list[Any], operator.add] = field(default_factory=list)


@case({"at": Point(1, 2)})
def a_dataclass_state() -> Builder:
    def move(state: Places) -> dict[str, Any]:
        did(f"move from {state.at}")
        return {"at": Point(state.at.x + 1, state.at.y), "log": [state.at, {1, 2}, (3, b"4")]}

    builder = graph_of(Places).add_node("move", move).add_node("again", move)
    return chain(builder, "move", "again")


class Full(TypedDict, total=False):
    question: str
    draft: str
    answer: str


class Question(TypedDict):
    question: str


class Answer(TypedDict):
    answer: str


class Draft(TypedDict):
    draft: str


@case({"question": "why"})
def other_schemas_for_input_output_and_a_node() -> Builder:
    def write(state: Question) -> Any:
        did(f"write {sorted(state)}")
        return {"draft": state["question"] + "..."}

    def finish(state: Draft) -> Any:
        did(f"finish {sorted(state)}")
        return {"answer": state["draft"] + "!"}

    builder = graph_of(Full, input_schema=Question, output_schema=Answer)
    return chain(builder.add_node("write", write).add_node("finish", finish), "write", "finish")


class Careful(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    left: RemainingSteps


@case({"log": []}, config={"recursion_limit": 6})
def a_managed_value() -> Builder:
    def node(state: Careful) -> dict[str, Any]:
        did(f"left {state['left']}")
        return {"log": [str(state["left"])]}

    builder = graph_of(Careful).add_node("node", node).add_edge(START, "node")
    return builder.add_conditional_edges(
        "node", lambda state: END if state["left"] < 3 else "node", ["node", END]
    )


class Who(TypedDict):
    user: str


@case({"n": 1}, context={"user": "ada"}, config={"configurable": {"tone": "dry"}})
def run_context_and_configuration() -> Builder:
    def greet(state: Log, runtime: Runtime[Who], config: RunnableConfig) -> dict[str, Any]:
        did("greet")
        runtime.stream_writer({"progress": 1})
        return {"log": [f"{runtime.context['user']} {config['configurable']['tone']}"]}

    builder = graph_of(Log, context_schema=Who).add_node("greet", greet)
    return chain(builder, "greet")
