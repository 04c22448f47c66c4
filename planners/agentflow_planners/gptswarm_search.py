"""Search for a better swarm: which agents should hear of each other, and what each node should be told.

Source: Zhuge et al., GPTSwarm: Language Agents as Optimizable Graphs, arXiv:2402.16823.
Cost: thousands of calls: edges: (iterations x batch + cases) x a swarm's; prompts: rounds x nodes x
  (2 x records + (1 + candidates) x records x a swarm's).
Needs: cases with checks.
Published: Mini-Crosswords 0.800 (secondary source); MMLU +2.1 points with adversaries in the swarm
  (secondary source); GAIA 32.07 (secondary source).

`gptswarm_edges` gives every possible edge a logit. Each iteration draws a batch of graphs, edge by edge
(one that would close a circle is passed over), runs each on one case, and moves the logits by REINFORCE
with a moving average as baseline and Adam. In the end edges with a chance above one half are kept.
`gptswarm_prompts` goes through the nodes: for each record that went wrong a model gives advice in one
sentence and rewrites the prompt by it; the prompts are tried side by side and the best is kept.

What differs, and why:
- what was learnt is chosen by cases that nothing was learnt from, against the swarm as it was, and
  measured on others again; there the final graph is reported as it is;
- draws come from a seed, in an order that no branch can change, so a search is resumed where it was;
- a graph without a way to the decision fails its case and is unlearnt; there the decision hears nothing;
- a node is judged by the whole swarm's answers; there by its own records, of a set made for it;
- worked examples are not put into prompts, and the order of nodes is not learnt.
"""

import math
import random
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from agentflow import Result, Task, flow, generate, note, parallel
from agentflow.data import Data
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import Case, Cases, cases_of
from agentflow_planners.optimising.purse import Purse
from agentflow_planners.optimising.scoring import Outcome, evaluate
from agentflow_planners.optimising.searching import DONE, Trial, result_of, settle
from agentflow_planners.shared.fusing import Count, Voice, surviving
from agentflow_planners.shared.live_graph import Given, LiveGraph
from agentflow_planners.shared.swarms import (
    DECISION,
    DEFAULT,
    Agent,
    Agents,
    Edge,
    Strategy,
    closes_circle,
    node_edges,
    only_decision,
    possible_edges,
)
from agentflow_planners.shared.wording import question, shown

MOMENTUM = 0.9  # of the baseline
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam, as published
MAX_ADVICE_CHARS = 400
MAX_PROMPT_CHARS = 2_000
MAX_SHOWN_CHARS = 1_000
NO_BUDGET = "the budget would not cover another round"

ADVISE = (
    "An agent in a team is told this:\n{prompt}\n\nThe team had this task:\n{task}\n\nIts answer was "
    "wrong:\n{answer}\n\nGive advice in one sentence on what the agent should be told instead. It must "
    "help with other tasks of the kind, too; do not give the answer."
)
REWRITE = (
    "An agent is told this:\n{prompt}\n\nRewrite it by this advice: {advice}\nKeep it short, and leave "
    "out every detail of a single task."
)


class Rewritten(BaseModel):
    """A prompt as a model rewrites it."""

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARS)


