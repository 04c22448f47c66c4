"""A router in front of experts: classify the task, and give it to the expert of that category.

Source: Jain et al., Composition of Experts: A Modular Compound AI System Leveraging Large Language
  Models, arXiv:2412.01868.
Cost: a few calls: votes + those of the expert.
Needs: several models.
Published: Arena-Hard 59.4 with 31 billion active parameters on average (five open models); MT-Bench 9.06 with
  54 billion (five open models).

What differs, and why:
- the router is a language model that is asked a few times, not a trained classifier: there is nothing to
  train on for a new task. As there, categories are chosen first and experts stand behind them;
- it is unsure when too few of its replies agree, or when they say that no category fits; then the
  fallback answers, as the paper's general category does;
- an expert is a model, or a planner with its options;
- experts are checked before the first call.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from agentflow import Result, Task, flow, generate, load_planner, note
from agentflow.data import Data
from agentflow.errors import InputError
from agentflow_planners.shared.fusing import Voice, answer_to, surviving, vote
from agentflow_planners.shared.values import Frozen
from agentflow_planners.shared.wording import cut, question, statement

Share = Annotated[float, Field(ge=0, le=1)]

STEP = "composition_of_experts"
OTHER = "other"
MAX_ROUTED_CHARS = 6_000
ROUTE = (
    "Above is a task. Do not solve it. Say which of these categories it belongs to; if none fits, or you "
    f"cannot tell, say {OTHER}."
)


class Expert(Voice):
    """Who answers the tasks of a category, `about` which a few words say.

    A planner with its options, which works with the run's model, or a model by itself: the one named,
    or the run's.
    """

    about: str = ""
    planner: str | None = None
    options: dict[str, Data] = Field(default_factory=dict)


class Route(Frozen):
    """Where a task goes: without a category, to the fallback. `share` of the replies agreed."""

    category: str | None
    share: float


RUNS_OWN, RUNS_ROUTER = Expert(), Voice()

Experts = Annotated[dict[str, Expert], Field(min_length=1, max_length=32)]


@flow
async def composition_of_experts(
    task: Task,
    *,
    experts: Experts,
    fallback: Expert = RUNS_OWN,
    router: Voice = RUNS_ROUTER,
    votes: Annotated[int, Field(ge=1, le=32)] = 3,
    sure: Share = 0.6,
) -> Result:
    """Find the category of the task and let its expert answer.

    Args:
        task: Goes to the expert as it is.
        experts: Who answers, by category; `about` tells the router what belongs there.
        fallback: Who answers when the router is unsure.
        router: Which model classifies.
        votes: How often it is asked.
        sure: The smallest share of these replies that must agree on a category.

    Raises:
        InputError: An expert is not what it may be; the message names it.
        PluginError: A planner is not installed.
        AgentflowError: The expert failed.
    """
    everybody = experts | {OTHER: fallback}
    if OTHER in experts:
        raise InputError(step=STEP, problem=f"a category cannot be called {OTHER!r}")
    for category, expert in everybody.items():
        _refuse_unfit(category, expert, task)
    abouts = {category: expert.about for category, expert in experts.items()}
    found = await route(task, abouts, router, votes, sure)
    category = found.category or OTHER
    return Result(output=await consult.named(f"expert {category}")(task, everybody[category]))


@flow
async def route(
    task: Task, categories: dict[str, str], router: Voice, votes: int, sure: float
) -> Route:
    """Classify the task by several replies; a reply that names no category agrees with nobody.

    Raises:
        ModelError: A call failed for good.
    """
    replies = await surviving(
        (_classified(task, categories, router, number) for number in range(votes)), least=0
    )
    if not replies:
        note("no reply names a category")
        return Route(category=None, share=0.0)
    election = await vote(tuple(replies))
    share = election.votes[0] / votes
    is_sure = share >= sure and not election.is_level and election.winner != OTHER
    note(f"{election.winner}: {share:.0%} of {votes} replies" + ("" if is_sure else ", unsure"))
    return Route(category=election.winner if is_sure else None, share=share)


@flow
async def consult(task: Task, expert: Expert) -> Any:
    """Return the answer of one expert."""
    if expert.planner is None:
        return await answer_to(task, question(task), expert.settings())
    return (await load_planner(expert.planner)(task, **expert.options)).output


async def _classified(task: Task, categories: Mapping[str, str], router: Voice, number: int) -> str:
    lines = [f"- {name}: {about}" if about else f"- {name}" for name, about in categories.items()]
    prompt = "\n\n".join([cut(statement(task), MAX_ROUTED_CHARS), ROUTE, "\n".join(lines)])
    schema = {
        "type": "object",
        "properties": {"category": {"type": "string", "enum": [*categories, OTHER]}},
        "required": ["category"],
        "additionalProperties": False,
    }
    options = await router.sample(number)
    return str((await generate(prompt, output=schema, **options))["category"])


def _refuse_unfit(category: str, expert: Expert, task: Task) -> None:
    """Refuse an expert that cannot answer.

    Raises:
        InputError: It is a planner with a model of its own, options without a planner, or options that
            the planner does not take.
        PluginError: Its planner is not installed.
    """
    problem = ""
    if expert.planner is None:
        problem = "options are a planner's; name one under `planner`" if expert.options else ""
    elif expert.settings():
        problem = "a planner works with the run's model; leave out the model and its settings"
    else:
        try:
            load_planner(expert.planner).signature.bind((task,), expert.options)
        except InputError as error:
            problem = str(error)
    if problem:
        raise InputError(step=STEP, problem=f"expert {category!r}: {problem}")
