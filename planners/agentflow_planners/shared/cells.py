"""A notebook for a model: cells of Python, one after another, each run as a program in the sandbox.

Owns what goes from one cell to the next: variables that are plain data, and the source of imports,
functions and classes. What a cell prints and the value of its last line are its outcome; `return` at
the top of a cell ends the notebook. Nothing runs in this process, and a replay gives the same cells.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from agentflow import Program, Unwritten, parse_program, placeholders, run_program
from agentflow.data import Data
from agentflow.errors import ExpansionError, ProgramError
from agentflow_planners.shared.coding import refuse_replaced
from agentflow_planners.shared.values import Frozen

_BEFORE = """\
import datetime as _dates
_printed = []
_value = None
def print(*values, sep=" ", end="\\n", file=None, flush=False):
    sep = " " if sep is None else sep
    _printed.append(sep.join([str(value) for value in values]) + ("\\n" if end is None else end))
def _is_plain(value):
    if isinstance(value, (list, tuple, set, frozenset)):
        return all([_is_plain(item) for item in value])
    if isinstance(value, dict):
        return all([_is_plain(key) and _is_plain(item) for key, item in value.items()])
    plain = (bool, int, float, complex, str, bytes, _dates.date, _dates.timedelta)
    return value is None or isinstance(value, plain)
"""
_KEEP = """\
try:
    _variables[{name!r}] = {name}
except NameError:
    pass
"""
_AFTER = """\
_kept = {name: value for name, value in _variables.items() if _is_plain(value)}
_lost = [name for name in _variables if name not in _kept]
_seen = _value if _is_plain(_value) else repr(_value)
return {"printed": "".join(_printed), "value": _seen, "kept": _kept, "lost": _lost}
"""
_LINE = re.compile(r"\b((?:in|called from) line )(\d+)(?=: `)")

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Import = ast.Import | ast.ImportFrom


class Cell(Frozen):
    """What became of a cell that ran to its end: what it printed, its last value, its variables.

    `lost` are variables that hold no plain data, so no later cell sees them.
    """

    printed: str
    value: Data
    kept: dict[str, Data]
    lost: tuple[str, ...]


class Returned(BaseModel):
    """What a cell returned: the end of the notebook."""

    value: Data


class Notebook:
    """The state between cells. `effects` has a line for each call of a tool with effects."""

    def __init__(self, inputs: Mapping[str, Any], tools: tuple[str, ...]) -> None:
        self._variables = dict(inputs)
        self._definitions: dict[str, str] = {}  # source by the name it defines
        self._tools = tools
        self.effects: list[str] = []

    async def run(self, code: str) -> Cell | Returned:
        """Run one cell.

        Raises:
            ProgramError: It does not parse, calls what does not exist, replaces a tool, fails, or goes
                past its limits; its variables are not kept.
            ToolError, InputError: A tool failed and the cell did not catch it.
        """
        refuse_replaced(code, self._tools)
        tree = parse_program(code)
        before = _BEFORE + "".join(f"{source}\n" for source in self._definitions.values())
        names = sorted(_assigned(tree) - {"_"})
        after = "".join(_KEEP.format(name=name) for name in names)
        kept = _with_value(code, tree)
        source = f"{before}{kept}\n_variables = {{}}\n{after}{_AFTER}"
        self._refuse_unknown(source)
        program = Program(code=source, inputs=self._variables, tools=self._tools)
        try:
            value = await run_program(program, _nobody, name="cell", effects=self.effects)
        except ProgramError as error:
            raise _as_written(error, before.count("\n"), dict(_changed(kept, code))) from error
        try:
            cell = Cell.model_validate(value)
        except ValidationError:
            return Returned(value=value)
        self._take(cell, _defined(code, tree))
        return cell

    def _take(self, cell: Cell, defined: dict[str, str]) -> None:
        """Keep what the cell leaves behind; the last meaning of a name counts."""
        self._definitions = {
            name: source for name, source in self._definitions.items() if name not in cell.kept
        } | defined
        gone = {*cell.lost, *defined}
        variables = self._variables | cell.kept
        self._variables = {name: value for name, value in variables.items() if name not in gone}

    def _refuse_unknown(self, source: str) -> None:
        unknown = [site.name for site in placeholders(source, [*self._tools, *self._variables])]
        if unknown:
            message = f"name '{unknown[0]}' is not defined"
            report = (
                f"NameError: {message}; there are the tools {', '.join(self._tools) or '(none)'}"
            )
            raise ProgramError(
                phase="run", name="NameError", message=message, line=None, report=report
            )


async def _nobody(call: Unwritten) -> Any:
    raise ExpansionError(step="cell", problem=f"there is no function {call.name}")


def _with_value(code: str, tree: ast.Module) -> str:
    """Return the code with the value of a last expression kept, as a notebook shows it."""
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or last.end_lineno is None:
        return code
    lines = code.split("\n")
    row, end_row = last.lineno - 1, last.end_lineno - 1
    end = _column(lines[end_row], last.end_col_offset or 0)
    lines[end_row] = f"{lines[end_row][:end]}){lines[end_row][end:]}"
    start = _column(lines[row], last.col_offset)
    lines[row] = f"{lines[row][:start]}_value = ({lines[row][start:]}"
    return "\n".join(lines)


def _column(line: str, offset: int) -> int:
    """Return the place in a line of what the parser counts in UTF-8 bytes."""
    return len(line.encode()[:offset].decode())


def _assigned(tree: ast.Module) -> set[str]:
    """Return the names of variables that the cell itself, not a function in it, may assign."""
    names: set[str] = set()
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, _Definition | _Import | ast.Lambda | ast.comprehension):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        pending.extend(ast.iter_child_nodes(node))
    return names


def _defined(code: str, tree: ast.Module) -> dict[str, str]:
    """Return the source of the imports, functions and classes at the top of a cell."""
    lines = code.split("\n")
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, _Import):
            found[ast.unparse(node)] = ast.unparse(node)
        elif isinstance(node, _Definition):
            first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


def _changed(ours: str, code: str) -> Iterator[tuple[str, str]]:
    """Yield the lines that differ from those of the cell, each with the one as written."""
    for line, written in zip(ours.split("\n"), code.split("\n"), strict=True):
        if line != written:
            yield f"`{line.strip()}`", f"`{written.strip()}`"


def _as_written(error: ProgramError, lines_before: int, changed: dict[str, str]) -> ProgramError:
    """Return the error with lines counted, and shown, as in the cell."""

    def shifted(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) - lines_before}"

    line = None if error.line is None else max(1, error.line - lines_before)
    report = _LINE.sub(shifted, error.report)
    for ours, written in changed.items():
        report = report.replace(ours, written)
    return ProgramError(
        phase=error.phase,
        name=error.name,
        message=error.message,
        line=line,
        report=report,
    )
