"""The cases that a search learns from, chooses by and is measured on.

Owns the three parts and the draw that makes them. Knows no planner. No case, and no task, is in two
parts, unless the one task there is is repeated on purpose; the same seed makes the same parts.
"""

import random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agentflow import Named, Task
from agentflow.data import canonical
from agentflow.errors import InputError

LEAST = 3  # one for each part


class Case(BaseModel):
    """A task whose answer can be checked; `id` is unique among the cases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=200)
    task: Task
    checks: tuple[Named, ...] = Field(min_length=1)


class Cases(BaseModel):
    """The parts: to learn from, to choose by, and `held_out`, which only the chosen one meets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: tuple[Case, ...] = Field(min_length=1)
    select: tuple[Case, ...] = Field(min_length=1)
    held_out: tuple[Case, ...] = Field(min_length=1)


_LISTED: TypeAdapter[tuple[Case, ...]] = TypeAdapter(
    Annotated[tuple[Case, ...], Field(min_length=LEAST, max_length=10_000)]
)


def cases_of(task: Task, *, seed: int = 0) -> Cases:
    """Return the cases in `task.inputs["cases"]`, drawn into three parts of about the same size.

    Args:
        task: `cases` is a list of at least three mappings with `id`, `task` (as `Task`) and `checks` (each
            `name` and `options` of a scorer).
        seed: Of the draw.

    Raises:
        InputError: There are no such cases, or two that must not be there; the message says which.
    """
    listed = _listed(task)
    _refuse_doubles(listed)
    drawn = list(listed)
    random.Random(seed).shuffle(drawn)  # noqa: S311 - a draw of cases, no secret
    third = len(drawn) // LEAST
    return Cases(
        train=tuple(drawn[2 * third :]),
        select=tuple(drawn[third : 2 * third]),
        held_out=tuple(drawn[:third]),
    )


def _listed(task: Task) -> tuple[Case, ...]:
    if "cases" not in task.inputs:
        problem = "there are no `cases` among the task's inputs; give a list of {id, task, checks}"
        raise InputError(step="cases", problem=problem)
    try:
        return _LISTED.validate_python(task.inputs["cases"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(["cases", *map(str, first["loc"])])
        raise InputError(step="cases", problem=f"{place}: {first['msg']}") from error


def _refuse_doubles(listed: tuple[Case, ...]) -> None:
    """Refuse one id or one task twice; that all cases are one task is no accident."""
    names: set[str] = set()
    first: dict[bytes, str] = {}
    doubles = []
    for case in listed:
        if case.id in names:
            raise InputError(step="cases", problem=f"two cases have the id {case.id!r}")
        names.add(case.id)
        same = first.setdefault(canonical(case.task.model_dump(mode="json")), case.id)
        if same != case.id:
            doubles.append((same, case.id))
    if doubles and len(first) > 1:
        one, other = doubles[0]
        problem = f"{one!r} and {other!r} are one task, which two parts might see; leave one out"
        raise InputError(step="cases", problem=problem)
