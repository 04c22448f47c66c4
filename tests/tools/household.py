"""A household of our own for ALFWorld's engine: the package's domain and grammar, and a small problem."""

import json
from pathlib import Path

PLACES = {
    "countertop": "CounterTopType",
    "shelf": "ShelfType",
    "sink": "SinkBasinType",
    "fridge": "FridgeType",
    "drawer": "DrawerType",
}
OPENABLE = ("fridge", "drawer")
THINGS = {"plate": ("PlateType", "countertop"), "apple": ("AppleType", "fridge")}


def write_game(folder: Path, task: str, goal: str) -> Path:
    """Write a game file for a goal in PDDL; `task` is what the player reads."""
    import alfworld

    data = Path(alfworld.__file__).parent / "data"
    grammar = (data / "alfred.twl2").read_text().replace("UNKNOWN GOAL", task)
    game = {
        "pddl_domain": (data / "alfred.pddl").read_text(),
        "grammar": grammar,
        "pddl_problem": _problem(goal),
        "solvable": True,
    }
    folder.mkdir(parents=True)
    path = folder / "game.tw-pddl"
    path.write_text(json.dumps(game))
    (folder / "traj_data.json").write_text(json.dumps({"task_type": folder.name.split("-")[0]}))
    return path


def _problem(goal: str) -> str:
    locations = ["loc_bar_start", *(f"loc_bar_{name}" for name in PLACES)]
    # The engine calls this id `sinkbasin 1`, as it does those of real games.
    ids = {name: f"{name}_bar_1" for name in PLACES} | {"sink": "sink_bar_1_bar_sinkbasin"}
    things = [f"{name}_bar_1" for name in THINGS]
    rtypes = sorted(set(PLACES.values()))
    otypes = sorted({kind for kind, _place in THINGS.values()})
    facts = ["(atLocation agent1 loc_bar_start)", "(= (total-cost) 0)"]
    for name, kind in PLACES.items():
        facts.append(f"(receptacleType {ids[name]} {kind})")
        facts.append(f"(receptacleAtLocation {ids[name]} loc_bar_{name})")
        if name in OPENABLE:
            facts.append(f"(openable {ids[name]})")
        facts += [f"(canContain {kind} {other})" for other in otypes]
    for name, (kind, place) in THINGS.items():
        facts.append(f"(objectType {name}_bar_1 {kind})")
        facts.append(f"(inReceptacle {name}_bar_1 {place}_bar_1)")
        facts.append(f"(objectAtLocation {name}_bar_1 loc_bar_{place})")
        facts += [f"({able} {name}_bar_1)" for able in ("pickupable", "cleanable", "coolable")]
    return "\n".join(
        [
            "(define (problem household) (:domain alfred)",
            "(:objects agent1 - agent",
            f"{' '.join(locations)} - location",
            f"{' '.join(ids.values())} - receptacle",
            f"{' '.join(things)} - object",
            f"{' '.join(rtypes)} - rtype",
            f"{' '.join(otypes)} - otype)",
            "(:init",
            *facts,
            ")",
            f"(:goal {goal})",
            "(:metric minimize (total-cost)))",
        ]
    )
