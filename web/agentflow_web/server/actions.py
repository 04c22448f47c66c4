"""What the page can do: answer, go on, fork, annotate.

Owns what each needs to be told and what it gives back. Answers and annotations are written here; whatever
runs a flow is a command in a process of its own, so a flow never runs inside the viewer. Every method
gives the command line that does the same.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from anyio import CapacityLimiter, to_thread

from agentflow.errors import RunBusyError, UnknownRunError
from agentflow.journal.journal import Journal, RunHead
from agentflow.runner import new_run_id
from agentflow_web.server.commands import Command, Commands
from agentflow_web.server.parameters import checked_run
from agentflow_web.server.replies import bad

CHANGES: Mapping[str, type] = {"input": dict, "prompt": str, "model": str, "output": object}


@dataclass(frozen=True, kw_only=True)
class Actions:
    """The actions on one journal; `dry_runs` bounds how many are worked out at once."""

    commands: Commands
    dry_runs: CapacityLimiter

    def answer(self, run: str, step: int, answer: Any) -> dict[str, Any]:
        """Answer a question of a run."""
        with self._journal() as journal:
            name = exact(journal, run)
            journal.answer(name, answer, step=step)
            resume_needed = journal.head(name).status != "running"
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        command = Command("answer", (name, text), ("--step", str(step)))
        written = self.commands.written(command)
        return {"ok": True, "step": step, "command": written, "resume_needed": resume_needed}

    async def resume(self, run: str) -> dict[str, Any]:
        """Go on with a run, in a process of its own."""
        before = await to_thread.run_sync(self._resumable, run)
        name, command = before.id, Command("resume", (before.id,))
        await self.commands.start(command, name, partial(self._has_changed, before))
        return {"run": name, "command": self.commands.written(command), "started": True}

    async def plan_fork(self, run: str, at: int, change: Mapping[str, Any]) -> dict[str, Any]:
        """Say what a fork would do."""
        command = await to_thread.run_sync(self._fork_command, run, at, change)
        work = partial(self.commands.run, command, "--dry-run", "--json")
        plan = json.loads(await to_thread.run_sync(work, limiter=self.dry_runs))
        names = plan["effect_names"]
        return {
            "command": self.commands.written(command),
            "reused": len(plan["reused"]),
            "rerun": plan["rerun"],
            "open": plan["open"],
            "effects": [
                {"step": step, "name": name}
                for step, name in zip(plan["effects"], names, strict=True)
            ],
            "cost_usd": plan["cost_usd"],
            "failure": plan["failure"],
        }

    async def fork(self, run: str, at: int, change: Mapping[str, Any]) -> dict[str, Any]:
        """Start a fork, in a process of its own."""
        command = await to_thread.run_sync(self._fork_command, run, at, change)
        new = new_run_id()
        naming = Command(command.name, command.arguments, (*command.options, "--as", new))
        await self.commands.start(naming, new, partial(self._is_there, new))
        return {"run": new, "command": self.commands.written(command)}

    def annotate(self, run: str, step: int | None, text: str, tag: str) -> dict[str, Any]:
        """Write a remark on a run or a step."""
        with self._journal() as journal:
            name = exact(journal, run)
            made = journal.annotate(name, text, step=step, tag=tag)
        options = [] if step is None else ["--step", str(step)]
        options += ["--tag", tag] if tag else []
        written = self.commands.written(Command("note", (name, text), options))
        return asdict(made) | {"command": written}

    def remove_annotation(self, run: str, note: int) -> dict[str, Any]:
        """Take a remark back."""
        with self._journal() as journal:
            name = exact(journal, run)
            journal.remove_annotation(name, note)
        written = self.commands.written(Command("note", (name,), ("--delete", str(note))))
        return {"ok": True, "command": written}

    def _journal(self) -> Journal:
        return Journal(self.commands.journal)

    def _resumable(self, run: str) -> RunHead:
        with self._journal() as journal:
            head = journal.head(exact(journal, run))
        if head.status == "running":
            store = self.commands.journal or "default"
            raise RunBusyError(store=store, problem=f"run {head.id} is going on already")
        return head

    def _fork_command(self, run: str, at: int, change: Mapping[str, Any]) -> Command:
        with self._journal() as journal:
            name = exact(journal, run)
        return Command("fork", (name,), ("--at", str(at), *self.commands.change_options(change)))

    def _has_changed(self, before: RunHead) -> bool:
        with self._journal() as journal:
            return journal.head(before.id) != before

    def _is_there(self, run: str) -> bool:
        with self._journal() as journal:
            try:
                return bool(journal.events(run))
            except UnknownRunError:  # not yet
                return False


def exact(journal: Journal, run: str) -> str:
    """Return the id of a run that was given in full; an action never guesses which one is meant.

    Raises:
        UnknownRunError: There is none of that id.
    """
    name = journal.find(checked_run(run))
    if name != run:
        raise UnknownRunError(store="journal", problem=f"no run {run}; its id has to be whole")
    return name


def checked_change(change: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the change of a fork if it is one."""
    for name, value in change.items():
        if name not in CHANGES:
            raise bad(f"change.{name}", f"there is no such change; one of {', '.join(CHANGES)}")
        if not isinstance(value, CHANGES[name]):
            word = "an object" if CHANGES[name] is dict else "text"
            raise bad(f"change.{name}", f"has to be {word}")
    return change
