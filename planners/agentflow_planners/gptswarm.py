"""Let a swarm of agents answer: small graphs of prompts, joined by edges that say who hears whom.

Source: Zhuge et al., GPTSwarm: Language Agents as Optimizable Graphs, arXiv:2402.16823.
Cost: a few calls: nodes of all agents + 1 for the decision.
Needs: nothing.
Published: Mini-Crosswords 0.800 (secondary source); MMLU +2.1 points with adversaries in the swarm
  (secondary source); GAIA 32.07 (secondary source).

Each agent is a graph of prompts; an edge from one agent to another lets the second see what the first
says, and an edge to the decision lets the agent take part in it. The decision votes, chooses the most
consistent or the best answer, or writes one with the answers as references. All of it is data, so a
swarm that a search has found (gptswarm_edges, gptswarm_prompts) is the options in a flow file.

What differs, and why:
- a node is asked as soon as what leads to it has been said; the original awaits one node at a time;
- a circle, and a decision that nobody's answer reaches, are errors before anything is asked;
- what a node cannot say is an error for the rest of its agent; other agents go on without it, and a
  note says so. There it is printed, and all go on with what is missing;
- what a node sees comes in one question; there, by default, each answer before it is a question;
- there is no decision by chance, agents have no tools, and no memory is shared by all.
"""

from functools import partial
from typing import Any

from agentflow import BranchFailure, Result, Task, flow, note
from agentflow.data import Data
from agentflow.errors import ExpansionError
from agentflow_planners.shared.fusing import (
    MAX_CANDIDATE_CHARS,
    NO_ANSWER,
    Candidate,
    Voice,
    answer_to,
    chosen_numbers,
    fuse,
    listed,
    rank,
    vote,
)
from agentflow_planners.shared.live_graph import Given, LiveGraph
from agentflow_planners.shared.swarms import (
    DECISION,
    DEFAULT,
    Agent,
    Agents,
    Edge,
    PromptNode,
    Strategy,
    node_edges,
    only_decision,
)
from agentflow_planners.shared.wording import question, shown, statement

CONSISTENT = (
    "Above are answers to one task. Which of them agrees best with the others? Give the reason in one "
    "sentence, then the number of that answer."
)


@flow
async def gptswarm(
    task: Task,
    *,
    agents: Agents = DEFAULT,
    edges: tuple[Edge, ...] | None = None,
    decision: Strategy = "references",
    judge: Voice | None = None,
) -> Result:
    """Ask all agents, each as soon as it has heard those before it; decide on one answer.

    Args:
        task: Its tools are not used.
        agents: Whom to ask; an agent's last node gives its answer.
        edges: Pairs of agents where the second sees what the first says; `decision` may be the second.
            None: every agent answers on its own, and all answers reach the decision.
        decision: `references`: a model writes the answer with the answers in view; `majority_vote`;
            `self_consistency` or `select_best`: a model chooses.
        judge: Which model decides, and how.

    Raises:
        GraphError: The swarm is no graph without a circle in which an answer reaches the decision.
        ExpansionError, MalformedReplyError: No agent whose answer reaches the decision has one, or the
            decision has none.
        ModelError: A call failed for good.
    """
    joined = node_edges(agents, only_decision(agents) if edges is None else edges)
    swarm = LiveGraph("gptswarm", setbacks=NO_ANSWER)
    works = {
        one.key(node.id): partial(_answered, task, place, one, node)
        for place, one in enumerate(agents)
        for node in one.nodes
    }
    swarm.extend(works | {DECISION: partial(_decided, task, decision, judge or Voice())}, joined)
    answer = (await swarm.run())[DECISION]
    if isinstance(answer, BranchFailure):
        raise answer.error
    return Result(output=answer)


@flow
async def ask(
    task: Task, voice: Voice, place: int, prompt: str, heard: dict[str, Data], *, is_last: bool
) -> Data:
    """Ask one node, with what it hears by the names of those who said it."""
    said = [f"{name} says:\n{shown(text, MAX_CANDIDATE_CHARS)}" for name, text in heard.items()]
    whole = "\n\n".join([question(task) if is_last else statement(task), *said, prompt])
    options = await voice.sample(place)
    shapeless = task.model_copy(update={"output_schema": None})
    return await answer_to(task if is_last else shapeless, whole, options)


@flow
async def decide(
    task: Task, answers: tuple[Candidate, ...], strategy: Strategy, judge: Voice
) -> Data:
    """Come from the answers of agents to one."""
    match strategy:
        case "majority_vote":
            return (await vote(tuple(one.answer for one in answers))).winner
        case "select_best":
            return (await rank(task, answers, 1, judge))[0].answer
        case "self_consistency":
            prompt = f"{question(task)}\n\n{listed(answers)}\n\n{CONSISTENT}"
            chosen = await chosen_numbers(prompt, len(answers), judge, least=1)
            return answers[chosen[0] - 1].answer
    return await fuse(task, answers, judge)


async def _answered(task: Task, place: int, agent: Agent, node: PromptNode, given: Given) -> Any:
    key = agent.key(node.id)
    lost = [agent.key(need) for need in node.needs if _is_lost(given[agent.key(need)])]
    if lost:
        raise ExpansionError(step=key, problem=f"not asked: {lost[0]!r} says nothing")
    voice = Voice(**agent.model_dump(include=set(Voice.model_fields)))
    heard, is_last = _heard(key, given), key == agent.end
    return await ask.named(key)(task, voice, place, node.prompt, heard, is_last=is_last)


async def _decided(task: Task, strategy: Strategy, judge: Voice, given: Given) -> Any:
    answers = tuple(Candidate(answer=answer) for answer in _heard(DECISION, given).values())
    if not answers:
        raise next(one.error for one in given.values())
    return await decide.named(DECISION)(task, answers, strategy, judge)


def _heard(key: str, given: Given) -> dict[str, Any]:
    """Return what was said to a node, by who said it; whoever failed is left out, and noted."""
    lost = [f"{name} ({given[name].error})" for name in given if _is_lost(given[name])]
    if lost:
        note(f"{key} goes on without {', '.join(lost)}")
    return {name: said for name, said in given.items() if not _is_lost(said)}


def _is_lost(said: Any) -> bool:
    return isinstance(said, BranchFailure)
