"""The skill library: what is kept, what is found, what is verified, and what it saves."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.recode import recode
from agentflow_planners.recoding.skill_store import SkillStore
from agentflow_planners.recoding.skills import SkillHead, find

from agentflow import Runner, RunResult, Task, tool
from agentflow.errors import ExpansionError, InputError
from tests.parts import shape
from tests.planners.recode_parts import writer

pytestmark = pytest.mark.anyio

TOTAL = "# the sum of price times quantity\ntotal = find_total(orders)\n"
BODIES = {
    "solve": [f"{TOTAL}return total", f"{TOTAL}return total / len(orders)"],
    "find_total": ["return sum(worth(o) for o in orders)"],
    "worth": ["return o['price'] * o['quantity']"],
}
ORDERS = [{"price": 2.0, "quantity": 3}, {"price": 1.0, "quantity": 4}]


@pytest.fixture
def library(tmp_path: Path) -> str:
    return str(tmp_path / "skills.db")


async def solve(
    bodies: dict[str, Any],
    library: str,
    *,
    goal: str = "total",
    inputs: dict[str, Any] | None = None,
    tools: tuple[Any, ...] = (),
    journal: str = ":memory:",
    asked: list[str] | None = None,
    **options: Any,
) -> RunResult[Any]:
    names = tuple(item.name for item in tools)
    task = Task(goal=goal, inputs={"orders": ORDERS} if inputs is None else inputs, tools=names)
    runner = Runner(journal=journal, model=writer(bodies, asked), tools=tools, **options)
    return await runner.run_async(recode, task, skills=library)


def edit(library: str, statement: str) -> None:
    with sqlite3.connect(library) as connection:
        connection.execute(statement)
    connection.close()


async def test_the_second_task_costs_fewer_model_calls_than_the_first(library: str) -> None:
    bodies = {name: list(texts) for name, texts in BODIES.items()}
    first: list[str] = []
    result = await solve(bodies, library, asked=first)
    assert result.output.output == 10.0
    second: list[str] = []
    bodies["solve"].pop(0)
    other = [{"price": 5.0, "quantity": 2}, {"price": 0.5, "quantity": 4}]
    result = await solve(bodies, library, goal="mean", inputs={"orders": other}, asked=second)
    assert result.output.output == 6.0
    assert (first, second) == (["solve", "find_total", "worth"], ["solve"])
    third: list[str] = []
    result = await solve({}, library, goal="mean", asked=third)
    assert (result.output.output, third) == (5.0, []), "the same goal needs no call at all"
    used = [(head["name"], head["used"]) for head in SkillStore(library).heads()]
    assert sorted(used) == [("find_total", 2), ("solve", 0), ("solve", 1), ("worth", 2)]


async def test_reading_and_writing_the_library_is_recorded_so_a_replay_touches_no_file(
    library: str, journal: str
) -> None:
    result = await solve(BODIES, library, journal=journal)
    again = await solve({}, library, journal=journal)
    Path(library).unlink()
    for one in (result, again):
        replayed = await Runner(journal=journal).replay(recode, one.id)
        assert replayed.output == one.output
        assert shape(replayed.record) == shape(one.record)
    assert not Path(library).exists()
    names = {step.name for step in again.record.steps.values()}
    assert {"list_skills", "read_skill", "verify solve", "count_skill"} <= names


async def test_a_skill_that_fails_its_examples_is_dropped_and_written_anew(library: str) -> None:
    await solve(BODIES, library)
    edit(library, "UPDATE skills SET node = replace(node, '*', '+') WHERE name = 'worth'")
    asked: list[str] = []
    bodies = {"solve": f"{TOTAL}return [total]", "worth": BODIES["worth"]}
    result = await solve(bodies, library, goal="list", asked=asked)
    assert result.output.output == [10.0]
    assert asked == ["solve", "worth"]
    notes = [note.text for step in result.record.steps.values() for note in step.notes]
    assert "dropped skill worth: it returns another value" in notes
    asked.clear()
    result = await solve({}, library, goal="list", asked=asked)
    assert (result.output.output, asked) == ([10.0], []), "the new one has taken its place"


async def test_a_skill_that_fails_where_another_body_works_is_replaced(library: str) -> None:
    wrong = "return sum(xs) / len(xs)"
    right = "return sum(xs) / len(xs) if xs else 0"
    call = "# the mean of xs\nm = mean(xs)\nreturn m"
    await solve({"solve": call, "mean": wrong}, library, goal="first", inputs={"xs": [1, 3]})
    asked: list[str] = []
    for number, expected in enumerate((["solve", "mean"], ["solve", "mean", "solve"])):
        bodies = {"solve": call, "mean": right}
        goal = f"goal {number}"
        result = await solve(bodies, library, goal=goal, inputs={"xs": []}, asked=asked)
        assert (result.output.output, asked) == (0, expected)


async def test_nothing_is_kept_of_a_run_that_ends_badly(library: str) -> None:
    bodies = {"solve": "x = good(1)\nreturn bad(x)", "good": "return 1", "bad": "return 1 / 0"}
    with pytest.raises(ExpansionError):
        await solve(bodies, library, inputs={})
    assert SkillStore(library).heads() == []


async def test_functions_of_versions_that_were_given_up_are_not_kept(library: str) -> None:
    bodies = {
        "solve": ["return odd(1) / 0", "return even(2)"],
        "odd": "return 1",
        "even": "return 2",
    }
    await solve(bodies, library, inputs={})
    assert {head["name"] for head in SkillStore(library).heads()} == {"solve", "even"}


async def test_tools_are_called_anew_but_not_while_a_skill_is_verified(library: str) -> None:
    prices = {"tea": 3}

    @tool
    def price_of(item: str) -> int:
        """Look up a price."""
        seen.append(item)
        return prices[item]

    seen: list[str] = []
    bodies = {"solve": "return cost('tea')", "cost": "return 2 * price_of(argument_1)"}
    first = await solve(bodies, library, inputs={}, tools=(price_of,))
    prices["tea"] = 4
    second = await solve({}, library, inputs={}, tools=(price_of,))
    assert (first.output.output, second.output.output) == (6, 8)
    assert seen == ["tea", "tea"]


async def test_a_skill_that_needs_a_tool_is_not_recalled_without_it(library: str) -> None:
    @tool
    def price_of(item: str) -> int:
        """Look up a price."""
        return 3

    bodies = {"solve": "return 2 * price_of('tea')"}
    await solve(bodies, library, inputs={}, tools=(price_of,))
    asked: list[str] = []
    result = await solve({"solve": "return 7"}, library, inputs={}, asked=asked)
    assert (result.output.output, asked) == (7, ["solve"])


async def test_what_has_effects_is_not_kept(library: str) -> None:
    @tool(effect=True)
    def pay(amount: int) -> str:
        """Pay."""
        return "paid"

    bodies = {"solve": "a = twice(2)\nreturn act(a)", "twice": "return 4", "act": "return pay(a)"}
    await solve(bodies, library, inputs={}, tools=(pay,))
    assert {head["name"] for head in SkillStore(library).heads()} == {"solve", "twice"}


async def test_no_secret_gets_into_the_library(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "very-secret-value")
    bodies = {
        "solve": "a = shown(key)\nb = plain(1)\nreturn [len(a), b, spelt()]",
        "shown": "return key.upper()",
        "plain": "return 1",
        "spelt": "return len('very-secret-value')",
    }
    await solve(bodies, library, inputs={"key": "very-secret-value"})
    assert {head["name"] for head in SkillStore(library).heads()} == {"plain"}
    assert b"very-secret-value" not in Path(library).read_bytes()


async def test_a_path_that_holds_something_else_is_refused_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database at all, but long enough to be looked at" * 100)
    journal = str(tmp_path / "journal.db")
    asked: list[str] = []
    await solve(BODIES, str(tmp_path / "skills.db"), journal=journal)
    for path in (str(text), journal, str(tmp_path)):
        with pytest.raises(InputError, match=re.escape(path)):
            await solve(BODIES, path, asked=asked)
    assert asked == []


def test_a_write_that_is_repeated_after_a_crash_counts_once(library: str) -> None:
    store = SkillStore(library)
    head = SkillHead(key="k", name="f", parameters=("x",), returns="", doc="", tools=()).model_dump(
        exclude={"used"}
    )
    store.keep(head, "{}", ["{}"], write="w1")
    for write in ("w2", "w2", "w3"):
        store.count("k", 1, write=write)
    assert [row["used"] for row in store.heads()] == [2]
    store.keep(head, "{}", ["{}"], write="w1")
    assert [row["used"] for row in store.heads()] == [2]


def unwritten(name: str, parameters: str, doc: str) -> FunctionNode:
    return FunctionNode(name=name, signature=f"def {name}({parameters}):", doc=doc)


def head_of(node: FunctionNode, used: int = 0) -> SkillHead:
    return SkillHead(
        key=node.key,
        name=node.name,
        parameters=tuple(item.name for item in node.parameters),
        returns=node.returns or "",
        doc=node.doc,
        tools=(),
        used=used,
    )


@pytest.mark.parametrize(
    ("name", "parameters", "doc", "is_found"),
    [
        ("top", "floors", "the highest of the floors", True),
        ("top", "floors", "Return the highest of floors.", True),
        ("find_top", "floors", "highest floor", True),
        ("top", "floors", "floors, the highest", True),
        ("find_top", "floors", "floor highest", False),
        ("top", "floors", "the lowest of the floors", False),
        ("top", "floors", "the highest of all floors", False),
        ("top", "rooms", "the highest of the floors", False),
        ("top", "floors", "", False),
    ],
)
def test_a_skill_is_found_by_what_it_means(
    name: str, parameters: str, doc: str, is_found: bool
) -> None:
    heads = [head_of(unwritten("top", "floors", "the highest of the floors"))]
    found = find(unwritten(name, parameters, doc), heads, frozenset())
    assert (found is not None) == is_found


def test_among_skills_alike_the_one_of_that_name_is_taken_then_the_most_used() -> None:
    doc = "the highest of the floors."
    heads = [
        head_of(unwritten(name, "floors", doc), used)
        for name, used in (("a", 3), ("b", 5), ("c", 1))
    ]
    for wanted, name in (("c", "c"), ("d", "b")):
        found = find(unwritten(wanted, "floors", "highest floors"), heads, frozenset())
        assert found is not None
        assert found.name == name
