"""Write something long step by step: a recurrence whose state is in words.

Source: Zhou et al., RecurrentGPT: Interactive Generation of (Arbitrarily) Long Text, arXiv:2305.13304.
Cost: a few calls: 2 x paragraphs.
Needs: nothing.
Published: none that were checked.

A step gets the short-term memory, the paragraph before, the chosen plan, and the archived paragraphs
nearest to that plan; it gives the next paragraph, the short-term memory rewritten, and several plans
for what comes next. One of them is chosen, and may be revised: by the model in the role of a reader, or
by a person. All state is plain data: it is in the answer, and given back as an input it goes on, with
edits.

What differs, and why:
- the long-term memory is searched by words (BM25) instead of sentence embeddings: no second model;
- replies are typed values that are asked for again with the reason, a few times; the authors' code
  repeats for ever, and reads them by regular expressions;
- the short-term memory has a bound in characters, as has the archive; there it is only asked for;
- no new character comes in at random: nothing here depends on chance;
- the reader that chooses does not rewrite the paragraph, only the plan.
"""

from typing import Annotated, Literal

from pydantic import Field, ValidationError

from agentflow import Result, Task, ask, flow, note
from agentflow.errors import InputError
from agentflow_planners.shared.memory import Edit, Memory, edit_memory, given_memory
from agentflow_planners.shared.replies import opening, sized, sound
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import Brief, cut, statement

Text = Annotated[str, Field(min_length=1)]
Chooser = Literal["model", "person", "first"]

STEP = "recurrent_gpt"
SUMMARY, PREVIOUS = "short-term memory", "previous paragraph"
MAX_SHOWN_CHARS = 2_000
MAX_TASK_CHARS = 8_000

OPEN = """\
Begin a long text. Give its first paragraph, a short-term memory (what whoever writes on has to know, in \
a few sentences), and {plans} different plans for the paragraph after it."""
WRITE = """\
Write the next paragraph of a long text, and only that: follow the plan and stay consistent with what is \
remembered. Then rewrite the short-term memory: drop what no longer matters, add what is new, at most \
{room} characters. Last, give {plans} different plans for the paragraph after it."""
CHOOSE = """\
You read along with a text that is being written. Choose the plan that makes the most interesting and \
consistent next paragraph, by its number, and write it down, made better where it can be."""


class Written(Frozen):
    """What a step gives."""

    paragraph: Text
    memory: Text
    plans: tuple[Brief, ...]


class Choice(Frozen):
    """The number of a plan, counted from 1, and the plan as it is to be followed."""

    number: int
    plan: Brief


class State(Frozen):
    """What goes from one step to the next: all there is to know."""

    memory: Memory
    plans: tuple[str, ...] = ()
    plan: str = ""
    count: Number = 0


@flow
async def recurrent_gpt(
    task: Task,
    *,
    paragraphs: Count = 6,
    plans: Annotated[int, Field(ge=1, le=10)] = 3,
    recalled: Number = 2,
    room: Annotated[int, Field(ge=200)] = 3_000,
    chooser: Chooser = "model",
) -> Result:
    """Write this many paragraphs; the answer has them as `text`, and what is needed to go on.

    Args:
        task: Its input `memory` may be that of an earlier answer, with `plan` (what to write next) and
            `count` (paragraphs so far); `edits` are made to the memory first.
        paragraphs: How many are written in this run.
        plans: How many plans a step makes.
        recalled: How many archived paragraphs a step is shown.
        room: Characters of the working part: the short-term memory and the previous paragraph.
        chooser: Who chooses among the plans; a person may also write a plan of their own.

    Raises:
        AskError: A person is to choose and nobody can ever answer; otherwise the run pauses.
        ExpansionError: No reply was sound.
        InputError: The memory, the edits, the plan or the count given is none.
        ModelError: A call failed for good.
    """
    told, state, text, most = _told(task), _given(task, room), list[str](), room // 2
    for _paragraph in range(paragraphs):
        if state.plans and not state.plan:
            plan = await choose(told, state.memory.seen(), state.plans, chooser)
            state = state.model_copy(update={"plan": plan})
        number = state.count + 1
        is_first = not (state.count or state.plan or state.memory.working)
        system = (OPEN if is_first else WRITE).format(plans=plans, room=_half(state.memory))
        prompt = told if is_first else _prompt(told, state, recalled)
        written = await write.named(f"paragraph {number}")(system, prompt, plans, most)
        text.append(written.paragraph)
        state = await _remembered(state, written, number)
    return Result(output={"text": text, **state.model_dump(mode="json")})


