"""A graph of prompts, given as data: each node asks one question with the answers it depends on in view.

Source: Wu et al., AgentKit: Structured LLM Reasoning with Dynamic Graphs, arXiv:2404.11483, and its
code (Holmeswww/AgentKit). Its abstract claims the best results on WebShop and Crafter; no figure of
it has been verified here.

What differs, and why:
- nodes that do not depend on each other are asked side by side; the original asks one by one;
- so a node sees of the database what was there before the evaluation and what the nodes before it in
  the graph have stored, never what others happen to have stored by then;
- a node may add only before nodes that wait for it, and only edges that lead forwards in the graph's
  order: then nothing that is allowed depends on timing, and a resumed run does the same again. What is
  added may add nothing, and its prompt is no template, since a model wrote it;
- an unmet dependency or a circle is an error before anything is asked; there it ends the loop in silence;
- a node whose replies never fit fails, and with it those that need its answer; there it is `N/A`. An
  added node that fails only leaves out its answer;
- additions are typed JSON; edges cannot be removed, nor nodes skipped;
- a node may call a tool with its answer: there the host program acts between two evaluations.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agentflow import BranchFailure, Message, Result, Task, flow, generate, note
from agentflow.data import Data
from agentflow.errors import ExpansionError, GraphError, InputError, OutputError, ToolError
from agentflow_planners.shared.acting import tools_of
from agentflow_planners.shared.live_graph import Given, LiveGraph, Work
from agentflow_planners.shared.wording import shown, statement

Count = Annotated[int, Field(ge=1)]
Key = Annotated[str, Field(min_length=1)]
MAX_CHARS = 8_000  # of an answer or a value in a prompt
_PLACE = re.compile(r"\$db((?:\.\w+)+)\$?")
_NOTHING = object()

SYSTEM = "Answer each question about the task in a few sentences. Do not repeat earlier answers."
ADDING = (
    "Reply with JSON: in `answer` your answer; in `nodes` further questions, if any, each with a new "
    "`key`, its `prompt`, in `needs` the nodes whose answers it sees besides yours, and in `before` the "
    "node that is to see its answer; in `edges` pairs of nodes where the second is to see the answer of "
    "the first. You may add before: {targets}. All nodes in order: {order}."
)
REFUSED = "That cannot be added: {problem}. Send the whole reply again, corrected."


class PromptNode(BaseModel):
    """One question.

    `needs` are nodes whose answers it sees, `after` those it only waits for. `output` is the JSON
    schema of the answer (None: text), `store` the place in the database where it goes, `tool` what is
    called with it; with `adds` the node may add nodes and edges for the rest of an evaluation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Key
    prompt: Key
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    output: dict[str, Any] | None = None
    store: str = ""
    tool: str = ""
    adds: bool = False


