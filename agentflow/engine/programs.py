"""Carry out plans and programs.

Owns the meeting of generated code and the run: a program is one `code` step, every call it makes
of a tool or of an unwritten function is a step below it, and calls that do not need each other run
side by side unless the program says no or a tool in reach has effects.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from agentflow.data import canonical, encode, from_json, to_json
from agentflow.engine.branches import run_dag
from agentflow.engine.lineage import Branches
from agentflow.engine.run import ActiveRun, Step
from agentflow.engine.steps import StepCall, current_frame, perform
from agentflow.expansion import Plan, Program, SubTask, Unwritten
from agentflow.journal.events import Expanded
from agentflow.sandbox.names import placeholders
from agentflow.sandbox.protocol import Call

Resolve = Callable[[Unwritten], Awaitable[Any]]
Solve = Callable[[SubTask, dict[str, Any]], Awaitable[Any]]


async def run_plan(plan: Plan, solve: Solve) -> Any:
    """Solve every sub-task as soon as what it needs is there; return the result of the answer.

    Args:
        plan: Checked on construction, so it is a DAG.
        solve: Called with a sub-task and the results it needs, by sub-task id.
    """
    frame = current_frame("run_plan")
    content = plan.model_dump_json().encode()
    frame.run.emit(Expanded, step=frame.step.number, kind="plan", content=content)
    subtasks = {subtask.id: subtask for subtask in plan.subtasks}
    results = await run_dag(
        {name: subtask.needs for name, subtask in subtasks.items()},
        lambda name, needed: solve(subtasks[name], needed),
    )
    return results[plan.answer_id]


async def run_program(
    program: Program, resolve: Resolve, *, name: str = "program", effects: list[str] | None = None
) -> Any:
    """Run generated code in the sandbox and return its value.

    Args:
        program: The code, its inputs and the tools it may call.
        resolve: Answers every call of a function that is neither defined nor a tool.
        name: What the step is called.
        effects: Gets a line for each call of a tool with effects, even when the program fails later.

    Raises:
        ProgramError: The code does not parse, fails, or goes past its limits.
        SandboxUnavailableError: Nothing can confine it on this machine.
        AgentflowError: What a tool or `resolve` raised and the code did not catch.
    """
    frame = current_frame(name)
    run = frame.run
    encoded = {"code": program.code, "inputs": encode(program.inputs), "tools": list(program.tools)}
    if (
        not program.parallel
    ):  # said only then, so that programs recorded before it was there are found
        encoded["parallel"] = False
    run.emit(Expanded, step=frame.step.number, kind="program", content=program.code.encode())
    call: StepCall[Any] = StepCall(
        name=name, kind="code", input=canonical(encoded), write=to_json, read=from_json
    )

    async def body(step: Step) -> Any:
        calls = _Calls(run, program, resolve, [] if effects is None else effects)
        sandbox = await run.services.sandbox()
        finished = await sandbox.run(
            program.code,
            program.inputs,
            call=calls.answer,
            parallel=program.parallel and not calls.has_effects,
            limits=program.limits,
        )
        step.details["calls"] = finished.calls
        if finished.stdout:
            step.details["stdout"] = finished.stdout
        return finished.value

    return await perform(call, body)


class _Calls:
    """The host's side of one program: each call in its own branch, linked to what fed it."""

    def __init__(
        self, run: ActiveRun, program: Program, resolve: Resolve, effects: list[str]
    ) -> None:
        self._program, self._resolve, self._effects = program, resolve, effects
        self._tools = {name: run.services.tools[name] for name in program.tools}
        self._branches = Branches()
        self._lines = program.code.split("\n")  # as Python counts lines
        sites = placeholders(program.code, program.tools)
        self._parameters = {(site.name, site.line): site.parameters for site in sites}

    @property
    def has_effects(self) -> bool:
        return any(tool.effect for tool in self._tools.values())

    async def answer(self, call: Call) -> Any:
        fed_by = tuple(str(number) for number in call.waits_for)
        with self._branches.enter(str(call.number), fed_by=fed_by):
            tool = self._tools.get(call.name)
            if tool is None:
                return await self._resolve(self._unwritten(call))
            value = await tool.call(call.args, call.kwargs)
            if tool.effect:
                self._effects.append(f"{self._lines[call.line - 1].strip()} gave {value!r}")
            return value

    def _unwritten(self, call: Call) -> Unwritten:
        names = self._parameters.get((call.name, call.line), ())
        fallback = [f"argument_{index + 1}" for index in range(len(call.args))]
        return Unwritten(
            name=call.name,
            args=call.args,
            kwargs=call.kwargs,
            number=call.number,
            line=self._lines[call.line - 1].strip() if call.line <= len(self._lines) else "",
            line_number=call.line,
            program=self._program.code,
            parameters=names if len(names) == len(call.args) else tuple(fallback),
        )
