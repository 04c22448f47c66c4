"""Grow a seed prompt into a tree of plans and artefacts that a person prunes and lets grow again.

After Earle, Parajuli and Banburski-Fahey, DreamGarden. A recursive planner divides the seed; leaves go to
tools, each of which makes an artefact: `code` (a Python program that is run, and corrected from what its
run says) or `text`. The person is shown the garden as soon as the whole plan stands, before anything is
made, and again when all is made, and answers with a list of edits, as JSON:

    [{"node": "1.2", "do": "prune"}]                      take it out, with all below it
    [{"node": "1.2", "do": "goal", "text": "..."}]        give it another goal, and let it grow again
    [{"node": "1.2", "do": "regrow", "text": "..."}]      let it grow again, with this feedback if any
    [{"node": "1.2", "do": "note", "text": "..."}]        feedback that waits until something grows there
    []                                                    go on: make what is planned, or end

Only what an edit names, with all below it, grows again; the rest stays as it is. A note holds for the node
and all below. After edits the new plan is shown first, so what is pruned there is never made; a node that is
at work is not interrupted. Nobody there: the run pauses, its process may end, and `agentflow answer` and
`agentflow resume` go on. With `people: false` the garden grows by itself.

What differs, and why:
- no Unreal Engine: the tools for meshes, scenes and images, and the visual feedback, are not here;
- the garden is plain data and the edits are a typed value, so any viewer can be the garden's page;
- the person tends the garden between its growths, not during one: what a pruned leaf costs is not paid;
- depth, width and the whole tree are bounded, and so is the number of times the person is asked;
- an edit that cannot be made is told with the next question, and harms nothing;
- a leaf that fails keeps its problem, and the garden grows on.

Source: Earle et al., DreamGarden: A Designer Assistant for Growing Games from a Single Prompt,
  arXiv:2410.01791.
Cost: tens of calls: nodes + leaves x (1 + corrections), again for what grows again.
Needs: a sandbox, a person.
Published: none that were checked.
"""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Literal

from pydantic import Field

from agentflow import Examination, Message, Result, Task, ask, examine, flow, generate, parallel
from agentflow_planners.shared.answers import python_fence
from agentflow_planners.shared.coding import python_reply
from agentflow_planners.shared.delegation import FAILURES, Bounds, Delegating, Place, nearly_same
from agentflow_planners.shared.replies import opening, sound
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import Brief, cut, statement

STEP, ROOT = "dreamgarden", "1"
MAX_TOLD_CHARS = 4_000
MAX_SHOWN_CHARS = 200
MAX_TEXT_TOKENS = 2_048
SHOW = "print(main())"

PLAN = """\
You are the gardener of a plan that grows from a seed; you see the way from the seed down to one node. \
Divide that last node into 2 to {room} parts that are smaller and differ from each other (`how`: "split", \
with `parts`), or, when one worker can make it in one piece, hand it to a tool: "code" for a small Python \
program, "text" for anything in words."""
CHOOSE = """\
You are the gardener of a plan that grows from a seed; you see the way from the seed down to one node. \
Hand that last node to a tool: "code" for a small Python program, "text" for anything in words."""
MAKE = {
    "code": (
        "Write one Python module, between ```python and ```, for the last goal. It has a function "
        "main() without parameters that shows it at work and returns plain data. Use the standard "
        "library only, and no files, network or input."
    ),
    "text": "Write what the last goal asks for, and nothing else.",
}
MEND = "Running main() went wrong:\n{report}\n\nSend the whole module corrected."
ASKED = """\
{remarks}{garden}
Edits as JSON, e.g. [{{"node": "1.1", "do": "prune"}}]; do: prune, goal, regrow, note; [] goes on."""


class Sprout(Frozen):
    """What the planner makes of a node."""

    how: Literal["split", "code", "text"]
    parts: tuple[Brief, ...] = ()


class Artefact(Frozen):
    """What a leaf has come to: its text or source, what running it gave, and what is wrong with it."""

    kind: str
    text: str = ""
    result: str = ""
    problem: str = ""


class Edit(Frozen):
    """One thing a person does in the garden."""

    node: str
    do: Literal["prune", "goal", "regrow", "note"]
    text: str = ""


class Node(Frozen):
    """A node with all below it: `how` once it is planned, an artefact once it is made."""

    id: str
    goal: str
    notes: tuple[str, ...] = ()
    place: Place = Field(exclude=True)  # of no interest in an answer, and neither is `how`
    how: str = Field("", exclude=True)
    artefact: Artefact | None = None
    children: tuple["Node", ...] = ()

    def having(self, **fields: Any) -> "Node":
        """Return the node with these fields in place of its own."""
        return self.model_copy(update=fields)

    def walk(self) -> Iterator["Node"]:
        """Yield the node, then those below it."""
        yield self
        for child in self.children:
            yield from child.walk()


Grow = Callable[[Node, str], Awaitable[Node]]