class Drawn(BaseModel):
    """A graph, and for each possible edge that could be drawn, by its place, whether it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edges: tuple[Edge, ...]
    taken: dict[int, bool]


@flow
async def gptswarm_edges(
    task: Task,
    *,
    agents: Agents = DEFAULT,
    decision: Strategy = "references",
    judge: Voice | None = None,
    iterations: Count = 200,
    batch: Count = 4,
    rate: Annotated[float, Field(gt=0)] = 0.1,
    seed: int = 0,
) -> Result:
    """Learn which edges help; return the options of the best swarm, with its figures.

    Args:
        task: Its input `cases` holds the cases.
        agents: The swarm; it begins with agents that all answer on their own.
        decision: How the swarm decides; see gptswarm.
        judge: Which model decides, and how.
        iterations: How often logits are moved.
        batch: How many graphs are tried each time, on one case each.
        rate: How far logits are moved.
        seed: Of every draw.

    Raises:
        InputError: There are no sound cases.
        GraphError: The swarm cannot be run as it is.
        ModelError: A call failed for good.
    """
    cases, draws = cases_of(task, seed=seed), random.Random(seed)  # noqa: S311 - a repeatable search
    base = _candidate(agents, only_decision(agents), decision, judge)
    chances, purse, stopped = Chances(possible_edges(agents), rate), Purse(cases), DONE
    await purse.covers()
    trials = [await _tried(base, cases, "as it was")]
    for number in range(iterations):
        if not await purse.covers():
            stopped = NO_BUDGET
            break
        drawn = [chances.drawn(draws) for _graph in range(batch)]
        met = [cases.train[(number * batch + place) % len(cases.train)] for place in range(batch)]
        scores = await parallel(
            evaluate.named(f"graph {number + 1}.{place}")(
                base.having(edges=_pairs(one.edges)), (case,)
            )
            for place, (one, case) in enumerate(zip(drawn, met, strict=True), 1)
        )
        chances.learn(drawn, [score.mean for score in scores])
    note("chances: " + ", ".join(f"{a} -> {b} {p:.2f}" for (a, b), p in chances.by_edge().items()))
    trials.append(
        await _tried(base.having(edges=_pairs(chances.kept())), cases, "edges above one half")
    )
    return result_of(await settle(base, tuple(trials), cases, stopped))


class Chances:
    """The logits of edges, and how REINFORCE moves them."""

    def __init__(self, possible: Sequence[Edge], rate: float) -> None:
        self._possible, self._rate = tuple(possible), rate
        self._logits, self._first, self._second = ([0.0 for _ in possible] for _ in range(3))
        self._steps, self._baseline = 0, 0.0

    def by_edge(self) -> dict[Edge, float]:
        """Return the chance of each edge, where it closes no circle."""
        return dict(zip(self._possible, map(_sigmoid, self._logits), strict=True))

    def drawn(self, draws: random.Random) -> Drawn:
        """Draw a graph without a circle; an edge that would close one is not drawn for."""
        edges: list[Edge] = []
        taken: dict[int, bool] = {}
        for place, (edge, chance) in enumerate(self.by_edge().items()):
            if closes_circle(edges, edge):
                continue
            taken[place] = draws.random() < chance
            edges += [edge] * taken[place]
        return Drawn(edges=tuple(edges), taken=taken)

    def kept(self) -> tuple[Edge, ...]:
        """Return the edges with a chance above one half, but for those that would close a circle."""
        edges: list[Edge] = []
        for edge, chance in self.by_edge().items():
            edges += [edge] * (chance > 0.5 and not closes_circle(edges, edge))
        return tuple(edges)

    def learn(self, batch: Sequence[Drawn], utilities: Sequence[float]) -> None:
        """Make what did better than the moving average likelier, and the rest less likely."""
        mean = sum(utilities) / len(utilities)
        baseline = self._baseline if self._steps else mean
        chances = list(self.by_edge().values())
        slopes = [0.0 for _ in chances]  # of -log(chance of the graph) x (utility - baseline)
        for one, utility in zip(batch, utilities, strict=True):
            for place, is_taken in one.taken.items():
                slopes[place] -= (utility - baseline) * (is_taken - chances[place]) / len(batch)
        self._baseline = MOMENTUM * baseline + (1 - MOMENTUM) * mean
        self._steps += 1
        for place, slope in enumerate(slopes):
            self._move(place, slope)

    def _move(self, place: int, slope: float) -> None:
        """Take one step of Adam."""
        one, two = BETAS
        self._first[place] = one * self._first[place] + (1 - one) * slope
        self._second[place] = two * self._second[place] + (1 - two) * slope * slope
        mean = self._first[place] / (1 - one**self._steps)
        spread = math.sqrt(self._second[place] / (1 - two**self._steps))
        self._logits[place] -= self._rate * mean / (spread + EPSILON)


@flow
async def gptswarm_prompts(
    task: Task,
    *,
    agents: Agents = DEFAULT,
    edges: tuple[Edge, ...] | None = None,
    decision: Strategy = "references",
    judge: Voice | None = None,
    rounds: Count = 1,
    records: Count = 4,
    candidates: Count = 4,
    seed: int = 0,
) -> Result:
    """Learn better prompts, node by node; return the options of the best swarm, with its figures.

    Args:
        task: Its input `cases` holds the cases.
        agents: The swarm as it is.
        edges: Its edges; see gptswarm.
        decision: How the swarm decides; see gptswarm.
        judge: Which model decides, and how.
        rounds: How often each node's prompt is looked at.
        records: On how many cases a prompt is tried.
        candidates: How many new prompts at most.
        seed: Of the draw of cases.

    Raises:
        InputError: There are no sound cases.
        GraphError: The swarm cannot be run as it is.
        ModelError: A call failed for good.
    """
    cases = cases_of(task, seed=seed)
    purse, stopped = Purse(cases), DONE
    best = _candidate(agents, only_decision(agents) if edges is None else edges, decision, judge)
    await purse.covers()
    trials = [await _tried(best, cases, "as it was")]
    spots = [(one, place) for one in range(len(agents)) for place in range(len(agents[one].nodes))]
    for number, (one, place) in enumerate(spots * rounds):
        if not await purse.covers():
            stopped = NO_BUDGET
            break
        size = min(records, len(cases.train))
        met = [cases.train[(number * size + shift) % len(cases.train)] for shift in range(size)]
        name = f"{number // len(spots) + 1}. {agents[one].key(agents[one].nodes[place].id)}"
        found = await improve.named(name)(best, agents, one, place, tuple(met), candidates)
        if found:
            agents = _told(agents, one, place, found)
            best = best.having(agents=_data(agents))
            trials.append(await _tried(best, cases, name))
    return result_of(await settle(trials[0].candidate, tuple(trials), cases, stopped))


@flow
async def improve(
    swarm: Candidate, agents: Agents, one: int, place: int, cases: tuple[Case, ...], most: int
) -> str:
    """Return a prompt for one node that does better on these cases; nothing if none was found."""
    prompt = agents[one].nodes[place].prompt
    now = await evaluate.named("records")(swarm, cases)
    bad = [pair for pair in zip(cases, now.outcomes, strict=True) if not pair[1].passed][:most]
    written = await surviving((rewrite(prompt, *pair) for pair in bad), least=0)
    prompts = [text for text in dict.fromkeys(written) if text not in ("", prompt)]
    swarms = [swarm.having(agents=_data(_told(agents, one, place, text))) for text in prompts]
    scores = await parallel(
        evaluate.named(f"prompt {number}")(other, cases) for number, other in enumerate(swarms, 1)
    )
    means = [now.mean, *(score.mean for score in scores)]
    note(f"mean values, first with the prompt as it is: {means}")
    return ["", *prompts][means.index(max(means))]


@flow
async def rewrite(prompt: str, case: Case, outcome: Outcome) -> str:
    """Return a prompt rewritten by advice on one case that went wrong."""
    answer = shown(outcome.problem or outcome.output, MAX_SHOWN_CHARS)
    wrong = ADVISE.format(prompt=prompt, task=question(case.task), answer=answer)
    advice = " ".join((await generate(wrong)).text.split())[:MAX_ADVICE_CHARS]
    ask = REWRITE.format(prompt=prompt, advice=advice)
    return (await generate(ask, output=Rewritten)).prompt.strip()


def _candidate(
    agents: Agents, edges: tuple[Edge, ...], decision: Strategy, judge: Voice | None
) -> Candidate:
    nodes = [DECISION, *(one.key(node.id) for one in agents for node in one.nodes)]
    # A swarm that cannot be run is refused here; later it would be one that fails every case.
    LiveGraph("gptswarm").extend(dict.fromkeys(nodes, _never), node_edges(agents, edges))
    swarm = Candidate(planner="gptswarm", options={"decision": decision})
    if judge is not None:
        swarm = swarm.having(judge=judge.model_dump(exclude_none=True))
    return swarm.having(agents=_data(agents), edges=_pairs(edges))


async def _never(_given: Given) -> None:
    raise AssertionError("this graph is only looked at")


def _data(agents: Agents) -> Data:
    return [one.model_dump(mode="json", exclude_none=True) for one in agents]


def _pairs(edges: Sequence[Edge]) -> Data:
    return [list(edge) for edge in edges]


def _told(agents: Agents, one: int, place: int, prompt: str) -> Agents:
    """Return the agents, with another prompt in one node of one."""
    nodes = list(agents[one].nodes)
    nodes[place] = nodes[place].model_copy(update={"prompt": prompt})
    changed: Agent = agents[one].model_copy(update={"nodes": tuple(nodes)})
    return (*agents[:one], changed, *agents[one + 1 :])


async def _tried(swarm: Candidate, cases: Cases, thought: str) -> Trial:
    score = await evaluate.named(f"select, {thought}")(swarm, cases.select)
    return Trial(candidate=swarm, score=score, thought=thought)


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
