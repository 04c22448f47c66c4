"""Search for a better flow in code: a meta model writes agents, knowing those it wrote before.

Hu et al., Automated Design of Agentic Systems, arXiv:2408.08435 (Meta Agent Search). An archive begins with
hand-made agents and what they score. In each generation the meta model sees the archive and writes
{thought, name, code}, looks at it twice again (is it new, is it right), and the agent is scored on cases; if
it fails, it is mended up to three times with the error. Every agent joins the archive. An agent here is a
program for the planner `coded_flow`.

What differs, and why:
- code is checked and runs in the sandbox; theirs is executed in the search's own process;
- the cases that agents are chosen by and those that the result is reported on are apart, and the base is the
  best hand-made agent by the same choice; the paper's tables show why: picked by the test set itself, the
  gains look up to twice as large;
- a generation that comes to nothing leaves a remark in the journal, and a failed last repair pays for no
  further one;
- the archive in the prompt is bounded: the best and the latest, each cut;
- a reply that does not have the wanted form is asked for again with the reason, never filled with blanks.

Source: Hu et al., Automated Design of Agentic Systems, arXiv:2408.08435.
Cost: thousands of calls: (seeds + generations x (1 + repairs)) x cases x the calls of an agent, and \
generations x (3 + repairs) of the meta model.
Needs: a sandbox, cases with checks.
Published: ARC 10.7 against 6.7 hand-made; DROP F1 70.7 against 64.4; MGSM 53.4 against 39.0; GPQA 32.3
    against 31.4; MMLU 69.1 against 63.5 (all GPT-3.5 agents, picked by the validation set).
"""

import json
from typing import Annotated

from pydantic import Field

from agentflow import Message, Result, Task, flow, generate, note
from agentflow.errors import (
    BudgetExceededError,
    ContextLengthError,
    MalformedReplyError,
    ProgramError,
)
from agentflow_planners.optimising.cases import cases_of
from agentflow_planners.optimising.programs import program
from agentflow_planners.optimising.purse import Purse
from agentflow_planners.optimising.trying import KEPT, Search
from agentflow_planners.shared.coded import checked
from agentflow_planners.shared.replies import exchange, opening
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.vocabulary import TASK_WORDS, VOCABULARY, names
from agentflow_planners.shared.wording import Brief, cut, question

LEAST_MEAN = 0.01  # below it an agent counts as broken, as published
MAX_CODE_CHARS = 4_000
MAX_TOLD_CHARS = 2_000

SEEDS = {
    "Chain of thought": """\
def forward(task):
    return ask(task["question"] + "\\n\\nThink step by step, then end with `Answer:` and the answer.")
""",
    "Self-consistency": """\
def forward(task):
    said = ask(task["question"] + "\\n\\nThink briefly, then end with `Answer:` and the answer.", n=5)
    return vote([text.split("Answer:")[-1].strip() for text in said])
""",
    "Self-refine": """\
def forward(task):
    answer = ask(task["question"])
    for turn in range(2):
        critique = ask(task["question"] + "\\n\\nAnswer:\\n" + answer + "\\n\\nWhat is wrong with it? Say OK if nothing is.")
        if critique.strip().startswith("OK"):
            break
        answer = ask(task["question"] + "\\n\\nAn answer:\\n" + answer + "\\n\\nIts flaws:\\n" + critique + "\\n\\nGive the right answer alone.")
    return answer
""",
    "Debate": """\
def forward(task):
    roles = ["a mathematician", "a sceptic", "a practical person"]
    said = [ask(task["question"], role="You are " + role) for role in roles]
    seen = "\\n\\n".join(said)
    said = [ask(task["question"] + "\\n\\nOthers say:\\n" + seen, role="You are " + role) for role in roles]
    return ask(task["question"] + "\\n\\nThese were said:\\n" + "\\n\\n".join(said) + "\\n\\nGive the right answer alone.")
""",
    "Step back": """\
def forward(task):
    principles = ask(task["question"] + "\\n\\nDo not solve it. Which principles does it rest on?")
    return ask(task["question"] + "\\n\\nPrinciples:\\n" + principles + "\\n\\nGive the answer alone.")
""",
    "Different ways": """\
def forward(task):
    ways = []
    for turn in range(3):
        ways.append(ask(task["question"] + "\\n\\nSolve it in another way than these:\\n" + "\\n\\n".join(ways)))
    return ask(task["question"] + "\\n\\nSolutions:\\n" + "\\n\\n".join(ways) + "\\n\\nGive the right answer alone.")
""",
    "Chosen role": """\
def forward(task):
    role = ask(task["question"] + "\\n\\nDo not solve it. Which expert should? Name the profession alone.")
    return ask(task["question"], role="You are this expert: " + role)
""",
}

SYSTEM = f"""\
You design agents that solve tasks. An agent is a Python program with `def forward(task)`, which returns the \
answer. {TASK_WORDS} It is plain Python, runs in a sandbox and can call:
{VOCABULARY}
Calls that do not need each other run side by side. Do not import other modules than json, math, re, random, \
collections and itertools. Mistakes to avoid: task is a dict, not an object; ask returns a str, which may hold \
more than the answer; forward must return the answer alone."""
PROPOSE = """\
Write the next agent: new, not a variant of these, and better. Say in `thought` what is new and why it should \
help, give it a `name`, and write the whole program as `code`."""
NOVEL = """\
Look at your agent again. Is it really new compared with the archive? Are there mistakes in the code? Could it \
be better? Send it again, corrected."""
RIGHT = """\
Check it once more against the functions that there are and the mistakes to avoid. Send the final agent."""


