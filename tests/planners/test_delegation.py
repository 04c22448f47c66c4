"""The guards of recursion, and the crew: what no child may do, and in which order children are heard."""

from functools import partial

import anyio
import pytest
from agentflow_planners.shared.delegation import (
    Bounds,
    Delegating,
    Place,
    crew,
    nearly_same,
    not_smaller,
    similarity,
)
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Runner, flow
from agentflow.errors import ExpansionError, ModelRequestError
from tests.parts import Scripted, shape

BOUNDS = Bounds(depth=2, width=3, total=5)
OWN = "Compare the number of people in Ulm and in Bonn, and say which town is larger."


def grown(place: Place, bounds: Bounds, wish: int) -> int:
    """Return how many units come to be below a place when every one wants `wish` children."""
    delegating, units = Delegating("the whole", place, bounds), 0
    for _child in range(min(wish, delegating.room)):
        units += 1 + grown(delegating.admit("a part"), bounds, wish)
    return units


@pytest.mark.parametrize(
    "same", [OWN, OWN.upper() + "\n", f"Please, {OWN}", OWN.replace("Ulm", "Köln")]
)
def test_what_is_nearly_the_own_task_is_refused(same: str) -> None:
    with pytest.raises(ExpansionError, match="nearly the whole task"):
        Delegating(OWN, BOUNDS.root(), BOUNDS).admit(same)


def test_a_part_of_the_task_is_admitted_one_level_down() -> None:
    place = Delegating(OWN, BOUNDS.root(), BOUNDS).admit("Count the people of Ulm.")
    assert place.level == 1


def test_long_texts_are_compared_by_words_and_not_taken_for_noise() -> None:
    text = " ".join(f"word{number % 7}" for number in range(900))
    assert similarity(text, text) == 1.0
    assert nearly_same(text, text)
    assert not nearly_same("word1 word2", text)
    chant = "tall and small " * 20
    assert similarity(f"So: {chant}", chant) > 0.9


def test_depth_width_and_total_are_refused_by_their_names() -> None:
    deep = Place(level=2, allowance=5)
    with pytest.raises(ExpansionError, match="2 levels are all"):
        Delegating(OWN, deep, BOUNDS).admit("a")
    wide = Delegating(OWN, Place(level=0, allowance=50), BOUNDS)
    for _child in range(3):
        wide.admit("a")
    with pytest.raises(ExpansionError, match="3 are all"):
        wide.admit("a")
    with pytest.raises(ExpansionError, match="all of the 5 of the tree"):
        Delegating(OWN, Place(level=1, allowance=0), BOUNDS).admit("a")
    with pytest.raises(ExpansionError, match="nothing to do"):
        Delegating(OWN, BOUNDS.root(), BOUNDS).admit(" ")


def test_a_refusal_costs_nothing() -> None:
    delegating = Delegating(OWN, BOUNDS.root(), BOUNDS)
    with pytest.raises(ExpansionError):
        delegating.admit(OWN)
    assert delegating.room == 3


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 60), st.integers(1, 6))
def test_a_tree_never_has_more_than_its_total_and_every_promised_child(
    depth: int, width: int, total: int, wish: int
) -> None:
    bounds = Bounds(depth=depth, width=width, total=total)
    units = grown(bounds.root(), bounds, wish)
    assert min(wish, width, total) <= units <= total


def test_smaller_means_shorter_or_as_long_and_another() -> None:
    assert not not_smaller("5! ", "What is 6!")
    assert not not_smaller("What is 5!", "What is 6!")
    assert not_smaller("What is  6!", "What is 6!")
    assert not_smaller("What is 66!", "What is 6!")


@flow
async def heard(names: list[str], first: str) -> list[str]:
    """Hear of children in the order in which they end, `first` before the others."""
    gate = anyio.Event()

    async def work(name: str) -> str:
        if name != first:
            await gate.wait()
        return f"{name} did it"

    order = []
    async with crew() as members:
        for name in names:
            members.start(name, partial(work, name))
        for _child in names:
            order.append(await members.next_of([name for name in names if name not in order]))
            gate.set()
    return order


@pytest.mark.anyio
async def test_children_are_heard_in_the_order_in_which_they_ended(journal: str) -> None:
    runner = Runner(journal=journal, model=Scripted(str))
    result = await runner.run_async(heard, ["a", "b", "c"], "c")
    assert result.output == ["c", "a", "b"]
    replayed = await runner.replay(heard, result.id)
    assert shape(replayed.record) == shape(result.record)


@flow
async def failing(is_heard: bool) -> str:
    """Start a child that fails with an error that is no failure of its own."""

    async def work() -> None:
        raise ModelRequestError(model="m", problem="no key")

    async with crew() as members:
        members.start("a", work)
        if is_heard:
            await members.outcome("a")
        raise ExpansionError(step="root", problem="left")


@pytest.mark.anyio
async def test_what_a_block_raises_comes_out_as_it_was(journal: str) -> None:
    runner = Runner(journal=journal, model=Scripted(str))
    with pytest.raises(ModelRequestError, match="no key"):
        await runner.run_async(failing, is_heard=True)
    with pytest.raises(ExpansionError, match="left"):
        await runner.run_async(failing, is_heard=False)
