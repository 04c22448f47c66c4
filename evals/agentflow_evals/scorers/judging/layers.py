"""Layers of judges: in the second one each hears what its neighbours in the first one said.

Owns the network of judges, whose neurons are calls of one model with different criteria.

Source: Zhang et al., Wider and Deeper LLM Networks are Fairer LLM Evaluators, arXiv:2308.01862. Kept: a
neuron a criterion, criteria proposed by the model where none are given, both orders of two answers, two
layers with a window of neighbours, the mean at the end. Different: replies have a fixed form, and a judge that
keeps to none is an error and not a zero; the answer is no part of what criteria are proposed from.
"""

from collections.abc import Sequence

from agentflow import parallel
from agentflow_evals.scorers.judging.asking import Judge, quoted
from agentflow_evals.scorers.judging.opinions import (
    Case,
    Criterion,
    Opinion,
    Order,
    closed,
    opinions,
)


async def one_layer(judge: Judge, case: Case, criteria: Sequence[Criterion]) -> list[Opinion]:
    """Return what every vote says in every order; one call is about all criteria."""
    found = await parallel(
        opinions(judge, case, criteria, order=order, vote=vote)
        for order in case.orders
        for vote in range(judge.votes)
    )
    return [opinion for group in found for opinion in group]


async def two_layers(
    judge: Judge, case: Case, criteria: Sequence[Criterion], window: int
) -> list[Opinion]:
    """Return the opinions of the second layer; a neuron hears those at most `window` places away.

    Raises:
        EvaluationError: A judge gives no opinion.
        ModelError: A call failed.
    """
    found = await parallel(
        _network(judge, case, criteria, window, order, vote)
        for order in case.orders
        for vote in range(judge.votes)
    )
    return [opinion for network in found for opinion in network]


async def propose(judge: Judge, task: str, rubric: str, count: int) -> list[Criterion]:
    """Return criteria that the judge proposes for answers to a task."""
    given = {"task": task, "what matters": rubric}
    blocks = quoted({title: text for title, text in given.items() if text})
    form = closed({"name": {"type": "string"}, "question": {"type": "string"}})
    places = [f"criterion_{number}" for number in range(1, count + 1)]
    found = await judge.ask(
        f"{blocks}\n\nWhich {count} criteria, each different from the others, tell good answers to this "
        "task from bad ones? Give each a name of a word or two, and a question to judge by.",
        closed(dict.fromkeys(places, form)),
    )
    return [Criterion(name=place, question=_question(found[place]), points=10) for place in places]


async def _network(
    judge: Judge, case: Case, criteria: Sequence[Criterion], window: int, order: Order, vote: int
) -> list[Opinion]:
    first = await _layer(judge, case, criteria, order, vote, [()] * len(criteria))
    heard = [first[max(0, place - window) : place + window + 1] for place in range(len(criteria))]
    return await _layer(judge, case, criteria, order, vote, heard)


async def _layer(
    judge: Judge,
    case: Case,
    criteria: Sequence[Criterion],
    order: Order,
    vote: int,
    heard: Sequence[Sequence[Opinion]],
) -> list[Opinion]:
    found = await parallel(
        opinions(judge, case, [criterion], order=order, vote=vote, heard=before)
        for criterion, before in zip(criteria, heard, strict=True)
    )
    return [opinion for group in found for opinion in group]


def _question(found: dict[str, str]) -> str:
    """Return a proposed criterion in a line; what the model left empty says nothing to judge by."""
    parts = (" ".join(found[key].split())[:300] for key in ("name", "question"))
    return ": ".join(part for part in parts if part) or "Is the answer good?"
