"""What one run of ReCode has written so far, and what it remembers of earlier runs.

Owns the table of bodies: by the program that calls a function and the content of the function, for its
further calls there. With a skill library, also what each body was seen to do, and at the end of a run
that ended well, which of it is worth keeping: the functions of the tree that gave the answer.
"""

from contextvars import ContextVar

from agentflow import placeholders
from agentflow.errors import ProgramError
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.recoding.skills import (
    MAX_EXAMPLES,
    Skill,
    SkillExample,
    Skills,
    is_storable,
)
from agentflow_planners.recoding.units import Unit

Key = tuple[str, str]  # the calling program, the content key of the function


class Table:
    """The functions of one run of `recode`; a replay fills it in the same order."""

    def __init__(self, tools: tuple[str, ...], skills: Skills | None) -> None:
        self._tools, self._skills = tools, skills
        self._bodies: dict[Key, FunctionNode] = {}
        self._unproven: dict[Key, FunctionNode] = {}
        self._recalled: dict[Key, tuple[str, str]] = {}  # the skill's key and its body
        self._examples: dict[Key, list[tuple[str, SkillExample]]] = {}
        self._purposes: dict[Key, str] = {}

    @property
    def remembers(self) -> bool:
        """Whether there is a skill library, so that it matters what functions are seen to do."""
        return self._skills is not None

    def find(self, unit: Unit) -> FunctionNode | None:
        """Return the written function for a call; inside of itself, the version under way."""
        return (self._unproven if unit.self_calls else self._bodies).get(_key(unit))

    def holds(self, unit: Unit) -> bool:
        """Return whether a body of the function has worked already."""
        return _key(unit) in self._bodies

    def begin(self, unit: Unit, written: FunctionNode) -> None:
        """Note the version that runs now, for its calls of itself."""
        self._unproven[_key(unit)] = written

    def fail(self, unit: Unit) -> None:
        """Take back a body that failed."""
        self._bodies.pop(_key(unit), None)

    def keep(self, unit: Unit, written: FunctionNode, example: SkillExample | None) -> None:
        """Keep a body that worked, and what it did."""
        key, body = _key(unit), written.body or ""
        self._bodies[key] = written
        self._purposes[key] = unit.purpose
        recalled = self._recalled.get(key)
        if recalled and recalled[1] != body and self._skills is not None:
            self._skills.replace(recalled[0])
        seen = self._examples.setdefault(key, [])
        if example is not None and len(seen) < 4 * MAX_EXAMPLES and is_storable(example):
            seen.append((body, example))

    async def recall(self, unit: Unit) -> str | None:
        """Return the body of a verified skill that does what is wanted; None without one."""
        if self._skills is None:
            return None
        skill = await self._skills.recall(_described(unit.node, unit.purpose), self._tools)
        body = skill.node.body if skill else None
        if skill is None or body is None:
            return None
        if _called(body, skill.node) & set(self._tools) != set(skill.tools):
            return None  # what was a function to be written there is a tool here
        self._recalled[_key(unit)] = (skill.node.key, body)
        return body

    async def remember(self) -> None:
        """Store the functions that gave the answer of this run."""
        if self._skills is None:
            return
        answering = self._answering()
        skills = {skill.node.key: skill for key in answering if (skill := self._skill(key))}
        uses: dict[str, int] = {}
        for key in answering:
            skill_key, body = self._recalled.get(key, ("", ""))
            if skill_key and self._bodies[key].body == body:
                uses[skill_key] = uses.get(skill_key, 0) + 1
                skills.pop(skill_key, None)
        await self._skills.keep(skills.values(), uses)

    def _answering(self) -> list[Key]:
        """Return the functions that the last versions of their callers call, from the root down."""
        programs, found = {""}, 0
        while len(programs) > found:
            found = len(programs)
            programs |= {n.body or "" for key, n in self._bodies.items() if key[0] in programs}
        return [key for key in self._bodies if key[0] in programs]

    def _skill(self, key: Key) -> Skill | None:
        node = self._bodies[key]
        examples = [example for body, example in self._examples.get(key, []) if body == node.body]
        if not examples or not is_storable(node):
            return None
        described = _described(node, self._purposes[key])
        tools = tuple(sorted(_called(node.body or "", node) & set(self._tools)))
        return Skill(node=described, tools=tools, examples=tuple(examples[:MAX_EXAMPLES]))


TABLE: ContextVar[Table] = ContextVar("recode_table")


def _key(unit: Unit) -> Key:
    return (unit.origin, unit.node.key)


def _described(node: FunctionNode, purpose: str) -> FunctionNode:
    """Return the node with words for what it does, which another task can find it by."""
    return node.model_copy(update={"doc": purpose})


def _called(body: str, node: FunctionNode) -> set[str]:
    """Return the names of tools and unwritten functions that a body calls."""
    try:
        sites = placeholders(body, [item.name for item in node.parameters])
    except ProgramError:
        return set()
    return {site.name for site in sites}
