"""A flow that is Python text: read, checked, and run in the sandbox under the run's own budget.

Owns what such a text may look like, its run, and how much of something it may use. Knows no planner, no
search, and none of the functions of the host: these come in. The text is a model's, so it is hostile:
nothing of it is executed before it has been checked, and then only in the sandbox; what is wrong with it is
a `ProgramError` that names the line. Calls of the host that do not need each other run side by side.
"""

import ast
import builtins
import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from agentflow import Program, Unwritten, run_program, tool
from agentflow.errors import ExpansionError, InputError, ProgramError
from agentflow_planners.functions.text.layout import read_tree
from agentflow_planners.functions.text.scopes import bound_names, open_names
from agentflow_planners.shared.coding import refuse_replaced

Calls = Mapping[str, Callable[..., Awaitable[Any]]]

ENTRY = "forward"
MAX_SOURCE_CHARS = 20_000
COMPUTING_S = 5.0  # between two calls of the host
_MODULES = (
    "asyncio bisect collections copy dataclasses datetime decimal functools itertools json math "
    "random re typing"
)
_FORBIDDEN = (
    "breakpoint compile delattr eval exec exit getattr globals help input locals memoryview open quit "
    "setattr vars"
)
MODULES, FORBIDDEN = _MODULES.split(), frozenset(_FORBIDDEN.split())
_TOP = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
)


def checked(source: str, names: Collection[str]) -> str:
    """Return a program that may be run: it declares `forward(task)` and calls what there is.

    Args:
        source: Functions, imports and constants, `forward` among them.
        names: The functions of the host that it may call.

    Raises:
        ProgramError: It may not; the message names the line and says what to change.
    """
    if len(source) > MAX_SOURCE_CHARS:
        size = f"the program has {len(source)} characters; {MAX_SOURCE_CHARS} are allowed"
        raise refused(size, None)
    tree = read_tree(source)
    for statement in tree.body:
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not isinstance(statement, _TOP) and not text:
            problem = "only functions, imports and constants may stand outside of a function"
            raise refused(problem, statement.lineno, source)
    _check_entry(tree)
    for node in ast.walk(tree):
        problem = _problem(node)
        if problem:
            raise refused(problem, getattr(node, "lineno", None), source)
    refuse_replaced(source, names)
    _check_names(tree, names, source)
    return source


def _check_entry(tree: ast.Module) -> None:
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    entry = next((node for node in functions if node.name == ENTRY), None)
    if entry is None:
        raise refused(f"there is no function `def {ENTRY}(task)`", None)
    if len(entry.args.posonlyargs) + len(entry.args.args) != 1 or entry.args.kwonlyargs:
        raise refused(f"{ENTRY} takes one parameter: `def {ENTRY}(task)`", entry.lineno)


def _problem(node: ast.AST) -> str:
    """Return what is wrong with one node in itself, else nothing."""
    match node:
        case ast.Import(names=aliases):
            modules = [alias.name for alias in aliases]
        case ast.ImportFrom(module=module):
            modules = [module or "."]
        case ast.Name(id=name) | ast.Attribute(attr=name) if name.startswith("__"):
            return f"names like {name} are not allowed"
        case ast.Name(id=name) if name in FORBIDDEN:
            return f"{name} is not there"
        case _:
            return ""
    wrong = [module for module in modules if module not in MODULES]
    return f"{wrong[0]} is not there; only {', '.join(MODULES)} are" if wrong else ""


def _check_names(tree: ast.Module, names: Collection[str], source: str) -> None:
    there = set(names).union(dir(builtins), *map(bound_names, tree.body))
    unknown = open_names(tree) - there
    places = [
        (node.lineno, node.col_offset, node.id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in unknown
    ]
    if places:
        line, _column, name = min(places)
        listed = ", ".join(sorted(names))
        raise refused(f"{name} is not defined; the functions there are: {listed}", line, source)


def refused(message: str, line: int | None, source: str = "") -> ProgramError:
    """Return the error of a program that may not run, or misuses a function of the host."""
    lines = source.split("\n")
    shown = f": `{lines[line - 1].strip()}`" if line and line <= len(lines) and source else ""
    report = f"{message} in line {line}{shown}" if line else message
    return ProgramError(phase="run", name="Rule", message=message, line=line, report=report)


async def run_coded(
    source: str,
    task: Mapping[str, Any],
    calls: Calls,
    *,
    most: int,
    tools: tuple[str, ...] = (),
    name: str = ENTRY,
) -> Any:
    """Check a program, run `forward(task)` in the sandbox and return its value.

    Args:
        source: Not checked yet.
        task: What `forward` gets.
        calls: The functions of the host, by the name that the program calls them by.
        most: How many calls of these and of tools it may make.
        tools: The run's tools it may call.
        name: What the step is called.

    Raises:
        ProgramError: It may not run, fails, misuses a function, or goes past its limits.
        SandboxUnavailableError: Nothing can confine it on this machine.
        AgentflowError: What a function of the host raised and the program did not catch.
    """
    checked(source, (*calls, *tools))

    async def answer(call: Unwritten) -> Any:
        function = calls.get(call.name)
        if function is None:
            raise refused(f"there is no function {call.name}", call.line_number, source)
        try:
            inspect.signature(function).bind(*call.args, **call.kwargs)
        except TypeError as error:
            raise refused(f"{call.name}: {error}", call.line_number, source) from error
        try:
            return await function(*call.args, **call.kwargs)
        except InputError as error:
            raise refused(str(error), call.line_number, source) from error

    limits = {"calls": most, "feed_s": COMPUTING_S}
    code = f"{source.rstrip()}\nreturn {ENTRY}(task)"
    given = {"code": code, "inputs": {"task": task}, "tools": tools, "limits": limits}
    try:
        return await run_program(Program.model_validate(given), answer, name=name)
    except InputError as error:  # a tool's
        raise refused(str(error), None) from error


class Allowance:
    """How much of one thing a program may still use.

    Whether a request is granted is a step of its own, so a resumed or replayed run grants what the
    run granted, whichever of two calls side by side came first.
    """

    def __init__(self, what: str, limit: int) -> None:
        self._what, self._limit, self._left = what, limit, limit

    async def take(self, count: int = 1) -> None:
        """Use up `count`.

        Raises:
            ExpansionError: There is not so much left; nothing is used up.
        """
        decided = list[bool]()

        async def grant(count: int) -> bool:
            """Decide on one request."""
            decided.append(count <= self._left)
            self._left -= count if decided[0] else 0
            return decided[0]

        granted = await tool(name=f"grant {self._what}")(grant)(count)
        if not granted:
            problem = f"no more than {self._limit} {self._what} are allowed"
            raise ExpansionError(step=self._what, problem=problem)
        self._left -= 0 if decided else count
