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
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Annotated, Any

from pydantic import BaseModel, Field
from pydantic_core import to_jsonable_python

from agentflow import Result, Task, flow, generate, note, parallel
from agentflow_planners.optimising.candidates import Candidate
from agentflow_planners.optimising.cases import Case, Cases, cases_of
from agentflow_planners.optimising.rounds import Rounds
from agentflow_planners.optimising.scoring import Outcome, evaluate
from agentflow_planners.shared.fusing import Voice, surviving
from agentflow_planners.shared.spoken import spoken
from agentflow_planners.shared.swarms import (
    DEFAULT,
    Agents,
    Edge,
    Strategy,
    closes_circle,
    node_edges,
    only_decision,
    possible_edges,
)
from agentflow_planners.shared.values import Count
from agentflow_planners.shared.wording import question, shown

MOMENTUM = 0.9  # of the baseline
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam, as published
MAX_ADVICE_TOKENS = 200
MAX_PROMPT_CHARS = 2_000
MAX_SHOWN_CHARS = 1_000

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


Drawn = dict[Edge, bool]  # each possible edge that closed no circle, and whether it was taken


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
    chances, search = Chances(possible_edges(agents), rate), Rounds(cases, iterations)
    await search.tries(base, "as it was")
    async for number in search:
        drawn = [chances.drawn(draws) for _graph in range(batch)]
        met = _next_cases(cases, number, batch)
        scores = await parallel(
            evaluate.named(f"graph {number}.{place}")(_joined(base, one), (case,))
            for place, (one, case) in enumerate(zip(drawn, met, strict=True), 1)
        )
        chances.learn(drawn, [score.mean for score in scores])
    note("chances: " + ", ".join(f"{a} -> {b} {p:.2f}" for (a, b), p in chances.by_edge().items()))
    await search.tries(_joined(base, chances.kept()), "edges above one half")
    return await search.settled()


class Slope:
    """One logit, moved down its slopes by Adam."""

    def __init__(self, rate: float) -> None:
        self._rate, self._logit = rate, 0.0
        self._first = self._second = 0.0
        self._steps = 0

    @property
    def chance(self) -> float:
        """The chance that the logit stands for."""
        return 1 / (1 + math.exp(-self._logit))

    def move(self, slope: float) -> None:
        """Take one step."""
        one, two = BETAS
        self._steps += 1
        self._first = one * self._first + (1 - one) * slope
        self._second = two * self._second + (1 - two) * slope * slope
        mean = self._first / (1 - one**self._steps)
        spread = math.sqrt(self._second / (1 - two**self._steps))
        self._logit -= self._rate * mean / (spread + EPSILON)


class Chances:
    """The chances of edges, and how REINFORCE moves them."""

    def __init__(self, possible: Sequence[Edge], rate: float) -> None:
        self._slopes = {edge: Slope(rate) for edge in possible}
        self._baseline: float | None = None

    def by_edge(self) -> dict[Edge, float]:
        """Return the chance of each edge, where it closes no circle."""
        return {edge: slope.chance for edge, slope in self._slopes.items()}

    def drawn(self, draws: random.Random) -> Drawn:
        """Draw a graph without a circle; an edge that would close one is not drawn for."""
        return self._graph(lambda chance: draws.random() < chance)

    def kept(self) -> Drawn:
        """Return the graph of the edges with a chance above one half."""
        return self._graph(lambda chance: chance > 0.5)

    def learn(self, batch: Sequence[Drawn], utilities: Sequence[float]) -> None:
        """Make what did better than the moving average likelier, and the rest less likely."""
        mean = sum(utilities) / len(utilities)
        baseline = mean if self._baseline is None else self._baseline
        slopes = dict.fromkeys(self._slopes, 0.0)  # of -log(chance) x (utility - baseline)
        for graph, utility in zip(batch, utilities, strict=True):
            for edge, is_taken in graph.items():
                chance = self._slopes[edge].chance
                slopes[edge] -= (utility - baseline) * (is_taken - chance) / len(batch)
        self._baseline = MOMENTUM * baseline + (1 - MOMENTUM) * mean
        for edge, slope in slopes.items():
            self._slopes[edge].move(slope)

    def _graph(self, takes: Callable[[float], bool]) -> Drawn:
        graph: Drawn = {}
        for edge, chance in self.by_edge().items():
            if not closes_circle(edges_of(graph), edge):
                graph[edge] = takes(chance)
        return graph


