"""Functions that worked, kept for other tasks: recalled by what they are, verified before they are used.

Owns what a skill is, how one is found, and the steps by which runs read and write the library, so that
a replay touches no file. A skill is found by the content key of the wanted function, else by the same
parameters and the same words of its description; no model and no embedding is asked. A recalled skill first runs
on its own examples in the sandbox, every call it makes answered as it was then; one that fails is
dropped, with the reason, and written anew.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow import Program, Unwritten, idempotency_key, note, parallel, run_program, tool
from agentflow.data import Data, to_json
from agentflow.engine.steps import current_frame
from agentflow.errors import ExpansionError, InputError, ProgramError, ToolError
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.recoding.skill_store import SkillStore

MAX_EXAMPLES = 3  # of one skill
MAX_EXAMPLE_BYTES = 64 << 10

# Words that say nothing of what a function does.
_FILLERS = frozenset(
    ("a", "an", "and", "as", "for", "given", "in", "is", "it", "its", "of", "return", "that", "the")
)


class CallSeen(BaseModel):
    """A call of a tool or of another function, and its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Data]
    value: Data


class SkillExample(BaseModel):
    """Arguments for which a function was seen to return a value, and the calls it made on the way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arguments: dict[str, Data]
    value: Data
    calls: tuple[CallSeen, ...] = ()


class Skill(BaseModel):
    """A written function, the tools its body calls, and what it was seen to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: FunctionNode
    tools: tuple[str, ...] = ()
    examples: tuple[SkillExample, ...]

    @property
    def head(self) -> "SkillHead":
        """What the skill is found by."""
        return SkillHead(
            key=self.node.key,
            name=self.node.name,
            parameters=tuple(item.name for item in self.node.parameters),
            returns=self.node.returns or "",
            doc=self.node.doc,
            tools=self.tools,
        )


class SkillHead(BaseModel):
    """A skill without its body: what it is found by, and how often it was of use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    name: str
    parameters: tuple[str, ...]
    returns: str
    doc: str
    tools: tuple[str, ...]
    used: int = 0


@tool
def list_skills(path: str) -> list[SkillHead]:
    """Return what a skill library holds, the most used first, 500 at most."""
    return [SkillHead(**row) for row in SkillStore(path).heads()]


@tool
def read_skill(path: str, key: str) -> Skill | None:
    """Return one skill of a library; None when it has been dropped meanwhile."""
    found = SkillStore(path).read(key)
    if found is None:
        return None
    node, tools, seen = found
    return Skill(
        node=FunctionNode.model_validate_json(node),
        tools=tuple(tools),
        examples=tuple(SkillExample.model_validate_json(data) for data in seen),
    )


@tool(effect=True)
def keep_skill(path: str, skill: Skill) -> None:
    """Store a skill in a library, in the place of an older one of the same key."""
    head = skill.head.model_dump(mode="json", exclude={"used"})
    seen = [example.model_dump_json() for example in skill.examples]
    SkillStore(path).keep(head, skill.node.model_dump_json(), seen, write=idempotency_key())


@tool(effect=True)
def count_skill(path: str, key: str, used: int) -> None:
    """Count how often a skill was of use in a run that ended well."""
    SkillStore(path).count(key, used, write=idempotency_key())


@tool(effect=True)
def drop_skill(path: str, key: str, reason: str) -> None:
    """Let a skill of a library be found no more."""
    SkillStore(path).drop(key, reason)


class Skills:
    """One library as one run uses it; `open` reads what there is."""

    def __init__(self, path: str, heads: Iterable[SkillHead]) -> None:
        self._path = path
        self._heads = {head.key: head for head in heads}

    @classmethod
    async def open(cls, path: str) -> "Skills":
        """Return the library at a path, made if need be.

        Raises:
            InputError: The path holds something else, or cannot be read or written.
        """
        return cls(path, await list_skills(path))

    async def recall(self, wanted: FunctionNode, tools: Iterable[str]) -> Skill | None:
        """Return a skill that does what `wanted` says and still satisfies its examples."""
        head = find(wanted, self._heads.values(), frozenset(tools))
        if head is None:
            return None
        try:
            skill = await read_skill(self._path, head.key)
            if skill is None:
                return None
            problem = await failing(skill)
            if not problem:
                note(f"recalled skill {head.name} for {wanted.name}", skill=head.key)
                return skill
            note(f"dropped skill {head.name}: {problem}", skill=head.key)
            self._heads.pop(head.key, None)
            await drop_skill(self._path, head.key, problem)
        except (InputError, ToolError) as error:
            note(f"the skill library was not used for {wanted.name}: {error}")
        return None

    def replace(self, key: str) -> None:
        """Let another body take the place of a skill's: it worked on arguments on which the skill failed."""
        self._heads.pop(key, None)

    async def keep(self, skills: Iterable[Skill], uses: dict[str, int]) -> None:
        """Store what a run that ended well has learned, and how often it could use what was there."""
        try:
            for skill in sorted(skills, key=lambda skill: skill.node.key):
                if skill.node.key not in self._heads:
                    await keep_skill(self._path, skill)
            for key, used in sorted(uses.items()):
                await count_skill(self._path, key, used)
        except (InputError, ToolError) as error:  # the answer of the run is worth more
            note(f"the skill library was not written: {error}")


