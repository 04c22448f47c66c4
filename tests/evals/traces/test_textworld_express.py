"""What teachers of TextWorld Express write: games that are won, the same commands in every form, names that are read."""

import random
import re
from itertools import islice

import pytest
from agentflow_evals.traces.textworld_express.exploring import TAKE, explore, grill
from agentflow_evals.traces.textworld_express.made_up_worlds import (
    Box,
    House,
    houses,
    sayings,
    search,
)
from agentflow_evals.traces.textworld_express.new_names import KEPT, KNOWN, new_names
from agentflow_evals.traces.textworld_express.playing import play
from agentflow_evals.traces.textworld_express.quantities import with_other_quantities
from agentflow_evals.traces.textworld_express.source import Part, textworld_express
from agentflow_evals.traces.textworld_express.teachers import TEACHERS, answer, cook, obey, pick
from agentflow_planners.students.names import CODES, Naming
from agentflow_planners.trained import Form
from agentflow_tools.textworld_express import Game
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import InputError, TrainingDataError
from agentflow.training.student import Conversation
from tests.tools.games import needs

GAMES: tuple[Game, ...] = ("arithmetic", "cookingworld", "mapreader", "simonsays", "sorting")
COMMAND = re.compile(r'world_act\("([^"]+)"\)')

KITCHEN = (
    "You are in the kitchen. In one part of the room you see a counter that has a red onion on it. There is also a "
    "fridge that is closed. You also see a cutlery drawer that is closed.\n"
    "To the North you see a closed wood door. To the South you see the garden."
)


def after(program: str) -> str:
    """Return what a program for a room does when the things in it are taken."""
    assert program.startswith(f"{TAKE}\n")
    return program.removeprefix(f"{TAKE}\n")


def test_what_is_closed_is_opened_before_a_room_is_left() -> None:
    assert after(explore(KITCHEN, ["knife", "red onion"], [])).splitlines() == [
        'been = been + ["kitchen"]',
        "if left:",
        '    world_act("open fridge")',
        '    world_act("open cutlery drawer")',
        '    world_act("open door to north")',
        '    seen = world_act("look around")',
        "    left, been = explore(seen, left, been)",
        "return left, been",
    ]


HALL = "You are in the hall. \nTo the North you see the attic. To the East you see the cellar."


def test_every_way_is_walked_back() -> None:
    assert after(explore(HALL, ["coin"], [])).splitlines() == [
        'been = been + ["hall"]',
        'if left and "attic" not in been:',
        '    seen = world_act("move north")',
        "    left, been = explore(seen, left, been)",
        '    world_act("move south")',
        'if left and "cellar" not in been:',
        '    seen = world_act("move east")',
        "    left, been = explore(seen, left, been)",
        '    world_act("move west")',
        "return left, been",
    ]


def test_the_task_s_own_words_are_no_sight() -> None:
    opening = "Your task is to take the coin.\n\nYou are in the hall."
    program = TEACHERS["mapreader"]["solve"](goal="", seen=opening)
    assert program.startswith('seen = world_act("look around")\n')


def test_things_are_grilled_where_that_can_be_done() -> None:
    seen = "You are in the yard. There is also a barbeque. \nTo the North you see the attic."
    assert grill(seen, ["red onion"], []).splitlines() == [
        "for thing in left:",
        '    world_act("cook " + thing + " in barbeque")',
        "return [], been",
    ]
    elsewhere = grill(HALL, ["red onion"], [])
    assert elsewhere == after(explore(HALL, [], [])).replace("explore", "grill")


@pytest.mark.parametrize(
    ("problem", "written"),
    [
        ("divide 22 by 11", "22 // 11"),
        ("multiply 3 and 4", "3 * 4"),
        ("add 7 and 10", "7 + 10"),
        ("subtract 4 from 9", "9 - 4"),
    ],
)
def test_the_program_computes(problem: str, written: str) -> None:
    text = f"Your task is to solve the following math problem: {problem} . \nThen, pick up"
    assert answer("here", text) == f"number = {written}\nreturn pick(seen, number)"


def test_the_things_of_the_wanted_quantity_are_picked() -> None:
    seen = "a counter that has 33 papayas, 3 green figs, and 13 plums on it"
    assert pick(seen, 3).startswith('world_act("take 3 green figs")\n')
    assert pick(seen, 13).startswith('world_act("take 13 plums")\n')


def test_who_is_not_told_what_to_do_is_done() -> None:
    assert obey("Simon says, you have completed the game.  You win!") == 'return "done"'


def test_a_knife_is_wanted_only_for_cutting() -> None:
    recipe = "Ingredients:\n  leek\n  salt\n\nDirections:\n  fry the leek\n  prepare meal\n"
    assert cook(KITCHEN, recipe).splitlines()[0] == 'left = ["leek", "salt"]'
    assert 'world_act("cook leek in stove")' in cook(KITCHEN, recipe)


def test_new_names_are_known_or_made_up_and_never_words_of_the_games() -> None:
    drawn = list(islice(new_names(random.Random(0)), 80))
    assert len(set(drawn)) == len(drawn)
    assert KEPT.isdisjoint(drawn)
    known = set(drawn) & set(KNOWN)
    assert known
    assert known < set(drawn)
    assert KEPT.isdisjoint(KNOWN)


def commands(conversations: list[Conversation]) -> list[str]:
    replies = [m.text for one in conversations for m in one.messages if m.role == "assistant"]
    return [command for reply in replies for command in COMMAND.findall(reply)]