@flow
async def write(system: str, prompt: str, plans: int, most: int) -> Written:
    """Write one paragraph, the short-term memory that follows from it, and plans."""

    def problem(said: Written) -> str:
        return "" if len(said.plans) == plans else f"give {plans} plans, not {len(said.plans)}"

    form = sized(Written, plans=(plans, plans), paragraph=most, memory=most)
    return await sound(opening(system, prompt), form, problem, step=STEP)


@flow
async def choose(told: str, remembered: str, plans: tuple[str, ...], chooser: Chooser) -> str:
    """Return the plan to follow, possibly revised."""
    listed = "\n".join(f"{number}. {plan}" for number, plan in enumerate(plans, 1))
    if chooser == "first" or (chooser == "model" and len(plans) == 1):
        return plans[0]
    if chooser == "person":
        said: str = (await ask(f"What comes next? A number, or your own plan.\n{listed}")).strip()
        is_number = said.isdecimal() and 1 <= int(said) <= len(plans)
        return plans[int(said) - 1] if is_number else said or plans[0]

    def problem(said: Choice) -> str:
        return "" if 1 <= said.number <= len(plans) else f"there is no plan {said.number}"

    prompt = f"The task:\n{told}\n\nRemembered:\n{remembered}\n\nPlans:\n{listed}"
    choice = await sound(opening(CHOOSE, prompt), Choice, problem, step=STEP)
    note(f"plan {choice.number} of {len(plans)}")
    return cut(choice.plan.strip() or plans[choice.number - 1], MAX_SHOWN_CHARS)


async def _remembered(state: State, written: Written, number: int) -> State:
    """Return the state after a paragraph: short-term memory rewritten, the paragraph archived."""
    half = _half(state.memory)  # so that neither note drives the other out
    edits = (
        Edit(name=SUMMARY, text=written.memory[:half]),
        Edit(name=PREVIOUS, text=written.paragraph[-half:]),
        Edit(part="archive", name=f"paragraph {number}", text=written.paragraph),
    )
    memory = await edit_memory.named(f"memory {number}")(state.memory, edits)
    shown = tuple(cut(plan, MAX_SHOWN_CHARS) for plan in written.plans)
    return State(memory=memory, plans=shown, count=number)


def _prompt(told: str, state: State, recalled: int) -> str:
    near = [  # the previous paragraph is shown anyway
        entry
        for entry in state.memory.found(state.plan or told, recalled + 1)
        if entry.name != f"paragraph {state.count}"
    ]
    parts = [f"The task:\n{told}"]
    parts += [
        f"Earlier, {each.name}:\n{cut(each.text, MAX_SHOWN_CHARS)}" for each in near[:recalled]
    ]
    parts.append(f"Remembered:\n{state.memory.seen()}")
    parts.append(f"Plan for this paragraph:\n{state.plan or 'go on as fits'}")
    return "\n\n".join(parts)


def _half(memory: Memory) -> int:
    return memory.room // 2 - len(SUMMARY + PREVIOUS) - 8


_STATE = ("memory", "edits", "plans", "plan", "count")


def _told(task: Task) -> str:
    story = {name: value for name, value in task.inputs.items() if name not in _STATE}
    return cut(statement(task.model_copy(update={"inputs": story})), MAX_TASK_CHARS)


def _given(task: Task, room: int) -> State:
    memory = given_memory(task.inputs, step=STEP, room=room)
    given = {name: task.inputs[name] for name in ("plans", "plan", "count") if name in task.inputs}
    try:
        return State.model_validate({"memory": memory, **given})
    except ValidationError as error:
        raise InputError(step=STEP, problem=f"what to go on from: {error}") from error
