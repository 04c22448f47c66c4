"""Write a structured prompt for a task: one generator for each module that it needs, tests, and reflection.

Source: Wang et al., Minstrel: Structural Prompt Generation with Multi-Agents Coordination for Non-AI
  Experts, arXiv:2409.13449, with the modules of LangGPT, arXiv:2402.16929.
Cost: tens of calls: 1 + modules + rounds x (questions x (2 + commenters) + 1 + changed modules).
Needs: nothing.
Published: none that were checked.

An analyser says who is to be played and which of eleven modules the prompt needs. A designer for each of
them writes its module, all side by side, and the modules are put together. Then a test group tries the
prompt: a questioner asks, a simulator answers with the prompt as its instructions, and commenters debate
the answer. A reflector says which modules are to be changed and how; their designers write them again.

What differs, and why:
- designers, and the questions of a test, work side by side; the original works one by one;
- an analysis that does not parse is asked for again with the reason; there it is parsed five times over;
- examples and style come from a person, as there, by the inputs `examples` and `style`: the analysis that
  asks for them in vain leaves a note, and the prompt goes without;
- the reflector may change only modules that are there, each once a round, and rounds are bounded.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, create_model

from agentflow import Result, Task, flow, generate, note
from agentflow_planners.shared.fusing import surviving
from agentflow_planners.shared.spoken import spoken
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import Brief, cut, shown, statement

Parts = dict[str, str]  # texts by module

MAX_MODULE_CHARS = 4_000

ABOUT: Parts = {
    "background": "what somebody who takes on the role has to know about the situation",
    "command": "what the role does when it is told so, one command a line",
    "suggestion": "advice that helps the role to do well, one point a line",
    "goal": "what the role is to achieve, one goal a line",
    "constraints": "what the role must and must not do, one rule a line",
    "workflow": "the steps that the role goes through, numbered",
    "output_format": "the form in which the role answers",
    "skills": "what the role is good at, one skill a line",
    "initialization": "how the role opens the conversation",
    "examples": "worked examples of good answers",
    "style": "the tone and manner of the answers",
}
OF_PERSON = ("examples", "style")

ANALYSE = (
    "Somebody wants a prompt that makes a language model good at the above. Name the role that the model "
    "should play, in a few words, and say of each part of such a prompt whether this one needs it:\n"
    + "\n".join(f"- {name}: {words}" for name, words in ABOUT.items())
)
DESIGN = (
    "A prompt makes a language model play this role: {role}. Write the part `{module}` of it: {words}. "
    "Write that part alone, without a heading, in a few lines."
)
AGAIN = "So far the part reads:\n{text}\n\nChange it by this advice: {advice}"
QUESTION = (
    "Above is a prompt for a language model. Write message {number} of {most} different ones that a user "
    "might send it. Write the message alone."
)
COMMENT = (
    "Above are a prompt, a message of a user and the answer of a model with that prompt. Say in a few "
    "sentences what is good and bad about the answer, and which part of the prompt is to blame. Where "
    "others have commented, say where you agree and where not."
)
REFLECT = (
    "Above are a prompt and what commenters say of answers given with it. Which of its parts ({modules}) "
    "should be changed, and how? Name as few as possible, with advice in one sentence each; none if "
    "the prompt is good."
)


class Wanted(Frozen):
    """What every designer knows."""

    wish: str
    role: str
    max_tokens: int | None


class Change(Frozen):
    """Advice on one module."""

    module: str
    advice: Brief


class Reflection(Frozen):
    """What is to be changed after a test."""

    changes: tuple[Change, ...] = Field(max_length=len(ABOUT))


class Role(Frozen):
    """The role to be played."""

    role: Annotated[Brief, Field(min_length=1)]


NEEDED: dict[str, Any] = dict.fromkeys(ABOUT, (bool, ...))
Analysis = create_model("Analysis", __base__=Role, **NEEDED)  # and whether each module is needed


@flow
async def minstrel(
    task: Task,
    *,
    rounds: Number = 1,
    questions: Count = 2,
    commenters: Count = 2,
    max_tokens: Count | None = None,
) -> Result:
    """Write a prompt with which a model does what the task describes; the answer is its text.

    Args:
        task: Its inputs `examples` and `style`, if there are any, become modules as they are.
        rounds: How often the prompt is tested and changed.
        questions: How many messages a test has.
        commenters: How many comment on each answer, one after another.
        max_tokens: How long a module, a message, an answer or a comment may be.

    Raises:
        MalformedReplyError: No analysis named a role and said of each module whether it is needed.
        ExpansionError: No module could be written.
        ModelError: A call failed for good.
    """
    own = {name: value for name, value in task.inputs.items() if name not in OF_PERSON}
    wish = statement(task.model_copy(update={"inputs": own}))
    analysis = await generate(f"{wish}\n\n{ANALYSE}", output=Analysis)
    needed = [name for name in ABOUT if getattr(analysis, name)]
    given = {name: task.inputs[name] for name in OF_PERSON if name in task.inputs}
    parts: Parts = {name: shown(value, MAX_MODULE_CHARS) for name, value in given.items()}
    lacking = ", ".join(name for name in needed if name in OF_PERSON and name not in parts)
    if lacking:
        note(f"the prompt goes without {lacking}: only a person can give that, as an input")
    brief = Wanted(wish=wish, role=analysis.role, max_tokens=max_tokens)
    mine = [name for name in needed if name not in OF_PERSON]
    parts |= dict(await surviving(design.named(name)(brief, name) for name in mine))
    asks = [QUESTION.format(number=place, most=questions) for place in range(1, questions + 1)]
    for number in range(1, rounds + 1):
        prompt = composed(brief.role, parts)
        tried = (
            trial.named(f"trial {number}.{place}")(prompt, text, commenters, max_tokens)
            for place, text in enumerate(asks, 1)
        )
        changes = await _changes(prompt, await surviving(tried, least=0), parts)
        if not changes:
            break
        again = (
            design.named(f"{name} {number + 1}")(brief, name, parts[name], advice)
            for name, advice in changes.items()
        )
        parts |= dict(await surviving(again, least=0))
    return Result(output=composed(brief.role, parts))


def composed(role: str, parts: Parts) -> str:
    """Return the prompt: the role as its heading, and the modules below headings of theirs."""
    there = [name for name in ABOUT if name in parts]
    texts = [f"## {name.replace('_', ' ').title()}\n{parts[name]}" for name in there]
    return "\n\n".join([f"# Role: {' '.join(role.split())}", *texts])


@flow
async def design(brief: Wanted, module: str, text: str = "", advice: str = "") -> tuple[str, str]:
    """Write one module, or change it by advice.

    Raises:
        ExpansionError: The reply is empty.
        ModelError: The call failed for good.
    """
    ask = DESIGN.format(role=brief.role, module=module, words=ABOUT[module])
    again = [AGAIN.format(text=text, advice=advice)] if text else []
    whole = "\n\n".join([brief.wish, ask, *again])
    return module, await _text(module, whole, brief.max_tokens)


@flow
async def trial(prompt: str, ask: str, commenters: int, max_tokens: int | None) -> str:
    """Try a prompt with one message; return the exchange, and what commenters say of it in turn.

    Raises:
        ExpansionError: A reply is empty.
        ModelError: A call failed for good.
    """
    message = await _text("question", f"{prompt}\n\n{ask}", max_tokens)
    answer = await _text("simulation", message, max_tokens, prompt)
    heard = f"A user writes:\n{message}\n\nThe model answers:\n{answer}"
    for commenter in range(1, commenters + 1):
        whole = f"The prompt:\n{prompt}\n\n{heard}\n\n{COMMENT}"
        comment = await _text("comment", whole, max_tokens)
        heard += f"\n\nCommenter {commenter} says:\n{comment}"
    return heard


@flow
async def reflect(prompt: str, heard: tuple[str, ...], modules: tuple[str, ...]) -> Reflection:
    """Decide after a test which modules to change."""
    ask = REFLECT.format(modules=", ".join(modules))
    return await generate("\n\n".join([f"The prompt:\n{prompt}", *heard, ask]), output=Reflection)


async def _changes(prompt: str, heard: Sequence[str], parts: Parts) -> dict[str, str]:
    """Return advice by module; none where nothing was heard or a reflection never has its form."""
    may = tuple(name for name in parts if name not in OF_PERSON)
    asked = [reflect(prompt, tuple(heard), may)] if heard and may else []
    found = [change for one in await surviving(asked, least=0) for change in one.changes]
    refused = {change.module for change in found if change.module not in may}
    if refused:
        note(f"not changed, since only what is there and is no person's can be: {sorted(refused)}")
    return {change.module: change.advice for change in reversed(found) if change.module in may}


async def _text(step: str, prompt: str, max_tokens: int | None, system: str | None = None) -> str:
    text = await spoken(prompt, step=step, system=system, max_tokens=max_tokens)
    return cut(text, MAX_MODULE_CHARS)
