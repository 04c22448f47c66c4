"""A stored-program computer: a plan is the program, a file store the memory, a control unit runs it.

Source: Holt et al., L2MAC: Large Language Model Automatic Computer for Extensive Code Generation,
arXiv:2310.02003. Published figure (in its documentation): HumanEval 90.2.

The model writes the program, a list of instructions. For each the control unit opens a fresh context
(the task, the instruction, the names of the files, what is remembered of earlier instructions), and the
model reads, writes and deletes files until it says that it is done. Then the evaluator looks: every
`.py` file must parse, and at the last instruction the given tests must pass; what fails is told. A
context that gets full is replaced by its summary, and the instruction goes on in a fresh one.

What differs, and why:
- files live in memory and are the answer; a path that leads outside is refused, and nothing is written
  to a disk. Tests run confined, in another process than the files;
- the tests are given with the task, as `inputs.tests`, and count at the end; there the model writes them;
- earlier summaries stay in a bounded working memory, and are searched once they have left it; there,
  only the last one is kept;
- a model that does the same twice in a row is told so, and a local one gets warmer.
"""

import ast
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agentflow import Examination, Message, Result, Task, examine, flow, generate, note
from agentflow.errors import ExpansionError, InputError, ProgramError
from agentflow.sandbox.names import parse
from agentflow_planners.shared.memory import Edit, Memory, edit_memory, given_memory
from agentflow_planners.shared.sampling import first_options, sample_options
from agentflow_planners.shared.wording import cut, statement

Count = Annotated[int, Field(ge=1)]
Files = dict[str, str]

