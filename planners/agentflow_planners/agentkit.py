"""A graph of prompts, given as data: each node asks one question with the answers it depends on in view.

Nodes that do not depend on each other are asked side by side. What nodes store goes into a database
that stays over all evaluations and is read by `$db.path` in a prompt. A node may add nodes and edges
for the rest of an evaluation.

Source: Wu et al., AgentKit: Structured LLM Reasoning with Dynamic Graphs, arXiv:2404.11483, and its
  code (Holmeswww/AgentKit).
Cost: a few calls: evaluations x nodes, those added included.
Needs: nothing.
Published: none that were checked.

What differs, and why:
- a node sees of the database what was there before the evaluation and what the nodes before it in the
  graph have stored, never what others happen to have stored by then;
- a node may add only before nodes that wait for it, and only edges that lead forwards in the graph's
  order: then nothing that is allowed depends on timing, and a resumed run does the same again. What is
  added may add nothing, and its prompt is no template, since a model wrote it;
- an unmet dependency or a circle is an error before anything is asked; there it ends the loop in silence;
- a node whose replies never fit fails, and with it those that need its answer; there it is `N/A`. An
  added node that fails only leaves out its answer;
- additions are typed JSON; edges cannot be removed, nor nodes skipped;
- nodes ask and nothing else: there, host code acts between two evaluations.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from agentflow import BranchFailure, Message, Result, Task, flow, generate, note
from agentflow.data import Data
from agentflow.errors import ExpansionError, GraphError
from agentflow_planners.shared.delegation import reason_of
from agentflow_planners.shared.live_graph import Given, LiveGraph, Work
from agentflow_planners.shared.replies import sound
from agentflow_planners.shared.templates import filled
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import shown, statement

Key = Annotated[str, Field(min_length=1)]
MAX_CHARS = 8_000  # of an answer or a value in a prompt

SYSTEM = "Answer each question about the task in a few sentences. Do not repeat earlier answers."
ADDING = (
    "Reply with JSON: in `answer` your answer; in `nodes` further questions, if any, each with a new "
    "`key`, its `prompt`, in `needs` the nodes whose answers it sees besides yours, and in `before` the "
    "node that is to see its answer; in `edges` pairs of nodes where the second is to see the answer of "
    "the first. You may add before: {targets}. All nodes in order: {order}."
)
NEEDED = "$db.task.statement\n\nWhat is asked for, and what has to be known?"
PLAN = "How can it be found out, step by step? Number the steps."
FOLLOW = "$db.task.statement\n\nFollow the steps and give the answer alone."
REFUSED = "That cannot be added: {problem}. Send the whole reply again, corrected."


class PromptNode(Frozen):
    """One question.

    `needs` are nodes whose answers it sees, `after` those it only waits for. `output` is the JSON
    schema of the answer (None: text), `store` the name in the database where it goes. With `adds` the
    node may add nodes and edges for the rest of an evaluation, and its answer is text.
    """

    key: Key
    prompt: Key
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    output: dict[str, Any] | None = None
    store: str = ""
    adds: bool = False


class Addition(Frozen):
    """A question that a node adds before another one, which sees the answer."""

    key: Key
    prompt: Key
    needs: tuple[str, ...] = ()
    before: str


class Growth(Frozen):
    """The answer of a node that may add, and what it adds."""

    answer: str
    nodes: tuple[Addition, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()


class Place(Frozen):
    """Where a node may add: `order` are all nodes, `targets` those that wait for it."""

    key: str
    order: tuple[str, ...]
    targets: tuple[str, ...]
    most: int

    def refusal(self, growth: Growth) -> str:
        """Return why something cannot be added, or nothing; the same whatever has run by now."""
        keys, order = {added.key for added in growth.nodes}, self.order
        if len(growth.nodes) > self.most or len(keys) < len(growth.nodes):
            return f"give at most {self.most} nodes, each with its own key"
        led = [(need, new.before) for new in growth.nodes for need in (self.key, *new.needs)]
        for source, target in (*led, *growth.edges):
            if target not in self.targets:
                there = ", ".join(self.targets)
                return f"{target!r} may have started, or is no node; add before {there}"
            if source not in order:
                return f"there is no node {source!r}"
            if order.index(source) >= order.index(target):
                return f"{source!r} comes after {target!r}, which so cannot wait for it"
        return ""


class Answered(Frozen):
    """What a node asked, and its answer."""

    question: str
    answer: Data


DEFAULT = (
    PromptNode(key="needed", prompt=NEEDED),
    PromptNode(key="plan", prompt=PLAN, needs=("needed",)),
    PromptNode(key="answer", prompt=FOLLOW, needs=("needed", "plan")),
)


@flow
async def agentkit(
    task: Task,
    *,
    graph: tuple[PromptNode, ...] = DEFAULT,
    db: dict[str, Data] | None = None,
    evaluations: Count = 1,
    most: Number = 4,
) -> Result:
    """Evaluate the graph, once or again and again on the same database; return its last node's answer.

    Args:
        task: Its goal, inputs and whole statement are in the database below `task`.
        graph: The nodes, in any order but for the last one, whose answer is the result.
        db: The database to begin with.
        evaluations: How often the graph is evaluated.
        most: How many nodes one node may add.

    Raises:
        GraphError: A node waits for what is not there or for itself.
        InputError: A prompt names what the database does not hold.
        ExpansionError: The last node has no answer.
        ModelError: A call failed for good.
    """
    nodes = (*graph[:-1], *(_shaped(node, task) for node in graph[-1:]))
    known = {"goal": task.goal, "inputs": task.inputs, "statement": statement(task)}
    answer: Data = None
    state: dict[str, Data] = {**(db or {}), "task": known}
    for number in range(1, evaluations + 1):
        answer, state = await evaluate.named(f"evaluation {number}")(nodes, state, most)
    return Result(output=answer)


@flow
async def evaluate(
    nodes: tuple[PromptNode, ...], db: dict[str, Data], most: int
) -> tuple[Data, dict[str, Data]]:
    """Ask every node once; return the last one's answer and the database. What nodes add is gone then."""
    evaluating, last = _Evaluating(nodes, db, most), nodes[-1].key
    ended = (await evaluating.live.run())[last]
    if isinstance(ended, BranchFailure):
        problem = f"node {last!r}: {reason_of(ended.error)}"
        raise ExpansionError(step="agentkit", problem=problem)
    return ended.answer, evaluating.db(evaluating.order)


