"""Plans are code: a program calls functions nobody has written, and each is written when it is called.

Source: Yu et al., ReCode: Unify Plan and Action for Universal Granularity Control,
arXiv:2510.23564, Algorithm 1. Published figures (GPT-4o mini, average of ALFWorld, ScienceWorld and
WebShop): 60.8, against 47.4 for ReAct and 50.3 for AdaPlanner.

What differs from the authors' code, and why:
- a placeholder is found in the syntax tree and the running program pauses at its call, so loops,
  branches, comprehensions and keyword-only calls work and nothing is executed twice;
- a placeholder is a real function with its own scope, arguments and return value;
- calls that do not need each other run side by side;
- an error at run time goes back to the model with its traceback (the paper claims it, §3.3);
- at the last level the model is asked for a function that is whole, instead of ending the run;
- a function that the same program calls again keeps the body it got the first time.
"""

from contextvars import ContextVar
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict

from agentflow import Program, Result, Task, flow, generate, note, run_program
from agentflow.data import to_json
from agentflow.engine.notes import default_model, levels_left, tools_in_reach
from agentflow.engine.shapes import MisfitError, SchemaShape
from agentflow.errors import ExpansionError, InputError, OutputError, ProgramError, ToolError
from agentflow.expansion import Unwritten
from agentflow.sandbox.names import Placeholder, placeholders
from agentflow_planners.recode_prompts import (
    Failure,
    Stage,
    Unit,
    can_split,
    grammar,
    mentioned,
    with_failure,
    write_prompt,
)
from agentflow_planners.recode_replies import (
    assigned_at,
    body_of,
    comment_above,
    replaced_parameter,
)

REPAIRABLE = (ProgramError, ExpansionError, ToolError, InputError, OutputError, MisfitError)
CONTINUING_PROVIDERS = ("gguf",)  # these take a grammar and go on from a begun reply
MAX_SPLITS = 3
WIDEN_AFTER = 2
MAX_SELF_CALLS = 100
TEMPERATURES = (0.0, 0.0, 0.3, 0.6, 0.8)  # of the first version and of its repairs
MAX_TOKENS = 1024
MAX_TOKENS_LOCAL = 300


class Job(BaseModel):
    """What stays the same all over one tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: str
    tools: tuple[str, ...]
    repairs: int
    levels: int


@flow
async def recode(task: Task, *, repairs: int = 4, levels: int = 4) -> Result:
    """Solve a task by writing a program top down, each function when it is first called.

    Args:
        task: With an output schema of several fields, the first program calls one function a field.
        repairs: How often a function may be written again after it failed.
        levels: How deep functions may call unwritten ones; the tree's budget may allow less.

    Raises:
        ExpansionError: A function still fails after its repairs, and so do its callers'.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    goal = f"{task.goal}\n{task.context}" if task.context else task.goal
    job = Job(goal=goal.strip(), tools=task.tools, repairs=repairs, levels=levels)
    unit = Unit(name="solve", arguments=task.inputs, result=task.output_schema or {})
    token = _BODIES.set({})
    try:
        return Result(output=await _expand(unit, job, level=0))
    finally:
        _BODIES.reset(token)


@flow
async def write_and_run(unit: Unit, job: Job, level: int) -> Any:
    """Write one function and return its value for the arguments at hand."""
    return await _expand(unit, job, level)


# Bodies of functions by calling program and name, for the further calls of a function in one program.
# The dictionary belongs to one run of `recode`; a replay fills it in the same order.
_BODIES: ContextVar[dict[tuple[str, str], str]] = ContextVar("recode_bodies")


async def _expand(unit: Unit, job: Job, level: int) -> Any:
    """Return the value of `unit`: with the body it already has, else written, and repaired."""
    bodies, key = _BODIES.get(), (unit.origin, unit.name)
    unproven = (unit.origin, f"{unit.name} calling itself")
    expansion = _Expansion(unit, job, level)
    failures: list[Failure] = []
    code = bodies.get(unproven if unit.self_calls else key)
    for attempt in range(job.repairs + 1):
        try:
            if code is None:
                code = await expansion.write(failures)
            bodies[unproven] = code
            value = await expansion.run(code)
        except REPAIRABLE as error:
            bodies.pop(key, None)
            failures.append(expansion.failed(code or "", error))
            note(f"version {attempt + 1} of {unit.name} failed: {failures[-1].report}")
            code = None
            if len(failures) == WIDEN_AFTER:
                expansion.widen()
        else:
            if not expansion.is_widened:
                bodies[key] = code
            return value
    raise ExpansionError(
        step=unit.name,
        problem=f"none of {job.repairs + 1} versions worked; the last: {failures[-1].report}",
    )


