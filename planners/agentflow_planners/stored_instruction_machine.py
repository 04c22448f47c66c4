"""A stored-instruction computer: a model, an associative memory, and nothing else that thinks.

Source: Schuurmans, Memory Augmented Large Language Models are Computationally Universal,
  arXiv:2301.04589.
Cost: tens of calls: as many as there are different prompts, however many cycles.
Needs: nothing.
Published: none that were checked.

The paper shows that a fixed model with such a memory simulates a universal Turing machine, by checking each
of its finitely many prompts once.

A cycle: take the prompt stored under the label that `op` names, put values in for `@[name]` (innermost
first, so that `@[@[i]]` is the cell that `i` points to), ask the model, and carry out the assignments
that its reply consists of (after the prompt's last line, which it may repeat): `name = "text"`,
`%[i] = "text"` for the cell that `i` points to, `i += 1`, `i -= 1`. One of them sets `op`, and
`op = "halt"` ends it.

What differs, and why:
- a prompt that was asked before gets the reply it got before. The paper's model is deterministic; so is
  this machine with any model, and a machine with n transitions needs n calls, however long it runs;
- a reply has to be assignments and nothing else. The paper picks what matches out of whatever was said;
- a memory without bound is what makes the paper's machine universal. Here cells and their size are
  bounded by options; to need more is a typed error.
"""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agentflow import Message, Result, Task, flow, generate, note
from agentflow.errors import ExpansionError, InputError
from agentflow_planners.shared.sampling import first_options
from agentflow_planners.shared.values import Count, Frozen

STEP = "stored_instruction_machine"
OP, HALT = "op", "halt"
MAX_NESTING = 8
MAX_PROMPT_CHARS = 20_000
MAX_LOCAL_TOKENS = 80
SAID_CHARS = 120

_ADDRESS = re.compile(r"@\[([^\[\]@]*)\]")
_ASSIGNMENT = re.compile(
    r'(%?)(\[?)([A-Za-z_]\w*)(\]?)\s*(=|\+=|-=)\s*(?:"([^"\n]*)"|(-?\d{1,9}\b))[\s;,]*'
)
_STORED = TypeAdapter(dict[str, str])


class Assignment(Frozen):
    """One assignment of a reply; `is_indirect` means the cell that `name` points to."""

    name: str
    is_indirect: bool
    operator: str
    value: str


@flow
async def stored_instruction_machine(
    task: Task,
    *,
    cycles: Count = 1_000,
    cells: Count = 10_000,
    cell_chars: Count = 4_000,
    blank: str = "0",
) -> Result:
    """Run the machine that the task's input `memory` holds until it halts.

    The answer has `halted`, the final `memory`, and the `trace`: for each cycle its label under `at`,
    and the cells it changed under `set`. With `halted` false, give the memory back to go on.

    Args:
        task: `inputs.memory` maps names to texts; `op` names the first label.
        cycles: How many at most; to be still running then is an outcome, not a failure.
        cells: How many names the memory may have.
        cell_chars: How long a cell may become.
        blank: What a cell holds that nobody has written, if its name is a number.

    Raises:
        ExpansionError: A reply is no assignments or names no label, or memory is used up.
        InputError: There is no such memory.
        ModelError: A call failed for good.
    """
    machine = _Machine(_given(task), cells, cell_chars, blank)
    replies: dict[str, tuple[Assignment, ...]] = {}
    trace: list[dict[str, Any]] = []
    while machine.label != HALT and len(trace) < cycles:
        at, prompt = machine.label, machine.prompt()
        if prompt not in replies:
            replies[prompt] = await execute.named(at)(prompt)
        trace.append({"at": at, "set": machine.carry_out(replies[prompt])})
    note(f"{len(trace)} cycles with {len(replies)} different prompts")
    halted = machine.label == HALT
    return Result(output={"halted": halted, "memory": machine.memory, "trace": trace})