@flow
async def ask_node(said: tuple[Message, ...], output: dict[str, Any] | None) -> Data:
    """Ask one node; its answer is text, or JSON of its schema."""
    if output is None:
        return (await generate(said)).text.strip()
    return await generate(said, output=output)


@flow
async def grow(said: tuple[Message, ...], place: Place) -> Growth:
    """Ask a node that may add others; it hears why an addition is refused."""
    ask = ADDING.format(targets=", ".join(place.targets) or "none", order=", ".join(place.order))
    asked = (*said[:-1], Message(role="user", text=f"{said[-1].text}\n\n{ask}"))
    return await sound(asked, Growth, place.refusal, step=place.key, again=REFUSED)


class _Evaluating:
    """One evaluation: the graph as it is by now."""

    def __init__(self, nodes: Sequence[PromptNode], db: dict[str, Data], most: int) -> None:
        self._given, self._most = db, most
        self._nodes = {node.key: node for node in nodes}
        if not nodes or len(self._nodes) < len(nodes) or "/" in str([*self._nodes]):
            problem = "give at least one node, and each its own key, without `/`"
            raise GraphError(graph="agentkit", problem=problem)
        self.live = LiveGraph("agentkit")
        edges = [(other, node.key) for node in nodes for other in node.needs + node.after]
        works = {node.key: partial(self._answered, node) for node in nodes}
        self.live.extend(works, edges)
        self.order = tuple(self.live.order())
        self._after = {key: self.live.after(key) for key in self.order}

    def db(self, nodes: Collection[str]) -> dict[str, Data]:
        """Return the database after these nodes, in the graph's order."""
        before = [self._nodes[key] for key in self.order if key in nodes]
        ended = [(node.store, self.live.results[node.key]) for node in before if node.store]
        made = {name: one.answer for name, one in ended if isinstance(one, Answered)}
        return {**self._given, **made}

    async def _answered(self, node: PromptNode, given: Given) -> Answered:
        for need in node.needs:
            if isinstance(given[need], BranchFailure):
                problem = f"not asked, since {need!r} failed: {reason_of(given[need].error)}"
                raise ExpansionError(step=node.key, problem=problem)
        question = node.prompt
        if node.key in self.order:
            question = filled(question, self.db(self.live.before(node.key)), step=node.key)
        said = self._conversation(node, given, question)
        if not node.adds:
            answer = await ask_node.named(node.key)(said, node.output)
            return Answered(question=question, answer=answer)
        targets = tuple(key for key in self.order if key in self._after[node.key])
        place = Place(key=node.key, order=self.order, targets=targets, most=self._most)
        growth = await grow.named(node.key)(said, place)
        self._add(node.key, growth)
        return Answered(question=question, answer=growth.answer)

    def _add(self, adder: str, growth: Growth) -> None:
        works, edges = dict[str, Work](), list(growth.edges)
        for added in growth.nodes:
            key = f"{adder}/{added.key}"  # two nodes may think of the same name
            works[key] = partial(self._answered, PromptNode(key=key, prompt=added.prompt))
            edges += [(adder, key), *((need, key) for need in added.needs), (key, added.before)]
        self.live.extend(works, edges)
        if edges:
            note(f"{adder} added {len(works)} nodes and {len(growth.edges)} edges")

    def _conversation(self, node: PromptNode, given: Given, question: str) -> tuple[Message, ...]:
        """Return the questions and answers that lead to a node, and its own question."""
        said = [Message(role="system", text=SYSTEM)]
        for key in dict.fromkeys(key for key in (*self.order, *given) if key in given):
            is_seen = key in node.needs or key not in node.after
            if is_seen and isinstance(given[key], Answered):
                answer = shown(given[key].answer, MAX_CHARS) or "(empty)"
                said.append(Message(role="user", text=given[key].question))
                said.append(Message(role="assistant", text=answer))
        return (*said, Message(role="user", text=question))


def _shaped(node: PromptNode, task: Task) -> PromptNode:
    """Return the last node with the shape that the task wants, where it has none of its own."""
    return node.model_copy(update={"output": node.output or task.output_schema})