def is_storable(value: Any) -> bool:
    """Return whether a skill may hold a value: plain data, not too large, without a secret in it."""
    data = to_json(value)
    redactor = current_frame("skills").run.redactor
    return len(data) <= MAX_EXAMPLE_BYTES and redactor.content(data) is data


def find(
    wanted: FunctionNode, heads: Iterable[SkillHead], tools: frozenset[str]
) -> SkillHead | None:
    """Return the skill that means what `wanted` says: the same content, else the same words.

    Functions of other parameters, of another declared result or in need of other tools never match.
    One word more or less is another meaning; fillers, endings and punctuation are not.
    """
    fitting = [head for head in heads if tools.issuperset(head.tools)]
    same = next((head for head in fitting if head.key == wanted.key), None)
    if same is not None:
        return same
    parameters = {item.name for item in wanted.parameters}
    alike = [
        head
        for head in fitting
        if set(head.parameters) == parameters
        and head.returns == (wanted.returns or "")
        and _are_alike(wanted, head)
    ]
    # The last part breaks ties, so that the same library gives the same answer.
    return max(
        alike, key=lambda head: (head.name == wanted.name, head.used, head.key), default=None
    )


def _are_alike(wanted: FunctionNode, head: SkillHead) -> bool:
    """Return whether two descriptions say the same; in another order only under the same name."""
    ours, theirs = _words(wanted.doc), _words(head.doc)
    if wanted.name == head.name:
        return bool(ours) and sorted(ours) == sorted(theirs)
    return bool(ours) and ours == theirs


def _words(text: str) -> list[str]:
    found = re.findall(r"[^\W_]+|[^\w\s.,;:()\"'`]", text.lower())
    plain = (word.removesuffix("s") if len(word) > 3 else word for word in found)
    return [word for word in plain if word not in _FILLERS]


async def failing(skill: Skill) -> str:
    """Return what is wrong with a skill on its own examples; empty when it satisfies them all."""
    problems = await parallel(_failing_on(skill, example) for example in skill.examples)
    return next((problem for problem in problems if problem), "")


async def _failing_on(skill: Skill, example: SkillExample) -> str:
    program = Program(code=skill.node.body or "", inputs=example.arguments)
    answers = _Answers(skill.node.name, example)
    try:
        value = await run_program(program, answers.answer, name=f"verify {skill.node.name}")
    except (ProgramError, ExpansionError) as error:
        return str(error)
    return "" if to_json(value) == to_json(example.value) else "it returns another value"


class _Answers:
    """The answers that calls got when the example was seen; nothing else is called."""

    def __init__(self, name: str, example: SkillExample) -> None:
        self._name = name
        self._left: dict[bytes, list[Any]] = defaultdict(list)
        for call in example.calls:
            self._left[_asked(call.name, call.arguments)].append(call.value)

    async def answer(self, call: Unwritten) -> Any:
        left = self._left.get(_asked(call.name, call.arguments()))
        if not left:
            raise ExpansionError(step=self._name, problem=f"it calls {call.name} as it never did")
        return left.pop(0) if len(left) > 1 else left[0]


def _asked(name: str, arguments: dict[str, Any]) -> bytes:
    return to_json([name, list(arguments.items())])