class Proposal(Frozen):
    """An agent as the meta model writes it."""

    thought: Brief
    name: Annotated[Brief, Field(min_length=1)]
    code: Annotated[str, Field(min_length=1)]


@flow
async def adas(
    task: Task,
    *,
    generations: Number = 30,
    repairs: Number = 3,
    seeds: Annotated[int, Field(ge=1, le=len(SEEDS))] = len(SEEDS),
    shown: Count = 10,
    meta: str = "",
    seed: int = 0,
) -> Result:
    """Return the best agent found, as a planner with its options, and how it does on unseen cases.

    Args:
        task: Its goal says what the agents are for; its input `cases` are tasks with checks.
        generations: How many agents the meta model writes.
        repairs: How often an agent that fails is mended.
        seeds: How many hand-made agents the archive begins with.
        shown: How many agents of the archive the meta model sees.
        meta: The model that writes agents, if not the run's own, which is that of the agents.
        seed: Of the draw of cases.

    Raises:
        InputError: The cases are none.
        BudgetExceededError: It does not cover the first agent.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    cases = cases_of(task, seed=seed)
    tools = {name for case in cases.select for name in case.task.tools}
    first = [Proposal(thought="", name=name, code=code) for name, code in SEEDS.items()][:seeds]
    search, purse = Search(program(first[0].code), cases), Purse(cases)
    for proposal in first:
        await purse.covers()
        await search.tries(program(proposal.code), proposal.name)
    search.base = max(search.trials, key=lambda trial: trial.score.mean).candidate
    told = f"What the agents are for: {task.goal}\n\nOne of the tasks:\n{cut(question(cases.train[0].task), MAX_TOLD_CHARS)}"
    for number in range(1, generations + 1):
        if not (search.is_over or await purse.covers()):
            search.stopped = KEPT
        if search.is_over:
            break
        try:
            await _generation(search, number, told, sorted(tools), repairs, shown, meta)
        except BudgetExceededError as error:
            search.stopped = str(error)
    return await search.settled()


async def _generation(
    search: Search, number: int, told: str, tools: list[str], repairs: int, shown: int, meta: str
) -> None:
    """Have one agent written and scored; one that comes to nothing leaves a remark."""
    problem = ""
    try:
        proposal = await propose.named(f"generation {number}")(told, _archive(search, shown), meta)
        for repair in range(repairs + 1):
            problem = await _tried(search, proposal, tools)
            if not problem:
                return
            if repair < repairs:
                name = f"repair {number}.{repair + 1}"
                proposal = await mend.named(name)(told, proposal, problem, meta)
    except (MalformedReplyError, ContextLengthError) as error:
        problem = str(error)
    note(f"generation {number} came to nothing: {problem}")


async def _tried(search: Search, proposal: Proposal, tools: list[str]) -> str:
    """Score an agent; return what is wrong with it, else nothing."""
    try:
        checked(proposal.code, names(tools))
    except ProgramError as error:
        return error.report
    score = await search.tries(program(proposal.code), f"{proposal.name}: {proposal.thought}")
    if score is None or score.mean >= LEAST_MEAN:
        return ""
    problems = [outcome.problem for outcome in score.outcomes if outcome.problem]
    return problems[0] if problems else "it runs, but none of its answers is right"


@flow
async def propose(told: str, archive: str, meta: str) -> Proposal:
    """Write a new agent and look at it twice."""
    said = opening(SYSTEM, f"{told}\n\nThe archive:\n{archive}\n\n{PROPOSE}")
    proposal = await generate(said, output=Proposal, model=meta or None)
    for reflection in (NOVEL, RIGHT):
        said += _about(proposal, reflection)
        proposal = await generate(said, output=Proposal, model=meta or None)
    return proposal


@flow
async def mend(told: str, proposal: Proposal, problem: str, meta: str) -> Proposal:
    """Correct an agent that fails."""
    fails = f"It fails: {cut(problem, MAX_TOLD_CHARS)}\nSend it corrected."
    said = opening(SYSTEM, f"{told}\n\n{PROPOSE}") + _about(proposal, fails)
    return await generate(said, output=Proposal, model=meta or None)


def _about(proposal: Proposal, text: str) -> list[Message]:
    """Return a turn in which the meta model hears of its own agent."""
    return exchange(proposal, text)


def _archive(search: Search, shown: int) -> str:
    """Return the best agents and the latest of the others, as a model reads them."""
    trials = search.trials
    best = sorted(trials, key=lambda trial: -trial.score.mean)[: (shown + 1) // 2]
    others = [trial for trial in trials if trial not in best]
    latest = others[max(0, len(others) - shown // 2) :]
    entries = [
        {
            "agent": trial.thought,
            "fitness": str(trial.score),
            "code": cut(str(trial.candidate.options["source"]), MAX_CODE_CHARS),
        }
        for trial in trials
        if trial in best or trial in latest
    ]
    return json.dumps(entries, ensure_ascii=False, indent=1)
