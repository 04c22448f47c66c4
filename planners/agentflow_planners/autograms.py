"""Hold a dialogue that is a program: it pauses for the user's words and goes on where it stood.

After Krause, Chen and Kahembwe, AutoGRAMS (the authors' later form of it, where a chatbot is Python).
The program is data: Python text in the input or option `program`, run in the sandbox. It may call

    reply(instruction)                   the model says what the instruction asks for, having the dialogue
                                         in sight; returns the user's next words, "" when they have left
    reply_exact(text)                    the same with the bot's words as they stand
    thought(instruction)                 what the model says, unheard by the user
    yes_or_no(question)                  a bool
    multiple_choice(question, choices)   one of the choices
    generate_list(instruction, most)     a list of texts
    goto(name, ...)                      `return goto("farewell", name)` leaves this function, and all that
                                         called it, for another of the program, with these arguments

and the task's tools. Its value ends the dialogue. The task's other inputs are variables of it.

With a person, a reply is a durable `ask`: when nobody is there the run pauses and the process may end;
`agentflow answer RUN "words"` and `agentflow resume RUN` go on. For examples and evaluation the input
`turns` gives the user's words in advance, one text a reply; after the last one the user has left.

What differs, and why:
- no stack is pickled: the journal answers the calls that were made, so the program comes to where it
  stood, with its locals. A record is data, so loading it can execute nothing;
- a program that changed while it paused is not grafted onto the old stack: a fork does that openly;
- calls go one after another, as the program would make them, whatever the sandbox could overlap;
- a jump carries what it is given, and nothing else: locals end with their function;
- no `execute_code`: the whole program is in the sandbox already.

Source: Krause, Chen and Kahembwe, AutoGRAMS: Autonomous Graphical Agent Modeling Software,
  arXiv:2407.10049.
Cost: tens of calls: one a reply, thought, question and list.
Needs: a sandbox, a person, a program.
Published: none that were checked.
"""

import ast
from typing import Any

from agentflow import (
    Message,
    Program,
    Result,
    Task,
    Unwritten,
    ask,
    flow,
    generate,
    parse_program,
    run_program,
)
from agentflow.data import Data
from agentflow.errors import ExpansionError, InputError
from agentflow_planners.shared.acting import tools_of
from agentflow_planners.shared.delegation import Unrecorded
from agentflow_planners.shared.spoken import spoken
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import BRIEF_CHARS, cut, statement

STEP = "autograms"
GIVEN = ("program", "turns")
FUNCTIONS = ("reply", "reply_exact", "thought", "yes_or_no", "multiple_choice", "generate_list")
MAX_SAID_CHARS = 8_000
MAX_TURNS_SHOWN = 30

SYSTEM = """\
You are the voice of a program that talks with a user. Each instruction comes from the program, and the \
user does not see it. Do what the latest one says, in your own words, briefly, and nothing else."""
SAY = "Instruction: {instruction}\nWrite only what is said to the user."
THINK = "Instruction: {instruction}\nThe user will not see what you write."


class Turn(Frozen):
    """What the bot said, and what the user said to that."""

    bot: str
    user: str


class Stretch(Frozen):
    """A stretch of a dialogue, from a jump to the next: the program's value, and all turns so far."""

    value: Data
    turns: tuple[Turn, ...]


@flow
async def autograms(
    task: Task, *, program: str = "", turns: Count = 100, jumps: Count = 100
) -> Result:
    """Run the dialogue to the program's end; the answer has its `value` and the `turns`.

    Args:
        task: Its goal and context tell the model who it is; its input `program` is the dialogue,
            unless the option is.
        program: The dialogue.
        turns: How often the bot may speak.
        jumps: How often the program may jump.

    Raises:
        AskError: Nobody can ever answer; otherwise the run pauses.
        ExpansionError: It goes on after the user has left, past a bound, or to what is not there.
        InputError: There is no program, or the given turns are no texts.
        ModelError: A call failed for good.
        ProgramError: The program does not parse, fails, or goes past the sandbox's limits.
        SandboxUnavailableError: Nothing can confine it on this machine.
    """
    code = source = program or str(task.inputs.get("program", ""))
    if not source.strip():
        raise InputError(step=STEP, problem="give the dialogue as the input `program`")
    inputs = {name: value for name, value in task.inputs.items() if name not in GIVEN}
    given: Any = task.inputs.get("turns")
    name, stretch = "start", Stretch(value=None, turns=())
    for _jump in range(jumps + 1):
        part = Program(code=code, inputs=inputs, parallel=False)
        stretch = await talk.named(name)(task, part, stretch.turns, turns, given)
        match stretch.value:
            case {"goto": str(name), "goto_args": args, "goto_kwargs": kwargs}:
                code = _entered(source, name)
                inputs |= {"goto_args": args, "goto_kwargs": kwargs}
            case _:
                return Result(output=stretch.model_dump(mode="json"))
    raise ExpansionError(step=STEP, problem=f"more than {jumps} jumps; raise `jumps`")