STEP = "l2mac"
ATTEMPTS = 3
MAX_FILES = 100
MAX_FILE_CHARS = 40_000
MAX_PATH_CHARS = 120
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
Carry out one instruction of a program by acts on files. `write` puts `text` as the whole content of the \
file at `path`, `read` shows it, `delete` removes it, `check` runs the evaluation, and `done` ends the \
instruction: its `text` says in one or two sentences what was done. Paths are relative, such as main.py."""
SUMMARISE = "Say in two sentences what was done so far and what is left to do."

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]*")

# The files as modules: they import one another, and what the tests call comes from the entry.
_LOADER = """\
import importlib.abc, importlib.util, sys
_FILES = {files}
class _Store(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        base = name.replace(".", "/")
        for file in (base + ".py", base + "/__init__.py"):
            if file in _FILES:
                is_package = file.endswith("/__init__.py")
                return importlib.util.spec_from_loader(name, self, origin=file, is_package=is_package)
        return None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        file = module.__spec__.origin
        exec(compile(_FILES[file], file, "exec"), module.__dict__)
sys.meta_path.insert(0, _Store())
_entry = importlib.import_module({entry})
globals().update({{name: getattr(_entry, name) for name in {names}}})
"""


class Program(BaseModel):
    """The instructions, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instructions: tuple[str, ...]


class Act(BaseModel):
    """One operation of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["write", "read", "delete", "check", "done"]
    path: str  # required, or a small model leaves it out
    text: str


class Outcome(BaseModel):
    """What an instruction leaves: the files, and what is remembered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: Files
    memory: Memory


class Job(BaseModel):
    """What stays the same for all instructions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    said = [
        Message(role="system", text=PROGRAM.format(most=most)),
        Message(role="user", text=told),
    ]
    for _attempt in range(ATTEMPTS):
        program = await generate(said, output=Program)
        found = [cut(text.strip(), MAX_INSTRUCTION_CHARS) for text in program.instructions]
        if 1 <= len(found) <= most and all(found):
            return tuple(found)
        again = f"Give between 1 and {most} instructions, none of them empty."
        short = cut(program.model_dump_json(), MAX_INSTRUCTION_CHARS)
        said = [*said[:2], Message(role="assistant", text=short), Message(role="user", text=again)]
    raise ExpansionError(step=STEP, problem=f"no sound program in {ATTEMPTS} attempts")


@flow
async def carry_out(
    job: Job, instruction: str, number: int, files: Files, memory: Memory, is_last: bool
) -> Outcome:
    """Carry out one instruction in a context of its own.

    Raises:
        ExpansionError: It is not finished after the last turn.
    """
    scope, unit = f"instruction {number}", _Unit(job, dict(files), is_last)
    opening = _opening(job, instruction, unit.files, memory, scope)
    said, latest, repeats = list(opening), None, 0
    for _turn in range(job.turns):
        act = await generate(said, output=Act, **await _options(repeats))
        repeats = repeats + 1 if act == latest else 0
        observation = await unit.after(act)
        if act.action == "done" and not observation:
            edits = (
                Edit(action="remove", scope=scope, name="so far"),
                Edit(name=scope, text=cut(act.text.strip() or instruction, MAX_SUMMARY_CHARS)),
            )
            memory = await edit_memory.named(f"memory {number}")(memory, edits)
            return Outcome(files=unit.files, memory=memory)
        latest, unit.problem = act, observation
        again = "You did exactly this just before. " if repeats else ""
        share = job.context // 10
        said += [
            Message(role="assistant", text=cut(act.model_dump_json(), share)),
            Message(role="user", text=cut(f"{again}{observation}", share)),
        ]
        if _size(said) > job.context - 2 * share - ASKED_CHARS:  # one more turn, and the summary
            memory = await _summarised(said, memory, scope)
            said = _opening(job, instruction, unit.files, memory, scope)
            note(f"{scope}: the context was full and is summarised")
    problem = f"{scope} is not finished after {job.turns} turns; the last: {unit.problem}"
    raise ExpansionError(step=STEP, problem=problem)


class _Unit:
    """The file store, and what an act does to it."""

    def __init__(self, job: Job, files: Files, is_last: bool) -> None:
        self.job, self.files, self._is_last, self.problem = job, files, is_last, ""

    async def after(self, act: Act) -> str:
        """Carry out an act; return what the model is told, nothing if it has finished."""
        if act.action == "done":
            return await self._wrong(with_tests=self._is_last)
        if act.action == "check":
            return await self._wrong(with_tests=True) or "The evaluation finds nothing wrong."
        try:
            path = checked_path(act.path)
        except ExpansionError as error:
            return f"Refused: {error.problem}"
        return self._on_file(act, path)

    def _on_file(self, act: Act, path: str) -> str:
        if act.action == "write":
            refusal = _refusal(self.files, path, act.text)
            if refusal:
                return f"Refused: {refusal}"
            self.files = dict(sorted({**self.files, path: act.text}.items()))
            return f"Written: {path}"
        if path not in self.files:
            return f"There is no file {path}; there are: {', '.join(self.files) or 'none'}"
        if act.action == "delete":
            del self.files[path]
            return f"Deleted: {path}"
        return self.files[path] or "(the file is empty)"

    async def _wrong(self, *, with_tests: bool) -> str:
        """Return what the evaluator finds: files that do not parse, then tests that fail."""
        trees: dict[str, ast.Module] = {}
        for path, text in self.files.items():
            if path.endswith(".py"):
                try:
                    trees[path] = parse(text)
                except ProgramError as error:
                    return f"{path} does not parse: {error.report}"
        if not (with_tests and self.job.tests):
            return ""
        if self.job.entry not in trees:
            return f"The tests need a file {self.job.entry}, and there is none."
        defined = (ast.FunctionDef, ast.AsyncFunctionDef)
        names = [each.name for each in trees[self.job.entry].body if isinstance(each, defined)]
        source = loader_of(self.files, self.job.entry, names)
        verdict = await examine(
            Examination(source=source, tests=self.job.tests, names={name: name for name in names})
        )
        if verdict.passed:
            return ""
        return f"The tests fail: {verdict.failure.report if verdict.failure else 'no reason given'}"


def checked_path(path: str) -> str:
    """Return a path that stays in the store, as written.

    Raises:
        ExpansionError: It is absolute, leads up, or has anything in it but plain names.
    """
    parts = path.split("/")
    if len(path) > MAX_PATH_CHARS or not all(_PART.fullmatch(part) for part in parts):
        shown = json.dumps(path[:MAX_PATH_CHARS])
        problem = f"{shown} is no relative path of plain names, such as main.py or parts/one.py"
        raise ExpansionError(step=STEP, problem=problem)
    return path


def _refusal(files: Files, path: str, text: str) -> str:
    """Return why a file cannot be written; nothing if it can."""
    if len(text) > MAX_FILE_CHARS:
        return f"a file has at most {MAX_FILE_CHARS} characters; split it"
    if path not in files and len(files) >= MAX_FILES:
        return f"there are {MAX_FILES} files already; delete one"
    clash = [each for each in files if each.startswith(f"{path}/") or path.startswith(f"{each}/")]
    return f"{clash[0]} is there, so {path} cannot be" if clash else ""


def loader_of(files: Files, entry: str, names: list[str]) -> str:
    """Return one module that loads the Python files as modules and has the entry's functions."""
    module = entry.removesuffix(".py").replace("/", ".")
    code = {path: text for path, text in files.items() if path.endswith(".py")}
    return _LOADER.format(files=repr(code), entry=repr(module), names=repr(names))


def _opening(job: Job, instruction: str, files: Files, memory: Memory, scope: str) -> list[Message]:
    names = ", ".join(f"{path} ({len(text)} characters)" for path, text in files.items())
    parts = [f"The task:\n{job.told}", f"Files: {cut(names, job.context // 10) or 'none yet'}"]
    if job.tests:
        parts.append(f"The evaluation calls functions of {job.entry}.")
    if seen := memory.seen(scope=scope):
        parts.append(f"Done so far:\n{seen}")
    earlier = memory.found(instruction, 2, scope=scope)
    parts += [f"Earlier, {each.name}: {cut(each.text, MAX_EARLIER_CHARS)}" for each in earlier]
    parts.append(f"The instruction:\n{instruction}")
    return [
        Message(role="system", text=CONTROL),
        Message(role="user", text="\n\n".join(parts)),
    ]


async def _summarised(said: list[Message], memory: Memory, scope: str) -> Memory:
    """Return the memory with what the conversation came to, seen only from this instruction."""
    reply = await generate([*said, Message(role="user", text=SUMMARISE)])
    text = cut(reply.text.strip() or "nothing to tell", MAX_SUMMARY_CHARS)
    edit = Edit(scope=scope, name="so far", text=text)
    return await edit_memory.named(f"summary of {scope}")(memory, (edit,))


async def _options(repeats: int) -> dict[str, Any]:
    if not repeats:
        return await first_options()
    return await sample_options(repeats, min(HOTTEST, WARMER * repeats))


def _size(said: list[Message]) -> int:
    return sum(len(message.text) for message in said)


def _given(task: Task, entry: str, turns: int, context: int) -> tuple[Job, Files]:
    files, tests = task.inputs.get("files") or {}, task.inputs.get("tests") or ""
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        raise InputError(step=STEP, problem="inputs.files must map paths to texts")
    if not isinstance(tests, str):
        raise InputError(step=STEP, problem="inputs.tests must be Python code")
    try:
        paths = [checked_path(path) for path in (*files, entry)]
        if tests:
            parse(tests)
    except (ExpansionError, ProgramError) as error:
        raise InputError(step=STEP, problem=str(error)) from error
    refused = [_refusal({**files}, path, text) for path, text in files.items()]
    if any(refused):
        raise InputError(step=STEP, problem=f"inputs.files: {next(filter(None, refused))}")
    own = {name: value for name, value in task.inputs.items() if name not in _OWN}
    told = statement(task.model_copy(update={"inputs": own}))
    if not paths[-1].endswith(".py") or len(told) > context // 5:
        problem = f"entry must be a .py file, and the task at most {context // 5} characters"
        raise InputError(step=STEP, problem=problem)
    job = Job(told=told, tests=tests, entry=entry, turns=turns, context=context)
    return job, dict(files)


_OWN = ("files", "tests", "memory", "edits")