@flow
async def dreamgarden(
    task: Task,
    *,
    people: bool = True,
    depth: Count = 3,
    width: Count = 4,
    total: Count = 20,
    corrections: Number = 2,
    rounds: Count = 10,
) -> Result:
    """Grow the garden; the answer is its tree, each node with its artefact or its children.

    Args:
        task: Its statement is the seed.
        people: Whether a person tends the garden.
        depth: How many levels there may be below the seed.
        width: How many parts a node may have.
        total: How many nodes there may be below the seed at a time.
        corrections: How often a leaf's code may be corrected.
        rounds: How often the person may be asked; after that the garden grows by itself.

    Raises:
        AskError: Nobody can ever answer; otherwise the run pauses.
        ExpansionError, MalformedReplyError: The seed itself can be neither planned nor made, and nobody
            tends the garden.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    bounds = Bounds(depth=depth, width=width, total=total)
    tree = Node(id=ROOT, goal=statement(task), place=bounds.root())
    plans, makes = partial(_planned, bounds), partial(_made, corrections)
    remarks = ""
    for _round in range(rounds if people else 0):
        tree = await _grown(tree, plans, people)
        told = ASKED.format(remarks=remarks, garden=_seen(tree))
        if edits := await ask(told, output=list[Edit]):
            tree, remarks = _changed(tree, edits)
            continue
        planned, tree, remarks = tree, await _grown(tree, makes, people), ""
        if tree == planned:
            break
    for grow in (plans, makes):
        tree = await _grown(tree, grow, people)
    return Result(output=tree.model_dump(mode="json"))


@flow
async def plan(told: str, goal: str, room: int) -> Sprout:
    """Decide what is to be made of a node."""
    if room < 2:
        leaf = {"type": "string", "enum": list(MAKE)}
        return Sprout(how=await generate(opening(CHOOSE, told), output=leaf))

    def problem(sprout: Sprout) -> str:
        if sprout.how == "split" and not 2 <= len(sprout.parts) <= room:
            return f"give 2 to {room} parts, not {len(sprout.parts)}"
        return next(filter(None, (nearly_same(part, goal) for part in sprout.parts)), "")

    return await sound(opening(PLAN.format(room=room), told), Sprout, problem, step=STEP)


@flow
async def make(told: str, kind: str, corrections: int) -> Artefact:
    """Make a leaf's artefact; code is run, and corrected from what its run says."""
    said = opening(MAKE[kind], told)
    if kind == "text":
        return Artefact(kind=kind, text=(await generate(said, max_tokens=MAX_TEXT_TOKENS)).text)
    made = Artefact(kind=kind)
    for failures in range(corrections + 1):
        reply = await python_reply(said, failures=failures)
        made = await _ran(python_fence(reply)[0] or "")
        if not made.problem:
            break
        mend = Message(role="user", text=MEND.format(report=made.problem))
        said += [Message(role="assistant", text=reply), mend]
    return made


async def _ran(source: str) -> Artefact:
    seen = await examine(Examination(source=source, tests=SHOW, names={"main": "main"}))
    problem = cut(seen.failure.report, MAX_TOLD_CHARS) if seen.failure else ""
    return Artefact(kind="code", text=source, result=seen.stdout, problem=problem)


async def _grown(node: Node, grow: Grow, people: bool, above: str = "") -> Node:
    """Let a node grow, then those below it, side by side; each is told the way from the seed to it.

    What fails keeps its problem; that of the seed is raised, unless there is somebody to mend it.
    """
    own = "\n  feedback: ".join([f"{node.id} {cut(node.goal, MAX_TOLD_CHARS)}", *node.notes])
    told = f"{above}\n{own}" if above else own
    try:
        node = await grow(node, told)
    except FAILURES as error:
        if node.id == ROOT and not people:
            raise
        node = node.having(artefact=Artefact(kind="none", problem=str(error)))
    below = await parallel(_grown(child, grow, people, told) for child in node.children)
    return node.having(children=tuple(below))


async def _planned(bounds: Bounds, node: Node, told: str) -> Node:
    """Return a node with its parts, or with how it is made, where nothing is planned yet."""
    if node.how or node.artefact:
        return node
    delegating = Delegating(node.goal, node.place, bounds)
    sprout = await plan.named(f"plan {node.id}")(told, node.goal, delegating.room)
    parts = enumerate(sprout.parts if sprout.how == "split" else (), 1)
    children = (
        Node(id=f"{node.id}.{number}", goal=goal, place=delegating.admit(goal))
        for number, goal in parts
    )
    return node.having(how=sprout.how, children=tuple(children))


async def _made(corrections: int, node: Node, told: str) -> Node:
    """Return a leaf with its artefact where it has none yet."""
    if node.artefact or node.how not in MAKE:
        return node
    return node.having(artefact=await make.named(f"make {node.id}")(told, node.how, corrections))


def _changed(tree: Node, edits: list[Edit]) -> tuple[Node, str]:
    """Return the tree with its edits made, and remarks on those that cannot be."""
    remarks = ""
    for edit in edits:
        there = {node.id for node in tree.walk()}
        changed = _edited(tree, edit) if edit.node in there else None
        if changed is None:
            remarks += f"There was no {edit.node!r} to {edit.do}.\n"
        tree = changed or tree
    return tree, remarks


def _edited(node: Node, edit: Edit) -> Node | None:
    """Return a node after an edit; None if it is pruned."""
    if node.id != edit.node:
        below = (_edited(child, edit) for child in node.children)
        return node.having(children=tuple(filter(None, below)))
    if edit.do == "prune":
        return None
    if edit.do != "note":
        node = node.having(how="", artefact=None, children=())
    if edit.do == "goal":
        return node.having(goal=edit.text)
    return node.having(notes=(*node.notes, edit.text)) if edit.text else node


def _seen(tree: Node) -> str:
    """Return the garden as lines for the person: nothing behind the tool is a leaf that is only planned."""
    lines = []
    for node in tree.walk():
        made, state = node.artefact, f"[{node.how}]"
        if made:
            state = f"[{made.kind}] {made.problem or made.result or made.text}"
        told = [cut(" ".join(text.split()), MAX_SHOWN_CHARS) for text in (node.goal, state)]
        lines.append("  " * node.id.count(".") + " ".join([node.id, *told]))
    return "\n".join(lines)
