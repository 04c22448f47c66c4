"""A stored-program computer: a plan is the program, a file store the memory, a control unit runs it.

The model writes the program, a list of instructions. For each the control unit opens a fresh context
(the task, the instruction, the names of the files, what is remembered of earlier instructions), and the
model reads, writes and deletes files until it says that it is done. Then the evaluator looks: every
`.py` file must parse, and at the last instruction the given tests must pass; what fails is told. A
context that gets full is replaced by its summary, and the instruction goes on in a fresh one.

Source: Holt et al., L2MAC: Large Language Model Automatic Computer for Extensive Code Generation,
  arXiv:2310.02003.
Cost: tens of calls: 1 + instructions x (acts + summaries), up to instructions x turns.
Needs: a sandbox, tests.
Published: HumanEval 90.2.

What differs, and why:
- files live in memory and are the answer; a path that leads outside is refused, and nothing is written
  to a disk. Tests run confined, in another process than the files;
- the tests are given with the task, as `inputs.tests`, and count at the end; there the model writes them;
- earlier summaries stay in a bounded working memory, and are searched once they have left it; there,
  only the last one is kept;
- a model that does the same twice in a row is told so, and a local one gets warmer.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from agentflow import Message, Result, Task, flow, generate, note, parse_program
from agentflow.errors import ExpansionError, InputError, ProgramError
from agentflow_planners.shared.file_store import Files, FileStore, checked_path
from agentflow_planners.shared.memory import Edit, Memory, edit_memory, given_memory
from agentflow_planners.shared.replies import exchange, opening, sized, sound
from agentflow_planners.shared.sampling import first_options, sample_options
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import Brief, cut, statement

STEP = "l2mac"
_OWN = ("files", "tests", "memory", "edits")
_FILES, _TEXT = TypeAdapter(dict[str, str]), TypeAdapter(str)
MAX_INSTRUCTION_CHARS = 1_000
MAX_SUMMARY_CHARS = 600
MAX_EARLIER_CHARS = 250
ASKED_CHARS = 400  # marks of cuts, and the request to summarise
WARMER, HOTTEST = 0.4, 0.8

PROGRAM = """\
Split the task into at most {most} instructions, each a step of writing the files that solve it. They are \
carried out in order, each by somebody who sees the files and your instruction, and nothing else of the \
plan: an instruction has to say all that is needed. Few instructions are better than many."""
CONTROL = """\
Carry out one instruction of a program by acts on files. `write` makes `text`, code and not words about \
code, the whole content of the file at `path`, for example {"action": "write", "path": "main.py", "text": \
"def half(x):\\n    return x / 2\\n"}; `read` shows it, `delete` removes it, `check` runs the evaluation, and `done` ends the \
instruction: its `text` says in one or two sentences what was done. Paths are relative, such as main.py."""
SUMMARISE = "Say in two sentences what was done so far and what is left to do."


class Program(Frozen):
    """The instructions, in order."""

    instructions: tuple[Brief, ...]


class Act(Frozen):
    """One operation of the model."""

    action: Literal["write", "read", "delete", "check", "done"]
    path: str  # required, or a small model leaves it out
    text: str


class Outcome(Frozen):
    """What an instruction leaves: the files, and what is remembered."""

    files: Files
    memory: Memory


class Job(Frozen):
    """What stays the same for all instructions."""

    told: str
    tests: str
    entry: str
    turns: int
    context: int


@flow
async def l2mac(
    task: Task,
    *,
    instructions: Count = 10,
    turns: Count = 30,
    context: Annotated[int, Field(ge=8_000)] = 24_000,
    entry: str = "main.py",
) -> Result:
    """Write a program of instructions and carry it out; the answer is the files, by path.

    Args:
        task: Its input `tests` is Python that calls functions of the file `entry`; `files` are there to
            begin with.
        instructions: How many at most.
        turns: How many acts each instruction has.
        context: Characters that a conversation may have, short of a reply being sent back as malformed.
        entry: The file whose functions the tests call.

    Raises:
        ExpansionError: No sound program came, or an instruction was not finished.
        InputError: The files, the tests or the entry given are none, or the task fills the context.
        ModelError: A call failed for good.
        SandboxUnavailableError: Tests cannot be confined here.
    """
    job, files = _given(task, entry, turns, context)
    memory = given_memory(task.inputs, step=STEP, room=context // 8)
    memory = memory.model_copy(update={"room": min(memory.room, context // 8)}).bounded()
    program = await plan(job.told, instructions)
    for number, instruction in enumerate(program, 1):
        last = number == len(program)
        step = carry_out.named(f"instruction {number}")
        outcome = await step(job, instruction, number, files, memory, last)
        files, memory = outcome.files, outcome.memory
    return Result(output=files)


@flow
async def plan(told: str, most: int) -> tuple[str, ...]:
    """Return the instructions, at least one and at most `most`."""

    def problem(program: Program) -> str:
        texts = [text.strip() for text in program.instructions]
        is_sound = 1 <= len(texts) <= most and all(texts)
        return "" if is_sound else f"give between 1 and {most} instructions, none of them empty"

    form = sized(Program, instructions=(1, most))
    program = await sound(opening(PROGRAM.format(most=most), told), form, problem, step=STEP)
    return tuple(cut(text.strip(), MAX_INSTRUCTION_CHARS) for text in program.instructions)


@flow
async def carry_out(
    job: Job, instruction: str, number: int, files: Files, memory: Memory, is_last: bool
) -> Outcome:
    """Carry out one instruction in a context of its own.

    Raises:
        ExpansionError: It is not finished after the last turn.
    """
    scope, store, share = f"instruction {number}", FileStore(files), job.context // 10
    said = _opening(job, instruction, store, memory, scope)
    latest, repeats, observation = None, 0, ""
    for _turn in range(job.turns):
        act = await generate(said, output=Act, **await _options(repeats))
        repeats = repeats + 1 if act == latest else 0
        latest, observation = act, await _after(act, store, job, is_last)
        if not observation:
            memory = await _finished(act.text.strip() or instruction, memory, number)
            return Outcome(files=store.files, memory=memory)
        again = "You did exactly this just before. " if repeats else ""
        said += exchange(cut(act.model_dump_json(), share), cut(f"{again}{observation}", share))
        size = sum(len(message.text) for message in said)
        if size > job.context - 2 * share - ASKED_CHARS:  # one more turn, and the summary
            memory = await _summarised(said, memory, scope)
            said = _opening(job, instruction, store, memory, scope)
            note(f"{scope}: the context was full and is summarised")
    problem = f"{scope} is not finished after {job.turns} turns; the last: {observation}"
    raise ExpansionError(step=STEP, problem=problem)


async def _after(act: Act, store: FileStore, job: Job, is_last: bool) -> str:
    """Carry out an act; return what the model is told, nothing if it has finished."""
    match act.action:
        case "write":
            return store.write(act.path, act.text)
        case "read":
            return store.read(act.path)
        case "delete":
            return store.delete(act.path)
        case "check":
            told = await store.wrong(job.entry, job.tests)
            return told or "The evaluation finds nothing wrong."
        case "done":
            return await store.wrong(job.entry, job.tests if is_last else "")


def _opening(
    job: Job, instruction: str, store: FileStore, memory: Memory, scope: str
) -> list[Message]:
    files = cut(store.listed(), job.context // 10) or "none yet"
    parts = [f"The task:\n{job.told}", f"Files: {files}"]
    if job.tests:
        parts.append(f"The evaluation calls functions of {job.entry}.")
    if seen := memory.seen(scope=scope):
        parts.append(f"Done so far:\n{seen}")
    earlier = memory.found(instruction, 2, scope=scope)
    parts += [f"Earlier, {each.name}: {cut(each.text, MAX_EARLIER_CHARS)}" for each in earlier]
    return opening(CONTROL, "\n\n".join([*parts, f"The instruction:\n{instruction}"]))


async def _summarised(said: list[Message], memory: Memory, scope: str) -> Memory:
    """Return the memory with what the conversation came to, seen only from this instruction."""
    reply = await generate([*said, Message(role="user", text=SUMMARISE)])
    text = cut(reply.text.strip() or "nothing to tell", MAX_SUMMARY_CHARS)
    edit = Edit(scope=scope, name="so far", text=text)
    return await edit_memory.named(f"summary of {scope}")(memory, (edit,))


async def _finished(done: str, memory: Memory, number: int) -> Memory:
    """Return the memory with what an instruction came to, in place of its summaries."""
    scope = f"instruction {number}"
    gone = Edit(action="remove", scope=scope, name="so far")
    kept = Edit(name=scope, text=cut(done, MAX_SUMMARY_CHARS))
    return await edit_memory.named(f"memory {number}")(memory, (gone, kept))


async def _options(repeats: int) -> dict[str, Any]:
    if not repeats:
        return await first_options()
    return await sample_options(repeats, min(HOTTEST, WARMER * repeats))


def _given(task: Task, entry: str, turns: int, context: int) -> tuple[Job, Files]:
    own = {name: value for name, value in task.inputs.items() if name not in _OWN}
    told = statement(task.model_copy(update={"inputs": own}))
    if not entry.endswith(".py") or len(told) > context // 5:
        problem = f"entry must be a .py file, and the task at most {context // 5} characters"
        raise InputError(step=STEP, problem=problem)
    files, tests = task.inputs.get("files") or {}, task.inputs.get("tests") or ""
    try:
        parse_program(_TEXT.validate_python(tests))
        checked_path(entry)
        store = FileStore(_FILES.validate_python(files))
    except (ExpansionError, ProgramError, ValidationError) as error:
        raise InputError(step=STEP, problem=f"inputs.files or inputs.tests: {error}") from error
    job = Job(told=told, tests=tests, entry=entry, turns=turns, context=context)
    return job, store.files
