"""The writing and running of one function for one call of it.

Owns the rules that a body must keep to, the stages (split on fields, free, whole) and the answers to the
calls that a running body makes. What is written and when it is tried again is up to `recode.py`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from agentflow import (
    MisfitError,
    Placeholder,
    Program,
    SchemaShape,
    Tool,
    Unwritten,
    default_model,
    generate,
    levels_left,
    placeholders,
    run_program,
    tools_in_reach,
)
from agentflow.data import to_json
from agentflow.errors import ExpansionError, ProgramError
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.recoding.consensus import Drawing, agreed
from agentflow_planners.recoding.prompts import (
    can_split,
    grammar,
    mentioned,
    report_of,
    with_failure,
    write_prompt,
)
from agentflow_planners.recoding.replies import (
    assigned_at,
    body_of,
    replaced_parameter,
    returns_nothing,
)
from agentflow_planners.recoding.skills import CallSeen, SkillExample
from agentflow_planners.recoding.table import TABLE
from agentflow_planners.recoding.units import Failure, Job, Stage, Unit, unit_of
from agentflow_planners.shared.wording import tool_lines

Call = Callable[[Unit, int], Awaitable[Any]]

MAX_SPLITS = 3
TEMPERATURES = (0.0, 0.0, 0.3, 0.6, 0.8)  # of the first version and of its repairs
MAX_TOKENS = 1024
MAX_TOKENS_LOCAL = 300


class Expansion:
    """One call of an unwritten function.

    Args:
        unit: The call.
        job: What holds all over the tree.
        level: How many functions nest above.
        call: Answers a call of another function, at its level.
    """

    def __init__(self, unit: Unit, job: Job, level: int, call: Call) -> None:
        self._unit, self._job, self._level, self._call = unit, job, level, call
        self._locks: dict[str, anyio.Lock] = {}
        self._answers: dict[bytes, Any] = {}
        self._effects: list[str] = []
        self._seen: list[CallSeen] = []
        tools = tools_in_reach()
        self._tools: dict[str, Any] = {name: tools[name] for name in job.tools}
        self.is_widened = False

    def widen(self) -> None:
        """Give the function what its caller has and held back: that may be what it lacks."""
        unit = self._unit
        if unit.held_back:
            arguments = {**unit.arguments, **unit.held_back}
            self._unit = unit.model_copy(update={"arguments": arguments, "held_back": {}})
            self.is_widened = True

    async def write(self, failures: list[Failure]) -> FunctionNode:
        """Return the function with a new body, checked against the rules of its stage.

        Raises:
            ProgramError: It is no Python, or breaks a rule.
        """
        is_local = (await default_model()).is_local
        stage = self._stage(len(failures), is_local=is_local)
        if not failures:
            recalled = await self._recalled(stage)
            if recalled is not None:
                return recalled
        prompt = write_prompt(
            self._unit,
            goal=self._job.goal,
            stage=stage,
            tools=tool_lines(self._tools.values()),
            local=is_local,
        )
        if stage == "whole" and self._job.verify == "consensus" and not failures:
            read = self._read_pure
            drawing = Drawing(prompt=prompt, options=self._options(stage, 0, is_local=is_local))
            found = await agreed(self._unit, drawing, read, samples=self._job.samples)
            if found is not None:
                return found
        if failures:
            prompt = with_failure(prompt, failures[-1], len(failures))
        reply = await generate(prompt, **self._options(stage, len(failures), is_local=is_local))
        return self._read(reply.text, stage)

    async def run(self, written: FunctionNode) -> Any:
        """Run a body with the arguments at hand; return its value if it fits the wanted result.

        Raises:
            ProgramError: The body failed.
            MisfitError: It returned something else.
        """
        self._seen = []
        code = written.body or ""
        ordered = tuple(name for name in self._job.tools if not _is_free(self._tools[name]))
        program = Program(code=code, inputs=self._unit.arguments, tools=ordered)
        value = await run_program(
            program, self._resolve, name=f"{self._unit.name} program", effects=self._effects
        )
        if self._unit.result:
            return SchemaShape(self._unit.result).check(value)
        is_missing = self._level == 0 or (self._unit.is_used and returns_nothing(code))
        if value is None and is_missing:
            raise MisfitError(f"{self._unit.name} returns nothing; end with a return")
        return value

    def example(self, value: Any) -> SkillExample | None:
        """Return what the last run has shown; None when calls with effects were part of it."""
        if self._effects or not TABLE.get().remembers:
            return None
        unit = self._unit
        return SkillExample(arguments=unit.arguments, value=value, calls=tuple(self._seen))

    def failed(self, code: str, error: Exception) -> Failure:
        """Return the failure of a version, as the model is told of it."""
        problem = error.report if isinstance(error, ProgramError) else str(error)
        return Failure(code=code, report=report_of(problem, self._effects))

    def _stage(self, failures: int, *, is_local: bool) -> Stage:
        if self._level >= self._job.levels or levels_left() == 0:
            return "whole"
        if can_split(self._unit):
            return "split" if failures < MAX_SPLITS else "whole"
        # Below a split on fields a function has one thing to do, and a small model is asked to do it.
        return "whole" if self._unit.is_field and is_local else "free"

    async def _recalled(self, stage: Stage) -> FunctionNode | None:
        """Return the function as a skill writes it, where nothing is against it here."""
        body = await TABLE.get().recall(self._unit)
        if body is None:
            return None
        is_whole = not self._unwritten(body)
        return self._unit.node.written(body) if stage != "whole" or is_whole else None

    def _read(self, reply: str, stage: Stage) -> FunctionNode:
        code = body_of(reply, self._unit.name, tuple(self._unit.arguments))
        written = self._unit.node.written(code)
        self._check(written.body or "", stage)
        return written

    def _read_pure(self, reply: str) -> FunctionNode:
        """Return a whole function that calls no tool: what may be tried on made-up arguments."""
        written = self._read(reply, "whole")
        called = placeholders(written.body or "", tuple(self._unit.arguments))
        tools = sorted({site.name for site in called} & set(self._job.tools))
        if tools:
            raise ExpansionError(step=written.name, problem=f"it calls the tool {tools[0]}")
        return written

    async def _resolve(self, call: Unwritten) -> Any:
        """Answer a call of a tool without effects, or of an unwritten function."""
        tool = self._tools.get(call.name)
        if tool is not None:
            value = await tool.call(call.args, call.kwargs)
        else:
            value = await self._answered(unit_of(call, self._unit, self._job.tools))
        if TABLE.get().remembers:
            seen = CallSeen(name=call.name, arguments=call.arguments(), value=value)
            self._seen.append(seen)
        return value

    async def _answered(self, unit: Unit) -> Any:
        """Return the value of a call; one that was answered before is not asked again."""
        asked = to_json([unit.name, list(unit.arguments.items())])
        if asked in self._answers:
            return self._answers[asked]
        level = self._level + (unit.name != self._unit.name)
        value = None
        # The first call writes the body; the others of that function wait for it, then run side by side.
        async with self._locks.setdefault(unit.node.key, anyio.Lock()):
            is_first = unit.self_calls == 0 and not TABLE.get().holds(unit)
            if is_first:
                value = await self._call(unit, level)
        if not is_first:
            value = await self._call(unit, level)
        self._answers[asked] = value
        return value

    def _check(self, code: str, stage: Stage) -> None:
        problem = self._rule_broken(code, stage)
        if problem:
            raise ProgramError(phase="run", name="Rule", message=problem, line=None, report=problem)

    def _rule_broken(self, code: str, stage: Stage) -> str:
        """Return which rule a body breaks; empty for none."""
        invented = replaced_parameter(code, tuple(self._unit.arguments))
        if invented:
            return f"the parameter {invented} must be used, not replaced by invented values"
        unwritten = self._unwritten(code)
        if stage == "whole" and unwritten:
            tools = f" and the functions {', '.join(self._job.tools)}" if self._job.tools else ""
            return f"`{unwritten[0]}` does not exist; do the work in plain Python{tools}"
        problem = self._split_problem(code) if stage == "split" else ""
        width = max(self._job.width, len(self._unit.fields))
        if not problem and len(unwritten) > width:
            problem = (
                f"it calls {len(unwritten)} new functions, at most {width} are allowed; use loops"
            )
        return problem

    def _unwritten(self, code: str) -> list[str]:
        sites = self._sites(code)
        return sorted({site.name for site in sites} - {self._unit.name})

    def _sites(self, code: str) -> tuple[Placeholder, ...]:
        return placeholders(code, [*self._job.tools, *self._unit.arguments])

    def _split_problem(self, code: str) -> str:
        """Return what is wrong with a split: too little is left to others, or they lack something."""
        sites = self._sites(code)
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


def _is_free(tool: Any) -> bool:
    """Return whether a tool may be called in any order: then its calls are seen on their way."""
    return type(tool) is Tool and not tool.effect