class _Expansion:
    """The writing and running of one function for one call."""

    def __init__(self, unit: Unit, job: Job, level: int) -> None:
        self._unit, self._job, self._level = unit, job, level
        self._locks: dict[str, anyio.Lock] = {}
        self._answers: dict[bytes, Any] = {}
        self._effects: list[str] = []
        self.is_widened = False

    def widen(self) -> None:
        """Give the function what its caller has and held back: that may be what it lacks."""
        unit = self._unit
        if unit.held_back:
            arguments = {**unit.arguments, **unit.held_back}
            self._unit = unit.model_copy(update={"arguments": arguments, "held_back": {}})
            self.is_widened = True

    def _stage(self, failures: int, *, is_local: bool) -> Stage:
        budget = levels_left()
        if self._level >= self._job.levels or budget == 0:
            return "whole"
        if can_split(self._unit):
            return "split" if failures < MAX_SPLITS else "whole"
        # Below a split on fields a function has one thing to do, and a small model is asked to do it.
        return "whole" if self._unit.is_field and is_local else "free"

    async def write(self, failures: list[Failure]) -> str:
        """Return a new body from the model, checked against the rules of its stage.

        Raises:
            ProgramError: It is no Python.
            ExpansionError: It breaks a rule.
        """
        is_local = (await default_model()).provider in CONTINUING_PROVIDERS
        stage = self._stage(len(failures), is_local=is_local)
        prompt = write_prompt(
            self._unit, goal=self._job.goal, stage=stage, tools=self._tools(), local=is_local
        )
        if failures:
            prompt = with_failure(prompt, failures[-1], len(failures))
        reply = await generate(prompt, **self._options(stage, len(failures), is_local=is_local))
        code = body_of(reply.text, self._unit.name, tuple(self._unit.arguments))
        self._check(code, stage)
        return code

    async def run(self, code: str) -> Any:
        """Run a body with the arguments at hand; return its value if it fits the wanted result.

        Raises:
            ProgramError: The body failed.
            MisfitError: It returned something else.
        """
        program = Program(code=code, inputs=self._unit.arguments, tools=self._job.tools)
        value = await run_program(
            program, self._resolve, name=f"{self._unit.name} program", effects=self._effects
        )
        if self._unit.result:
            return SchemaShape(self._unit.result).check(value)
        if value is None and self._level == 0:
            raise MisfitError(f"{self._unit.name} returns nothing; end with a return")
        return value

    def failed(self, code: str, error: Exception) -> Failure:
        """Return the failure of a version, as the model is told of it."""
        report = error.report if isinstance(error, ProgramError) else str(error)
        if self._effects:
            happened = "; ".join(self._effects)
            report += (
                f"\nThese calls have happened and must not be repeated: {happened}. "
                "Write only what is left to do."
            )
        return Failure(code=code, report=report)

    async def _resolve(self, call: Unwritten) -> Any:
        """Answer a call of an unwritten function; one that was answered before is not asked again."""
        unit = self._unit_of(call)
        asked = to_json([unit.name, list(unit.arguments.items())])
        if asked in self._answers:
            return self._answers[asked]
        level = self._level + (unit.name != self._unit.name)
        expand = write_and_run.named(unit.name)
        value = None
        # The first call writes the body; the others of that name wait for it, then run side by side.
        async with self._locks.setdefault(unit.name, anyio.Lock()):
            is_first = unit.self_calls == 0 and (unit.origin, unit.name) not in _BODIES.get()
            if is_first:
                value = await expand(unit, self._job, level)
        if not is_first:
            value = await expand(unit, self._job, level)
        self._answers[asked] = value
        return value

    def _unit_of(self, call: Unwritten) -> Unit:
        own = self._unit
        if call.name == own.name:
            if call.arguments() == own.arguments or own.self_calls >= MAX_SELF_CALLS:
                raise ExpansionError(
                    step=own.name, problem="it calls itself without end; do the work"
                )
            return own.model_copy(
                update={
                    "arguments": dict(zip(own.arguments, call.args, strict=False)) | call.kwargs,
                    "self_calls": own.self_calls + 1,
                }
            )
        target = assigned_at(call.program, call.line_number)
        is_field = target in own.fields
        arguments = call.arguments()
        held_back = {name: value for name, value in own.arguments.items() if name not in arguments}
        return Unit(
            name=call.name,
            arguments=arguments,
            held_back=held_back if is_field else {},
            about=comment_above(call.program, call.line_number),
            result=own.fields[target] if target and is_field else {},
            origin=call.program,
            is_field=is_field,
        )

    def _check(self, code: str, stage: Stage) -> None:
        sites = placeholders(code, [*self._job.tools, *self._unit.arguments])
        unwritten = {site.name for site in sites} - {self._unit.name}
        problem = self._split_problem(code, sites) if stage == "split" else ""
        if stage == "whole" and unwritten:
            problem = f"`{sorted(unwritten)[0]}` does not exist; do the work in plain Python"
        invented = replaced_parameter(code, tuple(self._unit.arguments))
        if invented:
            problem = f"the parameter {invented} must be used, not replaced by invented values"
        if problem:
            raise ProgramError(phase="run", name="Rule", message=problem, line=None, report=problem)

    def _split_problem(self, code: str, sites: tuple[Placeholder, ...]) -> str:
        """Return what is wrong with a split: too little is left to others, or they lack something."""
        if len({site.name for site in sites}) < 2:
            return "call at least two different new helper functions and do no other work"
        scope = list(self._unit.arguments)
        for site in sites:
            field = assigned_at(code, site.line)
            for name in mentioned(self._unit.fields.get(field or ""), scope):
                if name not in (*site.parameters, *site.keywords):
                    return f"`{site.name}` must also be given `{name}`: the description of {field} names it"
            if field:
                scope.append(field)
        return ""

    def _tools(self) -> str:
        tools = tools_in_reach()
        found = [tools[name].spec for name in self._job.tools]
        return "\n".join(
            f"{spec.name}({', '.join(spec.parameters.get('properties', {}))}): {spec.description}"
            for spec in found
        )

    def _options(self, stage: Stage, failures: int, *, is_local: bool) -> dict[str, Any]:
        if not is_local:
            return {"max_tokens": MAX_TOKENS}
        return {
            "max_tokens": MAX_TOKENS_LOCAL,
            "temperature": TEMPERATURES[min(failures, len(TEMPERATURES) - 1)],
            "seed": failures,
            "stop": ("```",) if stage != "split" else (),
            "grammar": grammar(self._unit, stage),
        }
