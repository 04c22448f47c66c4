"""Play a game as a teacher does, and write down what a student would have been asked, in each of three forms.

Owns the account of one episode. A teacher's programs are ours, so they run here, without a sandbox; a call of a function
that is not written is answered by the teacher's program for it. All three forms are the same commands in the same order.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

from agentflow_planners.students.prompts import DONE, of_call

from agentflow import placeholders
from agentflow_evals.traces.textworld_express.teachers import Teacher

Turn = tuple[str, str]  # what is asked, what is replied
Act = Callable[[str], str]


@dataclass(kw_only=True)
class Episode:
    """What was asked and replied: `calls` by function, `commands` one by one, `programs` turn by turn."""

    calls: list[Turn] = field(default_factory=list)
    commands: list[Turn] = field(default_factory=list)
    programs: list[Turn] = field(default_factory=list)


class Over(Exception):  # noqa: N818 - no error
    """The game is over before the plan is."""


def play(teacher: Teacher, name: str, arguments: dict[str, str], opening: str, act: Act) -> Episode:
    """Return the account of an episode that a teacher has played to its end.

    Args:
        teacher: Who writes the programs.
        name: Of the first function.
        arguments: Of its call.
        opening: What who acts by turns is told first.
        act: Does a command and returns what is heard; raises `Over` once the game is over.
    """
    player = _Player(teacher, act, opening)
    with suppress(Over):
        player.call(name, arguments)
    return player.finished()


class _Player:
    def __init__(self, teacher: Teacher, act: Act, opening: str) -> None:
        self._teacher, self._act = teacher, act
        self._episode = Episode()
        self._heard = self._told = opening
        self._pending: list[str] = []  # lines of a program that nobody has looked at yet

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Return the value of a function that the teacher writes for this call."""
        code = self._teacher[name](**arguments)
        self._episode.calls.append((of_call(name, arguments), code))
        sites = placeholders(code, ["world_act", *arguments])
        parameters = {site.name: site.parameters for site in sites}
        # Who plans nothing further writes the same program in the other forms.
        is_whole = not sites and len(self._episode.calls) == 1
        scope: dict[str, Any] = {"world_act": self._heard_only if is_whole else self._acted}
        for site in sites:
            scope[site.name] = self._answering(site.name, parameters[site.name])
        if is_whole:
            self._pending += code.splitlines()[:-1]
        source = f"def body({', '.join(arguments)}):\n{indent(code, '    ')}\n"
        exec(source, scope)  # noqa: S102 - a teacher's program, written by us
        return scope["body"](**arguments)

    def finished(self) -> Episode:
        """Return the account, its last turns included."""
        self._episode.commands.append((self._heard, DONE))
        self._episode.programs.append((self._told, "\n".join([*self._pending, 'return "done"'])))
        return self._episode

    def _answering(self, name: str, parameters: tuple[str, ...]) -> Callable[..., Any]:
        def answer(*values: Any) -> Any:
            self._look(name, values)
            return self.call(name, dict(zip(parameters, values, strict=True)))

        return answer

    def _look(self, name: str, values: tuple[Any, ...]) -> None:
        """End a turn: who writes programs one after the other looks where the other form calls a function."""
        if name == "pick":
            self._pending.append(f"print({self._computed()})")
            output = str(values[-1])
        elif not self._pending:
            return
        else:
            last = self._pending[-1]
            self._pending[-1] = f"print({last})"
            output = self._heard
        self._episode.programs.append((self._told, "\n".join(self._pending)))
        self._pending, self._told = [], output

    def _computed(self) -> str:
        code = self._episode.calls[-1][1]
        return code.partition("number = ")[2].partition("\n")[0]

    def _acted(self, command: str) -> str:
        self._pending.append(f'world_act("{command}")')
        return self._heard_only(command)

    def _heard_only(self, command: str) -> str:
        self._episode.commands.append((self._heard, f'world_act("{command}")'))
        self._heard = self._act(command)
        return self._heard