@flow
async def execute(prompt: str) -> tuple[Assignment, ...]:
    """Ask the model what to do for one prompt.

    Raises:
        ExpansionError: The reply is not what a machine can carry out.
    """
    said, options = [Message(role="user", text=prompt)], await first_options()
    last = (prompt.splitlines() or [""])[-1].strip()
    if options and last:  # a local model goes on from the last line, and without an end for ever
        said.append(Message(role="assistant", text=last))
        options |= {"stop": ("\n",), "max_tokens": MAX_LOCAL_TOKENS}
    reply = await generate(said, **options)
    return assignments(reply.text.strip().removeprefix(last))


def assignments(text: str) -> tuple[Assignment, ...]:
    """Return the assignments that a reply consists of, in order.

    Raises:
        ExpansionError: There is something else in it, or none sets `op`.
    """
    line = text.strip().strip("`").strip()
    found, place = [], 0
    while place < len(line):
        match = _ASSIGNMENT.match(line, place)
        if match is None or (match[1] + match[2] + match[4]) not in ("", "%[]"):
            raise ExpansionError(step=STEP, problem=f"no assignment: {line[place:][:SAID_CHARS]!r}")
        value = match[7] if match[6] is None else match[6]
        found.append(
            Assignment(name=match[3], is_indirect=bool(match[1]), operator=match[5], value=value)
        )
        place = match.end()
    if not any(each.name == OP and not each.is_indirect for each in found):
        raise ExpansionError(step=STEP, problem=f"no next label: {line[:SAID_CHARS]!r}")
    return tuple(found)


class _Machine:
    """The memory, and what a cycle does to it."""

    def __init__(self, memory: dict[str, str], cells: int, cell_chars: int, blank: str) -> None:
        self.memory, self._cells, self._cell_chars, self._blank = memory, cells, cell_chars, blank

    @property
    def label(self) -> str:
        return self.memory[OP]

    def prompt(self) -> str:
        """Return the current instruction with all addresses replaced by what is there."""
        if self.label not in self.memory:
            raise _failed(f"there is no instruction {self.label[:SAID_CHARS]!r}")
        text = self.memory[self.label]
        for _level in range(MAX_NESTING):
            replaced = _ADDRESS.sub(lambda found: self._read(found[1]), text)
            if len(replaced) > MAX_PROMPT_CHARS:
                raise _failed(f"the prompt at {self.label!r} is over {MAX_PROMPT_CHARS} characters")
            if replaced == text:
                return text
            text = replaced
        raise _failed(f"addresses at {self.label!r} nest deeper than {MAX_NESTING}")

    def carry_out(self, found: Sequence[Assignment]) -> dict[str, str]:
        """Make the assignments in order; return what is in the cells they set."""
        changed: dict[str, str] = {}
        for each in found:
            name = self._read(each.name) if each.is_indirect else each.name
            value = each.value if each.operator == "=" else str(self._sum(name, each))
            if name not in self.memory and len(self.memory) >= self._cells:
                raise _failed(f"memory has {self._cells} cells; raise `cells`")
            if max(len(name), len(value)) > self._cell_chars:
                raise _failed(f"a cell holds {self._cell_chars} characters; raise `cell_chars`")
            self.memory[name] = changed[name] = value
        return changed

    def _read(self, name: str) -> str:
        if name in self.memory:
            return self.memory[name]
        if name.removeprefix("-").isdecimal():
            return self._blank
        raise _failed(f"nothing is stored under {name[:SAID_CHARS]!r}")

    def _sum(self, name: str, each: Assignment) -> int:
        try:
            one, other = int(self._read(name)), int(each.value)
        except ValueError as error:
            raise _failed(f"{name!r} holds no whole number to count with") from error
        return one + other if each.operator == "+=" else one - other


def _given(task: Task) -> dict[str, str]:
    try:
        memory = _STORED.validate_python(task.inputs.get("memory"), strict=True)
    except ValidationError as error:
        problem = "inputs.memory must map names to texts"
        raise InputError(step=STEP, problem=problem) from error
    if OP not in memory:
        raise InputError(step=STEP, problem=f"inputs.memory has no {OP!r}, the first label")
    return dict(memory)


def _failed(problem: str) -> ExpansionError:
    return ExpansionError(step=STEP, problem=problem)