@flow
async def talk(
    task: Task, program: Program, said: tuple[Turn, ...], most: int, given: list[str] | None
) -> Stretch:
    """Run the program until it ends or jumps; `given` are the user's words in advance."""
    dialogue = _Dialogue(task, said, most, given)
    value = await run_program(program, dialogue.answer)
    return Stretch(value=value, turns=tuple(dialogue.turns))


def _entered(source: str, name: str) -> str:
    """Return the program's functions, and a call of one of them.

    Raises:
        ExpansionError: There is no such function.
    """
    kept = ast.FunctionDef | ast.Import | ast.ImportFrom
    body = [node for node in parse_program(source).body if isinstance(node, kept)]
    if name not in [node.name for node in body if isinstance(node, ast.FunctionDef)]:
        raise ExpansionError(step=STEP, problem=f"there is no function {name!r} to go to")
    defined = ast.unparse(ast.Module(body=list[ast.stmt](body), type_ignores=[]))
    return f"{defined}\nreturn {name}(*goto_args, **goto_kwargs)"


class _Dialogue:
    """What a program's calls do, one at a time."""

    def __init__(
        self, task: Task, said: tuple[Turn, ...], most: int, given: list[str] | None
    ) -> None:
        self._task, self._most, self._given, self.turns = task, most, given, list(said)
        own = {name: Unrecorded(getattr(self, name)) for name in FUNCTIONS}
        self._functions = tools_of(task) | own

    async def answer(self, call: Unwritten) -> Any:
        """Answer a call of the program.

        Raises:
            ExpansionError: There is no such function, or a bound is reached.
            InputError: Its arguments do not fit.
        """
        if call.name == "goto" and call.args:
            name, *args = call.args
            return {"goto": name, "goto_args": args, "goto_kwargs": call.kwargs}
        if call.name not in self._functions:
            there = ", ".join([*self._functions, "goto"])
            problem = f"there is no function {call.name}; there are {there}"
            raise ExpansionError(step=STEP, problem=problem)
        return await self._functions[call.name].call(call.args, call.kwargs)

    async def reply(self, instruction: str) -> str:
        """Say what the instruction asks for; return the user's next words."""
        self._check_may_speak()  # before the model is paid for it
        return await self.reply_exact(await self._said(SAY.format(instruction=instruction)))

    async def reply_exact(self, text: str) -> str:
        """Say this; return the user's next words."""
        self._check_may_speak()
        number = len(self.turns)
        if self._given is None:
            words: str = await ask(text)
        else:
            words = self._given[number] if number < len(self._given) else ""
        self.turns.append(Turn(bot=text, user=cut(words, MAX_SAID_CHARS)))
        return self.turns[-1].user

    async def thought(self, instruction: str) -> str:
        """Return what the model says, unheard by the user."""
        return await self._said(THINK.format(instruction=instruction))

    async def yes_or_no(self, question: str) -> bool:
        """Return the model's decision."""
        return await self.multiple_choice(question, ["yes", "no"]) == "yes"

    async def multiple_choice(self, question: str, choices: list[str]) -> str:
        """Return the model's choice."""
        asked = f"{question}\nChoose one of: {'; '.join(choices)}"
        form = {"type": "string", "enum": choices}
        return str(await generate(self._conversation(asked), output=form))

    async def generate_list(self, instruction: str, most: int = 10) -> list[str]:
        """Return a list of texts."""
        asked = f"{instruction}\nGive at most {most} items."
        item = {"type": "string", "maxLength": BRIEF_CHARS}
        form = {"type": "array", "items": item, "maxItems": most}
        return list(await generate(self._conversation(asked), output=form))

    def _check_may_speak(self) -> None:
        if self.turns and not self.turns[-1].user:
            raise ExpansionError(step=STEP, problem='the user has left: end on words that are ""')
        if len(self.turns) >= self._most:
            raise ExpansionError(step=STEP, problem=f"more than {self._most} turns; raise `turns`")

    async def _said(self, asked: str) -> str:
        return cut(await spoken(self._conversation(asked), step=STEP), MAX_SAID_CHARS)

    def _conversation(self, asked: str) -> list[Message]:
        told = statement(self._task.model_copy(update={"inputs": {}}))
        said = [Message(role="system", text=SYSTEM), Message(role="user", text=told)]
        for turn in self.turns[-MAX_TURNS_SHOWN:]:
            said.append(Message(role="assistant", text=turn.bot))
            said.append(Message(role="user", text=turn.user or "(has left)"))
        return [*said, Message(role="user", text=asked)]
