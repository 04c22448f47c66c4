"""Architectures of layers, as data: what a component is, and which layers may follow one another.

Owns the form and the rules, which are checked before anything is asked. Knows neither prompts nor how a
layer is carried out.
"""

from typing import Annotated, Literal

from pydantic import Field

from agentflow.errors import InputError
from agentflow_planners.shared.fusing import Voice
from agentflow_planners.shared.values import Count

Kind = Literal[
    "generator",
    "ranker",
    "fuser",
    "critic",
    "verifier",
    "unit_test_generator",
    "unit_test_evaluator",
]


class Component(Voice):
    """One member of a layer: what it does, with which model, and how much of it."""

    type: Kind
    samples: Count = 1
    top_k: Count | None = None
    tests: Annotated[int, Field(ge=1, le=20)] = 5


Layers = Annotated[
    tuple[Annotated[tuple[Component, ...], Field(max_length=32)], ...],
    Field(min_length=1, max_length=16),
]

TAKEN_BY = {
    "samples": ("generator", "fuser"),
    "top_k": ("ranker", "unit_test_evaluator"),
    "tests": ("unit_test_generator",),
}
SEVERAL = ("generator", "fuser")
READERS = ("ranker", "fuser")  # who makes use of a critique


def refuse_unsound(layers: Layers, most: int) -> None:
    """Refuse an architecture that breaks a rule.

    Raises:
        InputError: It does; the message names the first layer that is wrong.
    """
    for place, layer in enumerate(layers):
        problem = "it is empty" if not layer else _problem(layers, place, most)
        if problem:
            kinds = "".join(f" ({kind})" for kind in dict.fromkeys(item.type for item in layer))
            raise InputError(step="layers", problem=f"layer {place + 1}{kinds}: {problem}")


def _problem(layers: Layers, place: int, most: int) -> str:
    """Return which rule a layer breaks; empty if none."""
    layer, kind = layers[place], layers[place][0].type
    after = [component.type for later in layers[place + 1 :] for component in later]
    before = layers[place - 1][0].type if place else ""
    made = sum(component.samples for component in layer) if kind in SEVERAL else 0
    rules = {
        "its members must be of one type": len({component.type for component in layer}) > 1,
        "the first layer must be generators": place == 0 and kind != "generator",
        "generators belong in the first layer only": place > 0 and kind == "generator",
        f"only one {kind} may stand in a layer": len(layer) > 1 and kind not in SEVERAL,
        "a ranker or a fuser must come after a critic": kind == "critic"
        and not set(after) & set(READERS),
        "a unit_test_evaluator must come right after it": kind == "unit_test_generator"
        and after[:1] != ["unit_test_evaluator"],
        "a unit_test_generator must come right before it": kind == "unit_test_evaluator"
        and before != "unit_test_generator",
        f"it makes {made} candidates, more than `most`, which is {most}": made > most,
    }
    for setting, kinds in TAKEN_BY.items():
        usual = Component.model_fields[setting].default
        is_set = any(getattr(component, setting) != usual for component in layer)
        rules[f"a {kind} takes no `{setting}`"] = is_set and kind not in kinds
    return next((problem for problem, is_broken in rules.items() if is_broken), "")