def edges_of(graph: Drawn) -> list[Edge]:
    """Return the edges that a graph has."""
    return [edge for edge, is_taken in graph.items() if is_taken]


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

    Cost: hundreds of calls: nodes x rounds x (1 + candidates) x records, and twice the held-out cases.

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
    best = _candidate(agents, only_decision(agents) if edges is None else edges, decision, judge)
    spots = [(one, place) for one in range(len(agents)) for place in range(len(agents[one].nodes))]
    search = Rounds(cases, rounds * len(spots))
    await search.tries(best, "as it was")
    async for number in search:
        turn, spot = divmod(number - 1, len(spots))
        one, place = spots[spot]
        name = f"{turn + 1}. {agents[one].key(agents[one].nodes[place].id)}"
        met = _next_cases(cases, number, min(records, len(cases.train)))
        better = await improve.named(name)(best, one, place, met, candidates)
        if better != best:
            best = better
            await search.tries(best, name)
    return await search.settled()


@flow
async def improve(
    swarm: Candidate, one: int, place: int, cases: tuple[Case, ...], most: int
) -> Candidate:
    """Return a swarm told something better in one node, by these cases; the same if none was found."""
    agents: Any = swarm.options["agents"]
    prompt = agents[one]["nodes"][place]["prompt"]
    now = await evaluate.named("records")(swarm, cases)
    bad = [pair for pair in zip(cases, now.outcomes, strict=True) if not pair[1].passed][:most]
    written = await surviving((rewrite(prompt, *pair) for pair in bad), least=0)
    swarms = []
    for text in [text for text in dict.fromkeys(written) if text not in ("", prompt)]:
        told = deepcopy(agents)
        told[one]["nodes"][place]["prompt"] = text
        swarms.append(swarm.having(agents=told))
    numbered = enumerate(swarms, 1)
    scores = await parallel(evaluate.named(f"prompt {at}")(told, cases) for at, told in numbered)
    means = [now.mean, *(score.mean for score in scores)]
    note(f"mean values, first with the prompt as it is: {means}")
    return [swarm, *swarms][means.index(max(means))]


@flow
async def rewrite(prompt: str, case: Case, outcome: Outcome) -> str:
    """Return a prompt rewritten by advice on one case that went wrong."""
    answer = shown(outcome.problem or outcome.output, MAX_SHOWN_CHARS)
    wrong = ADVISE.format(prompt=prompt, task=question(case.task), answer=answer)
    advice = await spoken(wrong, step="advice", max_tokens=MAX_ADVICE_TOKENS)
    ask = REWRITE.format(prompt=prompt, advice=advice)
    return (await generate(ask, output=Rewritten)).prompt.strip()


def _candidate(
    agents: Agents, edges: Sequence[Edge], decision: Strategy, judge: Voice | None
) -> Candidate:
    node_edges(agents, edges)  # refuses a swarm that cannot be run, which would fail every case
    options = {"agents": agents, "edges": edges, "decision": decision, "judge": judge}
    return Candidate(planner="gptswarm", options=to_jsonable_python(options, exclude_none=True))


def _joined(swarm: Candidate, graph: Drawn) -> Candidate:
    return swarm.having(edges=[list(edge) for edge in edges_of(graph)])


def _next_cases(cases: Cases, number: int, size: int) -> tuple[Case, ...]:
    """Return the cases to learn from in a round; rounds go through all of them, again and again."""
    first = (number - 1) * size
    return tuple(cases.train[place % len(cases.train)] for place in range(first, first + size))
