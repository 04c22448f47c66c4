"""Grow a seed prompt into a tree of plans and artefacts that a person prunes and lets grow again.

After Earle, Parajuli and Banburski-Fahey, DreamGarden. A recursive planner divides the seed; leaves go to
tools, each of which makes an artefact: `code` (a Python program that is run, and corrected from what its
run says) or `text`. As soon as the whole plan stands, and while the leaves are at work, the person is
shown the garden and answers with a list of edits, as JSON:

    [{"node": "1.2", "do": "prune"}]                      take it out, and cancel what it is doing
    [{"node": "1.2", "do": "goal", "text": "..."}]        give it another goal, and let it grow again
    [{"node": "1.2", "do": "regrow", "text": "..."}]      let it grow again, with this feedback if any
    [{"node": "1.2", "do": "note", "text": "..."}]        feedback that waits until something grows there
    []                                                    go on

Only what an edit names, with all below it, grows again; the rest stays as it is recorded. A note holds
for the node and all below. Nobody there: the run pauses, its process may end, and `agentflow answer` and
`agentflow resume` go on. `[]` ends the tending when all has grown; given earlier, it waits for that, and
the person is asked once more with the artefacts in sight. With `people: false` the garden grows by itself.

What differs, and why:
- no Unreal Engine: the tools for meshes, scenes and images, and the visual feedback, are not here;
- the garden is plain data and the edits are a typed value, so any viewer can be the garden's page;
- depth, width and the whole tree are bounded, and so is the number of times the person is asked;
- an edit that cannot be made is told with the next question, and harms nothing;
- a leaf that fails keeps its problem, and the garden grows on.

Source: Earle et al., DreamGarden: A Designer Assistant for Growing Games from a Single Prompt,
  arXiv:2410.01791.
Cost: tens of calls: nodes + leaves x (1 + corrections), again for what grows again.
Needs: a sandbox, a person.
Published: none that were checked.
"""

from typing import Any, Literal

import anyio

from agentflow import Examination, Message, Result, Task, ask, examine, flow, generate
from agentflow_planners.shared.answers import python_fence
from agentflow_planners.shared.coding import python_reply
from agentflow_planners.shared.delegation import Bounds, Crew, Delegating, Place, crew, nearly_same
from agentflow_planners.shared.replies import opening, sound
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import cut, statement

STEP, ROOT = "dreamgarden", "1"
MAX_TOLD_CHARS = 4_000
MAX_SHOWN_CHARS = 200
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
    parts: tuple[str, ...] = ()


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
    """One node of the garden; the ids of those below begin with its own."""

    id: str
    goal: str
    place: Place
    notes: tuple[str, ...] = ()
    artefact: Artefact | None = None


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
        rounds: How often the person may be asked.

    Raises:
        AskError: Nobody can ever answer; otherwise the run pauses.
        ExpansionError, MalformedReplyError: The seed itself cannot be planned.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    bounds = Bounds(depth=depth, width=width, total=total)
    async with crew() as members:
        garden = _Garden(members, bounds, corrections, rounds if people else 0)
        garden.plant(Node(id=ROOT, goal=statement(task), place=bounds.root()))
        await garden.tend()
        return Result(output=garden.tree(ROOT))


@flow
async def asked(text: str) -> list[Edit]:
    """Ask the person what to change."""
    return await ask(text, output=list[Edit])


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
        return Artefact(kind=kind, text=(await generate(said)).text)
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


