"""Components put into groups: a model's proposal, checked, and a place for what it forgets.

Owns what stands for components in a list that has a bound (themselves, files, folders, ranges), what is
wrong with a proposal, and where the rest goes. What always holds: every component is in exactly one group,
and a group is never empty.
"""

from collections import Counter
from collections.abc import Sequence
from math import ceil

from agentflow import note
from agentflow_planners.shared.acting import SETBACKS
from agentflow_planners.shared.replies import opening, sound
from agentflow_planners.shared.repository import Component
from agentflow_planners.shared.values import Frozen
from agentflow_planners.shared.wording import Brief, cut

MAX_LINE_CHARS = 160
MAX_NAMED = 12

GROUP = (
    "Divide a part of a code base into modules that each do one thing: at least 2 and at most {most}. "
    "Give each a short name and the numbers of its members; every number is in exactly one module."
)

Homes = list[tuple[str, list[Component]]]


class Group(Frozen):
    """A group as a model proposes it: a name, and numbers of the list."""

    name: Brief
    members: tuple[int, ...]


class Groups(Frozen):
    """All of them."""

    groups: tuple[Group, ...]


async def grouped(
    told: str, components: Sequence[Component], *, most: int, listed: int
) -> list[tuple[str, list[Component]]]:
    """Return between 2 and `most` groups by name; folders divide where no proposal is sound.

    Args:
        told: What the components are.
        components: At least two.
        most: How many groups there may be.
        listed: How many lines the model is shown at most.

    Raises:
        ModelError: A call failed for good.
    """
    items = list(in_items(components, listed).items())
    said = opening(GROUP.format(most=most), f"{told}\n{_lines(items)}")
    try:
        proposed = await sound(
            said, Groups, lambda reply: _unsound(reply.groups, len(items), most), step="grouping"
        )
    except SETBACKS as error:
        note(f"the folders divide: {error}")
        return list(in_items(components, most).items())
    homes = [
        (each.name, [one for at in each.members for one in items[at - 1][1]])
        for each in proposed.groups
    ]
    return with_rest(homes, components)


def with_rest(homes: Homes, components: Sequence[Component]) -> Homes:
    """Return groups with every component that is in none: where its likes are, and no group empty."""
    homes = [(name, list(found)) for name, found in homes if found]
    home_of = {one.id: at for at, (_name, found) in enumerate(homes) for one in found}
    near = {key: home_of[one.id] for one in components if one.id in home_of for key in _near(one)}
    ties: dict[str, list[str]] = {}
    for one in components:
        for use in one.uses:
            ties.setdefault(one.id, []).append(use)
            ties.setdefault(use, []).append(one.id)
    lost = [one for one in components if one.id not in home_of]
    for one in lost:
        votes = Counter(home_of[other] for other in ties.get(one.id, []) if other in home_of)
        by_place = (near[key] for key in _near(one) if key in near)
        homes[votes.most_common(1)[0][0] if votes else next(by_place, 0)][1].append(one)
    if lost:
        note(
            f"{len(lost)} components were in no group, first {lost[0].id}; they went to their likes"
        )
    return homes


def in_items(components: Sequence[Component], most: int) -> dict[str, list[Component]]:
    """Return components by what stands for them: themselves, files, ever wider folders, or ranges."""
    deepest = max(one.path.count("/") for one in components)
    for level in (None, *range(deepest + 1, 0, -1)):
        items: dict[str, list[Component]] = {}
        for one in components:
            key = one.id if level is None else "/".join(one.path.split("/")[:level])
            items.setdefault(key, []).append(one)
        if 1 < len(items) <= most:
            return items
    size = ceil(len(components) / most)
    ranges = [list(components[at : at + size]) for at in range(0, len(components), size)]
    return {f"{each[0].id} to {each[-1].id}": each for each in ranges}


def _near(one: Component) -> tuple[str, str]:
    return one.path, f"{one.path.rpartition('/')[0]}/"


def _unsound(groups: Sequence[Group], count: int, most: int) -> str:
    """Return what is wrong with groups; that a number is in none of them is not."""
    numbers = Counter(number for group in groups for number in group.members)
    unknown = [number for number in numbers if not 1 <= number <= count]
    twice = [number for number, times in numbers.items() if times > 1]
    if unknown:
        return f"there is no number {unknown[0]}"
    if twice:
        return f"number {twice[0]} is there twice"
    if not all(group.members and group.name.strip() for group in groups):
        return "every module needs a name and members"
    return "" if 2 <= len(groups) <= most else f"give 2 to {most} modules, not {len(groups)}"


def _lines(items: Sequence[tuple[str, Sequence[Component]]]) -> str:
    """Return a numbered list of items, each with the numbers of those it uses."""
    number = {one.id: at for at, (_key, found) in enumerate(items, 1) for one in found}
    lines = []
    for at, (key, found) in enumerate(items, 1):
        uses = sorted({number[use] for one in found for use in one.uses if use in number} - {at})
        size = sum(len(one.text) for one in found)
        line = f"{at}. {key} ({size} characters; uses {uses[:MAX_NAMED]}): {found[0].about}"
        lines.append(cut(line, MAX_LINE_CHARS).partition("\n")[0])
    return "\n".join(lines)