SHELF = (
    "a shelf that has 36mg of oak, 4kg of oak, and 15g of red brick on it.\n\n"
    "Commands possible now include `look around`, `take 15g of red brick`, `take 36mg of oak`, `take 4kg of oak`."
)


@given(seed=st.integers(0, 10_000))
def test_other_quantities_are_of_the_same_kind_and_stand_where_the_old_ones_stood(
    seed: int,
) -> None:
    told = with_other_quantities(SHELF, random.Random(seed))
    assert re.sub(r"\d+(mg|g|kg) of (oak|red brick)", "X", told) == re.sub(
        r"\d+(mg|g|kg) of (oak|red brick)", "X", SHELF
    )
    on_shelf, commands = (
        re.findall(r"\d+\w+ of [a-z ]*[a-z]", part.replace(" on it", ""))
        for part in told.split("Commands")
    )
    assert sorted(on_shelf) == commands
    assert len(set(commands)) == 3


def lesson(**episodes: int) -> list[list[Part]]:
    return [[Part.model_validate({"play": n, "episodes": k}) for n, k in episodes.items()]]


@needs("textworld_express")
@pytest.mark.parametrize("game", ["arithmetic", "cookingworld"])
def test_every_form_is_the_same_episodes(game: Game) -> None:
    def told(form: Form) -> list[Conversation]:
        return list(textworld_express(5, lesson(**{game: 2}), form=form, names="as_told"))

    flat, code = told("flat"), told("code")
    assert len(flat) == len(code) == 2
    assert commands(flat) == commands(code)
    recursive = told("recursive")
    if game == "arithmetic":  # in the kitchen the recursive form takes things in a loop
        assert set(commands(flat)) <= set(commands(recursive))
    assert recursive == told("recursive")


@needs("textworld_express")
def test_every_conversation_has_its_own_codes() -> None:
    def told(names: Naming) -> list[Conversation]:
        return list(textworld_express(0, lesson(mapreader=2), names=names))

    anonymized = told("anonymized")
    assert anonymized == told("anonymized")
    # The first two calls of an episode see the same room.
    first, second = (
        re.findall("located in the ([a-z ]+),", one.messages[0].text) for one in anonymized[:2]
    )
    assert first != second
    assert {*first, *second} <= set(CODES)
    assert len(anonymized) == len(told("as_told"))


@needs("textworld_express")
def test_a_teacher_wins_games_that_nobody_trains_on() -> None:
    # A lost game is an error of the source.
    games = lesson(**dict.fromkeys(GAMES, 8))
    assert list(textworld_express(0, games, fold="test"))
    kitchen = Part(play="cookingworld", episodes=8, parameters="numLocations=1, includeDoors=0")
    assert list(textworld_express(0, [[kitchen]]))


@needs("textworld_express")
def test_a_game_without_a_teacher_is_refused() -> None:
    assert set(TEACHERS) == set(GAMES)
    with pytest.raises(TrainingDataError, match="twc: teachers know sayings, houses, arithmetic, "):
        list(textworld_express(0, lesson(twc=1)))
    with pytest.raises(TrainingDataError, match="up to 1000 episodes"):
        list(textworld_express(0, lesson(sorting=1001)))
    other = Part(play="arithmetic", episodes=1, quantities="other")
    with pytest.raises(TrainingDataError, match="arithmetic: only sorting has other quantities"):
        list(textworld_express(0, [[other]]))
    with pytest.raises(InputError, match="parameters"):
        list(textworld_express(0, [[Part(play="sorting", episodes=1, parameters="rooms=2")]]))


def searched(house: House) -> list[str]:
    """Return the commands of the teacher that searches a house for what is wanted."""
    seen = f"Take {' and '.join(house.wanted)}.\n\n{house.look()}"
    played = play({"search": search, "explore": explore}, "search", {"seen": seen}, "", house.act)
    return [command for _heard, command in played.commands]


@given(rooms=st.integers(1, 5), seed=st.integers(0, 10_000))
def test_a_made_up_house_is_searched_and_left_where_it_was_entered(rooms: int, seed: int) -> None:
    house = House.drawn(random.Random(seed), rooms)
    [episode] = houses(random.Random(seed), 1)
    assert after(episode.calls[-1][1]).startswith("been = ")
    assert len(house.rooms) == rooms
    before = house.place
    taken = [command for command in searched(house) if "take" in command]
    assert house.place == before
    assert len(taken) == len(house.wanted)


def test_what_is_in_a_box_is_seen_and_taken_once_it_is_open() -> None:
    house = House(
        rooms={(0, 0): "den"},
        things={(0, 0): []},
        boxes={(0, 0): [Box("fridge", ["wanted", "other"]), Box("cutlery drawer", [])]},
        closed=set(),
        wanted=["wanted"],
    )
    before = house.look()
    assert "a fridge that is closed" in before
    assert "other" not in before
    assert any("take wanted" in command for command in searched(house))
    assert "an open fridge, that contains a other. " in house.look()
    assert "an open cutlery drawer, that is empty" in house.look()


def test_a_lesson_of_sayings_repeats_what_is_said() -> None:
    [episode] = sayings(random.Random(1), 1)
    for heard, command in episode.commands[:-1]:
        assert command.partition('"')[2].partition('"')[0] in heard


def test_lessons_are_in_their_order() -> None:
    found = list(textworld_express(0, lesson(sayings=2) + lesson(houses=1), form="flat"))
    assert [(one.group, one.lesson) for one in found] == [("sayings", 0)] * 2 + [("houses", 1)]
