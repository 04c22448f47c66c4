"""The programs that a teacher writes in each kind of game: one for each call, from what the call shows.

Owns the decomposition of five games. A program knows nothing that the student will not see: its arguments and
the texts of the game. Literals in it are read off those texts; nothing is a solution for all games of a kind.
"""

import re
from collections.abc import Callable, Mapping

from agentflow_evals.traces.textworld_express.exploring import explore, grill, listed

Teacher = Mapping[str, Callable[..., str]]  # by the name of the function that is to be written

_RETURN = 'return "done"'
_EXPLORE = "left, been = explore(seen, left, been)"
_AGAIN = f'if left:\n    been = []\n    seen = world_act("look around")\n    {_EXPLORE}'
_CUTS = ("slice", "dice", "chop")
_HEAT = {"roast": "oven", "fry": "stove"}
_UNITS = "mm, cm, m = 1, 10, 1000\nmg, g, kg = 1, 1000, 1000000\nml, l = 1, 1000"
_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "//"}


# Simon says ---------------------------------------------------------------------------------


def _do_as_said(goal: str, seen: str) -> str:  # noqa: ARG001 - what the call shows
    return obey(seen)


def obey(seen: str) -> str:
    """Do what Simon says, and look what he says next."""
    said = re.search(r"Simon says, '([^']+)'", seen)
    if said is None:
        return _RETURN
    return f'seen = world_act("{said[1]}")\nreturn obey(seen)'


# Arithmetic ---------------------------------------------------------------------------------


def _read_problem(goal: str, seen: str) -> str:  # noqa: ARG001
    return (
        'world_act("take math problem")\nproblem = world_act("read math problem")\n'
        "return answer(seen, problem)"
    )


def answer(seen: str, problem: str) -> str:  # noqa: ARG001
    """Compute the quantity that is asked for."""
    found = re.search(r"problem: (\w+) (\d+) (\w+) (\d+)", problem)
    assert found is not None, problem
    verb, first, word, second = found.groups()
    if (verb, word) == ("subtract", "from"):
        first, second = second, first
    return f"number = {first} {_SIGNS[verb]} {second}\nreturn pick(seen, number)"


def pick(seen: str, number: int) -> str:
    """Put the things of that quantity into the box."""
    found = re.search(rf"\b({number} [a-z][a-z ]*?)(?:,| and| on it|\.)", seen)
    assert found is not None, (number, seen)
    return f'world_act("take {found[1]}")\nworld_act("put {found[1]} in box")\n{_RETURN}'


# Sorting ------------------------------------------------------------------------------------


def _sort(goal: str, seen: str) -> str:  # noqa: ARG001
    """Put things into the box by their size, in the smallest unit."""
    # The commands name the things one after the other, the room here and there.
    items = re.findall(r"`take (\d[^`]*)`", seen)
    sizes = [f'({_size(item)}, "{item}")' for item in items]
    return (
        f"{_UNITS}\nsizes = [{', '.join(sizes)}]\nfor size, item in sorted(sizes):\n"
        '    world_act("take " + item)\n    world_act("put " + item + " in box")\n' + _RETURN
    )


def _size(item: str) -> str:
    found = re.match(r"(\d+)([a-z]*) ", item)
    assert found is not None, item
    number, unit = found.groups()
    return f"{number} * {unit}" if unit else number


# Map reader ---------------------------------------------------------------------------------


def _fetch(goal: str, seen: str) -> str:  # noqa: ARG001
    # What is told at the beginning names the coin wherever it is.
    return (
        'seen = world_act("look around")\nleft = ["coin"]\nbeen = []\n'
        f'left, been = explore(seen, left, been)\nworld_act("put coin in box")\n{_RETURN}'
    )


# Cooking ------------------------------------------------------------------------------------


def _read_recipe(goal: str, seen: str) -> str:  # noqa: ARG001
    return 'recipe = world_act("read cookbook")\nreturn cook(seen, recipe)'


def cook(seen: str, recipe: str) -> str:  # noqa: ARG001
    """Gather what the recipe names, and follow its directions."""
    things = re.findall(r"^  ([a-z ]+)$", recipe.partition("Directions")[0], re.MULTILINE)
    steps = re.findall(r"^  (\w+) the ([a-z ]+)$", recipe, re.MULTILINE)
    is_cut = any(verb in _CUTS for verb, _thing in steps)
    lines = [f"left = {listed(['knife'] * is_cut + things)}", "been = []", _EXPLORE, _AGAIN]
    for verb, thing in steps:
        if verb in _CUTS:
            lines.append(f'world_act("{verb} {thing}")')
        elif verb in _HEAT:
            lines.append(f'world_act("cook {thing} in {_HEAT[verb]}")')
    grilled = [thing for verb, thing in steps if verb == "grill"]
    if grilled:
        lines += [f"left = {listed(grilled)}", "been = []", 'seen = world_act("look around")']
        lines.append("left, been = grill(seen, left, been)")
    lines += ['world_act("prepare meal")', 'world_act("eat meal")', _RETURN]
    return "\n".join(lines)


TEACHERS: dict[str, Teacher] = {
    "arithmetic": {"solve": _read_problem, "answer": answer, "pick": pick},
    "cookingworld": {"solve": _read_recipe, "cook": cook, "explore": explore, "grill": grill},
    "mapreader": {"solve": _fetch, "explore": explore},
    "simonsays": {"solve": _do_as_said, "obey": obey},
    "sorting": {"solve": _sort},
}