class Addition(BaseModel):
    """A question that a node adds before another one, which sees the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Key
    prompt: Key
    needs: tuple[str, ...] = ()
    before: str


class Growth(BaseModel):
    """The answer of a node that may add, and what it adds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer: str
    nodes: tuple[Addition, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()


class Setting(BaseModel):
    """What stays the same over all evaluations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task
    nodes: tuple[PromptNode, ...]
    answer: str
    system: str
    attempts: int
    most: int


class Evaluation(BaseModel):
    """What one evaluation came to: answers, why others have none, and the database after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: dict[str, Data]
    failures: dict[str, str]
    db: dict[str, Data]


DEFAULT = (
    PromptNode(
        key="needed", prompt="$db.task.statement\n\nWhat is asked for, and what has to be known?"
    ),
    PromptNode(key="plan", prompt="How can it be found out, step by step?", needs=("needed",)),
    PromptNode(
        key="answer",
        prompt="$db.task.statement\n\nFollow the steps and give the answer alone.",
        needs=("needed", "plan"),
    ),
)


@flow
async def agentkit(
    task: Task,
    *,
    graph: tuple[PromptNode, ...] = DEFAULT,
    answer: str = "",
    db: dict[str, Data] | None = None,
    system: str = SYSTEM,
    evaluations: Count = 1,
    until: str = "",
    attempts: Count = 3,
    most: Annotated[int, Field(ge=0)] = 4,
) -> Result:
    """Evaluate the graph, once or again and again on the same database; return a node's answer.

    Args:
        task: Its goal, inputs and whole statement are in the database below `task`.
        graph: The nodes, in any order.
        answer: The node whose answer is the result; the last one if it is left out.
        db: The database to begin with.
        system: The system message of every node.
        evaluations: How often the graph is evaluated at most.
        until: A place in the database; as soon as it holds something true, no evaluation follows.
        attempts: How often a node may send additions that are refused.
        most: How many nodes one node may add.

    Raises:
        GraphError: A node waits for what is not there or for itself, or names an unknown place or tool.
        ExpansionError: The node of the answer has none after the last evaluation.
        ModelError: A call failed for good.
    """
    wanted = answer or (graph[-1].key if graph else "")
    setting = Setting(
        task=task, nodes=graph, answer=wanted, system=system, attempts=attempts, most=most
    )
    known = {"goal": task.goal, "inputs": task.inputs, "statement": statement(task)}
    state: dict[str, Data] = {**(db or {}), "task": known}
    _Evaluating(setting, state)  # what is wrong with the graph is said before anything is asked
    for number in range(1, evaluations + 1):
        done = await evaluate.named(f"evaluation {number}")(setting, state)
        state = done.db
        if until and _found(state, until, None):
            break
    if wanted not in done.answers:
        raise ExpansionError(step="agentkit", problem=f"node {wanted!r}: {done.failures[wanted]}")
    return Result(output=done.answers[wanted])


@flow
async def evaluate(setting: Setting, db: dict[str, Data]) -> Evaluation:
    """Ask every node once; what nodes add is gone afterwards."""
    evaluating = _Evaluating(setting, db)
    await evaluating.live.run()
    return evaluating.outcome()


@flow
async def ask_node(node: PromptNode, said: tuple[Message, ...], task: Task) -> Data:
    """Ask one node; its answer is text, JSON of its schema, or what its tool returns."""
    if node.tool:
        tool = tools_of(task)[node.tool]
        arguments = await generate(said, output=tool.spec.parameters)
        try:
            return await tool.call((), arguments)
        except (ToolError, InputError, OutputError) as error:
            raise ExpansionError(step=node.key, problem=str(error)) from error
    if node.output is None:
        return (await generate(said)).text.strip()
    return await generate(said, output=node.output)


@flow
async def grow(
    key: str,
    said: tuple[Message, ...],
    order: tuple[str, ...],
    targets: tuple[str, ...],
    limits: Setting,
) -> Growth:
    """Ask a node that may add others; it hears why an addition is refused."""
    ask = ADDING.format(targets=", ".join(targets) or "none", order=", ".join(order))
    said, problem = (*said[:-1], Message(role="user", text=f"{said[-1].text}\n\n{ask}")), ""
    for _attempt in range(limits.attempts):
        growth = await generate(said, output=Growth)
        problem = _refusal(growth, order, targets, limits.most)
        if not problem:
            return growth
        refused = Message(role="user", text=REFUSED.format(problem=problem))
        said = (*said, Message(role="assistant", text=growth.model_dump_json()), refused)
    problem = f"{limits.attempts} additions were refused; the last: {problem}"
    raise ExpansionError(step=key, problem=problem)


def _refusal(growth: Growth, order: Sequence[str], targets: Sequence[str], most: int) -> str:
    """Return why something cannot be added, or nothing; the same whatever has run by now."""
    keys = [added.key for added in growth.nodes]
    if len(keys) > most or len(set(keys)) < len(keys):
        return f"give at most {most} nodes, each with its own key"
    led = [(need, added.before) for added in growth.nodes for need in added.needs]
    wanted = [added.before for added in growth.nodes] + [target for _, target in growth.edges]
    for target in wanted:
        if target not in targets:
            return f"{target!r} may have started, or is no node; add before {', '.join(targets)}"
    for source, target in (*led, *growth.edges):
        if source not in order:
            return f"there is no node {source!r}"
        if order.index(source) >= order.index(target):
            return f"{source!r} comes after {target!r}, which so cannot wait for it"
    return ""


class _Answered(BaseModel):
    question: str
    answer: Data


class _Evaluating:
    """One evaluation: the graph as it is by now, and what has been stored on the way to each node."""

    def __init__(self, setting: Setting, db: dict[str, Data]) -> None:
        self._setting, self._db = setting, db
        self._nodes = {node.key: node for node in setting.nodes}
        self._stored: dict[str, dict[int, tuple[str, Any]]] = {}
        self.live = LiveGraph("agentkit")
        for problem in _problems(setting):
            raise GraphError(graph="agentkit", problem=problem)
        edges = [(other, node.key) for node in setting.nodes for other in node.needs + node.after]
        self.live.extend({key: self._work(node) for key, node in self._nodes.items()}, edges)
        self._order = tuple(self.live.order())
        self._targets = {key: self.live.after(key) for key in self._order}

    def outcome(self) -> Evaluation:
        """Return what there is when all nodes have ended, in the graph's order."""
        answers, failures, stored = dict[str, Any](), dict[str, str](), dict[int, tuple[str, Any]]()
        for key in sorted(self._nodes, key=self._rank):
            ended = self.live.results[key]
            stored |= self._stored[key]
            if isinstance(ended, BranchFailure):
                failures[key] = _reason(ended)
            else:
                answers[key] = ended.answer
        return Evaluation(answers=answers, failures=failures, db=_written(self._db, stored))

    def _work(self, node: PromptNode) -> Work:
        return lambda given: self._answered(node, given)

    def _rank(self, key: str) -> tuple[int, str]:
        return (self._order.index(key) if key in self._order else len(self._order), key)

    async def _answered(self, node: PromptNode, given: Given) -> _Answered:
        stored = self._stored[node.key] = {}
        for other in given:
            stored |= self._stored[other]
        lost = [other for other in node.needs if isinstance(given[other], BranchFailure)]
        if lost:
            problem = f"not asked, since {lost[0]!r} failed: {_reason(given[lost[0]])}"
            raise ExpansionError(step=node.key, problem=problem)
        is_added = node.key not in self._order
        question = node.prompt if is_added else _filled(node, _written(self._db, stored))
        said = self._conversation(node, given, question)
        if node.adds:
            targets = tuple(key for key in self._order if key in self._targets[node.key])
            growth = await grow.named(node.key)(node.key, said, self._order, targets, self._setting)
            self._add(node.key, growth)
            answer: Any = growth.answer
        else:
            answer = await ask_node.named(node.key)(self._shaped(node), said, self._setting.task)
        if node.store:
            stored[self._order.index(node.key)] = (node.store, answer)
        return _Answered(question=question, answer=answer)

    def _shaped(self, node: PromptNode) -> PromptNode:
        if node.key != self._setting.answer or node.output is not None:
            return node
        return node.model_copy(update={"output": self._setting.task.output_schema})

    def _add(self, adder: str, growth: Growth) -> None:
        works: dict[str, Work] = {}
        edges = list(growth.edges)
        for added in growth.nodes:
            key = f"{adder}/{added.key}"  # two nodes may think of the same name
            node = self._nodes[key] = PromptNode(key=key, prompt=added.prompt)
            works[key] = self._work(node)
            edges += [(adder, key), *((need, key) for need in added.needs), (key, added.before)]
        self.live.extend(works, edges)
        if edges:
            note(f"{adder} added {len(works)} nodes and {len(growth.edges)} edges")

    def _conversation(self, node: PromptNode, given: Given, question: str) -> tuple[Message, ...]:
        """Return the questions and answers that lead to a node, and its own question."""
        said = [Message(role="system", text=self._setting.system)]
        for key in sorted(given, key=self._rank):
            ended = given[key]
            if isinstance(ended, BranchFailure) or (key in node.after and key not in node.needs):
                continue
            said.append(Message(role="user", text=ended.question))
            said.append(Message(role="assistant", text=shown(ended.answer, MAX_CHARS) or "(empty)"))
        return (*said, Message(role="user", text=question))


def _problems(setting: Setting) -> list[str]:
    keys = {node.key for node in setting.nodes}
    problems = []
    if not setting.nodes or len(keys) < len(setting.nodes):
        problems.append("give at least one node, and each its own key")
    elif setting.answer not in keys:
        problems.append(f"`answer` names {setting.answer!r}, which is no node")
    for node in setting.nodes:
        if "/" in node.key:
            problems.append(f"node {node.key!r}: a key has no `/`, which is for added nodes")
        if node.tool and node.tool not in tools_of(setting.task):
            problems.append(f"node {node.key!r} calls {node.tool!r}: name it in the task's `tools`")
        if node.adds and (node.tool or node.output):
            problems.append(f"node {node.key!r} adds nodes, so it has neither `tool` nor `output`")
    return problems


def _filled(node: PromptNode, db: Mapping[str, Any]) -> str:
    """Return a prompt with what is at each `$db.path` of it; values are not looked through again."""

    def value(match: re.Match[str]) -> str:
        path = match.group(1)[1:]
        there = _found(db, path, _NOTHING)
        if there is _NOTHING:
            problem = f"node {node.key!r}: nothing is at $db.{path} ($db has: {', '.join(db)})"
            raise GraphError(graph="agentkit", problem=problem)
        return shown(there, MAX_CHARS)

    return _PLACE.sub(value, node.prompt)


def _found(db: Mapping[str, Any], path: str, otherwise: Any) -> Any:
    here: Any = db
    for part in path.split("."):
        if isinstance(here, list | tuple) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        elif isinstance(here, Mapping) and part in here:
            here = here[part]
        else:
            return otherwise
    return here


def _written(db: Mapping[str, Any], stored: Mapping[int, tuple[str, Any]]) -> dict[str, Any]:
    """Return the database after what was stored, in the order of the nodes; `db` is not changed."""
    changed = dict(db)
    for place in sorted(stored):
        path, value = stored[place]
        *parts, last = path.split(".")
        here = changed
        for part in parts:
            inner = here.get(part)
            here[part] = dict(inner) if isinstance(inner, Mapping) else {}
            here = here[part]
        here[last] = value
    return changed


def _reason(failure: BranchFailure) -> str:
    return str(getattr(failure.error, "problem", failure.error))
