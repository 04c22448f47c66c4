"""Graphs and flows of ours for the conformance suite; what they do outside are calls of a tool."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from agentflow import (
    Flow,
    Graph,
    Input,
    Node,
    Output,
    Plan,
    Program,
    Result,
    SubTask,
    Task,
    ask,
    flow,
    parallel,
    tool,
)
from agentflow.errors import ProgramError
from tests.agentflow.interop.langgraph.recording import happened


@dataclass(frozen=True)
class OurCase:
    """One flow. `after`: what an effect comes after, where not all effects are in one line."""

    name: str
    flow: Flow[..., Any]
    given: dict[str, Any]
    answers: dict[str, list[Any]] = field(default_factory=dict)
    after: dict[str, tuple[str, ...]] | None = None
    error: type[Exception] | None = None


@tool(effect=True)
async def act(what: str) -> str:
    """Do something outside."""
    happened(what)
    return what


@tool
async def fetch(what: str) -> str:
    """Look something up."""
    happened(f"fetch {what}")
    return what.upper()


@flow
async def say(text: str, mark: str = ".") -> str:
    return await act(f"{text}{mark}")


@flow
async def both(left: str, right: str) -> str:
    return await act(f"{left}&{right}")


@flow
async def three(a: str, b: str, c: str) -> list[str]:
    return [await act(f"{a}{b}{c}")]


class Draft(BaseModel):
    title: str
    parts: tuple[str, ...]


@flow
async def draft(topic: str) -> Draft:
    await act(f"draft {topic}")
    return Draft(title=topic.title(), parts=(f"{topic} one", f"{topic} two"))


@flow
async def write(title: str, parts: tuple[str, ...]) -> str:
    return await act(f"{title}: {len(parts)} {type(parts).__name__}")


@flow
async def review(text: str) -> str:
    await act(f"show {text}")
    verdict: str = await ask(f"keep {text}?", choices=("yes", "no"))
    return await act(f"{text} {verdict}")


@flow
async def form(name: str) -> Any:
    age = await ask("age?", output=int)
    await act(f"age {age}")
    sure = await ask("sure?", output=bool)
    return {"name": name, "age": age, "sure": sure, "pair": (1, 2)}


@flow
async def interview(name: str) -> str:
    told: list[str] = []
    for number in range(3):
        told.append(await ask(f"question {number}?"))
        await act(f"{name} {told}")
    return " ".join(told)


@flow
async def fail(text: str) -> str:
    await act(f"fail {text}")
    raise ProgramError(phase="run", name="ValueError", message=text, line=None, report="")


@flow
async def shout(texts: list[str]) -> list[str]:
    return await parallel(act(f"{text}!") for text in texts)


@flow
async def count(limit: int) -> int:
    total = 0
    while total < limit:
        await act(f"count {total}")
        total += 1
    return total


@flow
async def split(task: Task) -> Any:
    """Split a task in two, and one of its parts again."""
    if task.goal in ("whole", "right"):
        left, right = (f"{task.goal}-left", "right" if task.goal == "whole" else "end")
        subtasks = (SubTask(id="l", goal=left), SubTask(id="r", goal=right, needs=("l",)))
        return Plan(subtasks=subtasks)
    return Result(output=await act(task.goal))


@flow
async def program(task: Task) -> Any:
    """Answer a task with a program, and the calls in it directly."""
    if task.goal != "top":
        return Result(output=await act(str(sorted(task.inputs.values()))))
    return Program(code="a = first(x)\nb = second(a)\nb + '?'", inputs={"x": "in"})


@flow
async def goal(text: str) -> Task:
    return Task(goal=text)


@flow
async def answer(result: Result) -> str:
    return f"answer {result.output}"


def line(name: str, *texts: str) -> Graph:
    """Return a graph of `say` nodes, each after the other."""
    nodes: dict[str, Node] = {}
    before: Any = Input("text")
    for text in texts:
        nodes[text] = Node(say, text=before, mark=text)
        before = Output(text)
    return Graph(name, inputs={"text": str}, nodes=nodes, output=texts[-1])


def planned(solve: Flow[..., Any], text: str) -> Graph:
    return Graph(
        f"planned_{solve.name}",
        inputs={"text": str},
        nodes={
            "goal": Node(goal, text=Input("text")),
            "solve": Node(solve, task=Output("goal")),
            "told": Node(answer, result=Output("solve")),
        },
        output="told",
    )


DIAMOND = Graph(
    "diamond",
    inputs={"text": str},
    nodes={
        "join": Node(both, left=Output("l"), right=Output("r")),
        "l": Node(say, text=Output("top"), mark="l"),
        "r": Node(say, text=Output("top"), mark="r"),
        "top": Node(say, text=Input("text")),
    },
    output="join",
)
UNEVEN = Graph(
    "uneven",
    inputs={"text": str},
    nodes={
        "a": Node(say, text=Input("text"), mark="a"),
        "b": Node(say, text=Output("a"), mark="b"),
        "c": Node(say, text=Output("b"), mark="c"),
        "join": Node(three, a=Output("a"), b=Output("b"), c=Output("c")),
    },
    output="join",
)
TYPED = Graph(
    "typed",
    inputs={"topic": str},
    nodes={
        "made": Node(draft, topic=Input("topic")),
        "text": Node(write, title=Output("made", "title"), parts=Output("made", "parts")),
    },
    output="text",
)
SEVERAL = Graph(
    "several",
    inputs={"text": str, "limit": int},
    nodes={
        "l": Node(say, text=Input("text"), mark="l"),
        "n": Node(count, limit=Input("limit")),
    },
    output=("l", "n"),
)
INNER = line("inner", "x", "y")
NESTED = Graph(
    "nested",
    inputs={"text": str},
    nodes={
        "first": Node(say, text=Input("text"), mark="1"),
        "below": Node(INNER, text=Output("first")),
        "last": Node(say, text=Output("below"), mark="2"),
    },
    output="last",
)
DEEP = Graph(
    "deep",
    inputs={"text": str},
    nodes={
        "one": Node(NESTED, text=Input("text")),
        "two": Node(NESTED, text=Output("one")),
    },
    output="two",
)
REVIEWED = Graph(
    "reviewed",
    inputs={"text": str},
    nodes={
        "first": Node(say, text=Input("text"), mark=""),
        "review": Node(review, text=Output("first")),
        "last": Node(say, text=Output("review")),
    },
    output="last",
)
NESTED_REVIEW = Graph(
    "nested_review",
    inputs={"text": str},
    nodes={
        "once": Node(REVIEWED, text=Input("text")),
        "twice": Node(REVIEWED, text=Output("once")),
    },
    output="twice",
)
FORM = Graph(
    "form_graph",
    inputs={"name": str},
    nodes={"form": Node(form, name=Input("name"))},
    output="form",
)
FAILING = Graph(
    "failing",
    inputs={"text": str},
    nodes={
        "first": Node(say, text=Input("text")),
        "fail": Node(fail, text=Output("first")),
        "last": Node(say, text=Output("fail")),
    },
    output="last",
)


def _case(flow: Flow[..., Any], given: dict[str, Any], **options: Any) -> OurCase:
    name: Callable[[], str] = lambda: str(options.pop("name", flow.name))  # noqa: E731
    return OurCase(name(), flow, given, **options)


OUR_CASES = [
    _case(line("short", "a"), {"text": "t"}),
    _case(line("long", *"abcdef"), {"text": "t"}),
    _case(
        DIAMOND,
        {"text": "t"},
        after={"t.l": ("t.",), "t.r": ("t.",), "t.l&t.r": ("t.l", "t.r")},
    ),
    _case(UNEVEN, {"text": "t"}),
    _case(TYPED, {"topic": "tea"}),
    _case(SEVERAL, {"text": "t", "limit": 2}, after={"count 1": ("count 0",)}),
    _case(NESTED, {"text": "t"}),
    _case(DEEP, {"text": "t"}),
    _case(planned(split, "whole"), {"text": "whole"}),
    _case(planned(program, "top"), {"text": "top"}),
    _case(REVIEWED, {"text": "t"}, answers={"keep t?": ["yes"]}),
    _case(NESTED_REVIEW, {"text": "t"}, answers={"keep t?": ["yes"], "keep t yes.?": ["no"]}),
    _case(FORM, {"name": "Ada"}, answers={"age?": [36], "sure?": [True]}),
    _case(
        interview,
        {"name": "Ada"},
        answers={f"question {number}?": [f"answer {number}"] for number in range(3)},
    ),
    _case(FAILING, {"text": "t"}, error=ProgramError),
    _case(shout, {"texts": ["a", "b"]}, after={}),
    _case(count, {"limit": 3}),
    _case(review, {"text": "alone"}, answers={"keep alone?": ["no"]}),
]