class _Garden:
    """All nodes by id, and what is at work on them: planning, making, or the person."""

    def __init__(self, members: Crew, bounds: Bounds, corrections: int, rounds: int) -> None:
        self._crew, self._bounds = members, bounds
        self._corrections, self._rounds = corrections, rounds
        self._nodes: dict[str, Node] = {}
        self._works: dict[str, anyio.CancelScope] = {}  # by kind, node and a number
        self._started, self._remarks = 0, ""
        self._is_early = self._waits = False  # asked before all had grown; to be asked after that

    def plant(self, node: Node) -> None:
        """Put a node in, and let it grow."""
        self._nodes[node.id] = node
        room = Delegating(node.goal, node.place, self._bounds).room
        self._start("plan", node.id, plan, self._told(node.id), node.goal, room)

    async def tend(self) -> None:
        """Let all grow, and the person change it, until neither has anything left to do."""
        self._ask_when_due()
        while self._works:
            work = await self._crew.next_of(list(self._works))
            outcome = await self._crew.outcome(work)
            del self._works[work]
            kind, name, _number = work.split(" ")
            if kind == "ask":
                self._change(outcome)
            elif kind == "plan" and isinstance(outcome, Sprout):
                self._grow(self._nodes[name], outcome)
            else:
                self._keep(name, outcome)
            self._ask_when_due()

    def tree(self, name: str) -> dict[str, Any]:
        """Return a node with all below it, as plain data."""
        own = self._nodes[name].model_dump(mode="json", exclude={"place"})
        return own | {"children": [self.tree(child) for child in self._below(name)]}

    def _grow(self, node: Node, sprout: Sprout) -> None:
        if sprout.how != "split":
            self._start("make", node.id, make, self._told(node.id), sprout.how, self._corrections)
            return
        delegating = Delegating(node.goal, node.place, self._bounds)
        for number, goal in enumerate(sprout.parts, 1):
            self.plant(Node(id=f"{node.id}.{number}", goal=goal, place=delegating.admit(goal)))

    def _keep(self, name: str, outcome: Artefact | Exception) -> None:
        if isinstance(outcome, Exception):
            if name == ROOT and not self._rounds:
                raise outcome
            outcome = Artefact(kind="none", problem=str(outcome))
        self._nodes[name] = self._nodes[name].model_copy(update={"artefact": outcome})

    def _ask_when_due(self) -> None:
        kinds = {work.partition(" ")[0] for work in self._works}
        if not self._rounds or kinds & {"plan", "ask"} or (self._waits and kinds):
            return
        self._rounds, self._is_early, self._waits = self._rounds - 1, bool(kinds), False
        text = ASKED.format(remarks=self._remarks, garden=self._seen(ROOT))
        self._start("ask", "", asked, text)

    def _change(self, edits: list[Edit]) -> None:
        self._remarks, self._waits = "", not edits and self._is_early
        self._rounds = self._rounds if edits or self._waits else 0
        for edit in sorted(edits, key=lambda edit: edit.do != "note"):  # what grows minds all notes
            node = self._nodes.get(edit.node)
            if node is None or (edit.do, edit.node) == ("prune", ROOT):
                self._remarks += f"There was no {edit.node!r} to {edit.do}.\n"
                continue
            if edit.do == "goal":
                node = node.model_copy(update={"goal": edit.text})
            elif edit.text:
                node = node.model_copy(update={"notes": (*node.notes, edit.text)})
            if edit.do == "note":
                self._nodes[node.id] = node
                continue
            self._uproot(node.id)
            if edit.do != "prune":
                self.plant(node.model_copy(update={"artefact": None}))

    def _uproot(self, name: str) -> None:
        """Take a node out with all below it, and cancel what they are doing."""
        for child in self._below(name):
            self._uproot(child)
        del self._nodes[name]
        for work in [work for work in self._works if work.split(" ")[1] == name]:
            self._works.pop(work).cancel()

    def _start(self, kind: str, name: str, step: Any, *given: Any) -> None:
        self._started += 1
        work = f"{kind} {name} {self._started}"
        scope = self._works[work] = anyio.CancelScope()

        async def scoped() -> Any:
            with scope:
                return await step.named(f"{kind} {name}".strip())(*given)

        self._crew.start(work, scoped)

    def _below(self, name: str) -> list[str]:
        below = [child for child in self._nodes if child.rpartition(".")[0] == name]
        return sorted(below, key=lambda child: int(child.rpartition(".")[2]))

    def _told(self, name: str) -> str:
        """Return the way from the seed to a node, with the person's feedback on it."""
        node, above = self._nodes[name], name.rpartition(".")[0]
        own = "\n  feedback: ".join([f"{name} {cut(node.goal, MAX_TOLD_CHARS)}", *node.notes])
        return f"{self._told(above)}\n{own}" if above else own

    def _seen(self, name: str) -> str:
        below, made = self._below(name), self._nodes[name].artefact
        state = "" if below else "[growing]"
        if made:
            state = f"[{made.kind}] {made.problem or made.result or made.text}"
        told = [
            cut(" ".join(text.split()), MAX_SHOWN_CHARS) for text in (self._nodes[name].goal, state)
        ]
        line = " ".join(filter(None, [name, *told]))
        return "\n".join(["  " * name.count(".") + line, *map(self._seen, below)])
