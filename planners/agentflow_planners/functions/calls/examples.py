"""The examples in a function's documentation, as calls and what they should come to.

Owns reading doctests and asserts, and which of several claims are believed. A wrong expectation is
worse than none: what cannot be evaluated, contradicts itself or the signature is no example.
"""

import ast
import builtins
import doctest
import inspect
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agentflow.sandbox.workers.protocol import Observation
from agentflow_planners.functions.behaviour import same_value
from agentflow_planners.functions.calls.expressions import (
    calls_name,
    free_names,
    is_value,
    known_names,
    names_of_setup,
    parsed,
    spelled,
    statements,
    written,
)
from agentflow_planners.functions.calls.prose import Claim, claims_in
from agentflow_planners.functions.node import FunctionNode

_MAX_DOC_CHARS = 20_000
_MAX_ASSERT_LINES = 15
_HEADER = re.compile(r"^[^\w\n]*(?:for\s+)?examples?\b[^\n]{0,20}$", re.IGNORECASE | re.MULTILINE)


class Example(BaseModel):
    """A call, and the source of the value it returns or the name of the type it raises."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call: str
    expected: str | None = None
    raises: str | None = None

    @property
    def value_call(self) -> str | None:
        """The expected value as a call, for a trial that is to encode it."""
        return None if self.expected is None else f"(lambda: {self.expected})()"


def examples_of(node: FunctionNode) -> tuple[Example, ...]:
    """Return the examples in a docstring, in the order of how surely they are meant as such.

    Doctests and asserts come first, then what other forms claim. Of two claims about one call that
    differ the first counts if it is a doctest; otherwise neither does.
    """
    doc = inspect.cleandoc(node.doc[:_MAX_DOC_CHARS])
    rest, exact = _exact(doc, node)
    loose = list(claims_in(rest, node))
    if len({_kind(claim) for claim in loose}) > 1:  # a recurrence, f(1) = 3, before f(3) = [1, 3]
        headers = list(_HEADER.finditer(rest))
        loose = list(claims_in(rest[headers[-1].end() :], node)) if headers else loose
    sure = _agreed(exact, node)
    told = {example.call for example in sure}
    return (*sure, *(item for item in _agreed(loose, node) if item.call not in told))


def passes(example: Example, seen: Observation, expected: Observation | None) -> bool:
    """Return whether a call did what its example says.

    Args:
        example: What is claimed.
        seen: What the call of a candidate did.
        expected: What evaluating `value_call` gave; None for an example that raises.
    """
    if example.raises is not None:
        failure = seen.failure
        return failure is not None and example.raises in (failure.type, *failure.bases)
    if expected is None or expected.outcome != "returned" or seen.outcome != "returned":
        return False
    return same_value(seen.value, expected.value, numbers=True)


def _agreed(claims: Sequence[Claim], node: FunctionNode) -> list[Example]:
    """Return the usable claims as examples, without those that contradict each other."""
    found: dict[str, Example] = {}
    disputed: set[str] = set()
    for claim in claims:
        example = _example(claim, node)
        if example is None:
            continue
        if found.setdefault(example.call, example) != example:
            disputed.add(example.call)
    return [example for call, example in found.items() if call not in disputed]


def _example(claim: Claim, node: FunctionNode) -> Example | None:
    call = claim.call
    if not isinstance(call, ast.Call) or not calls_name(call, node.name):
        return None
    if not free_names(call) <= known_names(node):
        return None
    text = written(call)
    if text is None:
        return None
    if claim.raises is not None:
        is_known = _is_exception(claim.raises) or claim.raises in names_of_setup(node.setup)
        return Example(call=text, raises=claim.raises) if is_known else None
    if claim.expected is None or _contradicts(node.returns, claim.expected, call, node.name):
        return None
    expected = written(claim.expected)
    return None if expected is None else Example(call=text, expected=expected)


def _is_exception(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)


def _contradicts(returns: str | None, expected: ast.expr, call: ast.Call, name: str) -> bool:
    """Return whether a value cannot be what the signature says: it is then printed, or a slip."""
    if not (isinstance(call.func, ast.Name) and call.func.id == name):
        return False  # list(f(1)): the signature speaks of f(1)
    allowed = {
        "None": {"NoneType"},
        "bool": {"bool"},
        "int": {"int", "float"},
        "float": {"int", "float"},
        "str": {"str"},
    }
    if returns not in allowed or not isinstance(expected, ast.Constant):
        return returns == "None" and not isinstance(expected, ast.Constant)
    return type(expected.value).__name__ not in allowed[returns]


def _kind(claim: Claim) -> str:
    return type(claim.expected).__name__


def _exact(doc: str, node: FunctionNode) -> tuple[str, list[Claim]]:
    """Return the claims in the doctests and asserts of a text, and the text without these."""
    lines = doc.splitlines()
    claims: list[Claim] = []
    session = _Session(node)
    index = 0
    while index < len(lines):
        stripped = lines[index].lstrip()
        if stripped.startswith(">>>"):
            end = _end_of_doctest(lines, index)
            is_read, claim = session.read("\n".join(lines[index:end]))
        elif stripped.startswith("assert "):
            end, claim = _asserted(lines, index, node)
            is_read = end > index
        else:
            is_read, claim = False, None
        if claim is not None:
            claims.append(claim)
        if is_read:
            lines[index:end] = [""] * (end - index)
        index = end if is_read else index + 1
    return "\n".join(lines), claims


def _end_of_doctest(lines: Sequence[str], start: int) -> int:
    end = start + 1
    while end < len(lines) and lines[end].strip() and not lines[end].lstrip().startswith(">>>"):
        end += 1
    return end


class _Session:
    """Doctests one after the other, with the values they gave names to."""

    def __init__(self, node: FunctionNode) -> None:
        self._node = node
        self._setup = names_of_setup(node.setup)
        self._values: dict[str, ast.expr] = {}

    def read(self, text: str) -> tuple[bool, Claim | None]:
        """Return whether a doctest is Python, and what it claims."""
        try:
            found = doctest.DocTestParser().get_examples(text)
        except ValueError:
            return False, None
        code = statements(found[0].source) if len(found) == 1 else []
        if len(code) != 1:
            return False, None
        statement = code[0]
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            self._keep(statement.targets[0].id, self._filled(statement.value))
            return True, None
        if not isinstance(statement, ast.Expr):
            return True, None
        if doctest.SKIP in found[0].options:
            return True, None
        claim = self._claim(self._filled(statement.value), found[0])
        is_told_otherwise = claim is None and "#" in found[0].source
        return not is_told_otherwise, claim

    def _keep(self, name: str, expression: ast.expr) -> None:
        """Remember what a name stands for, if that is short: `x = (x, x)` doubles each time."""
        text = written(expression)
        value = None if text is None else parsed(text)
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value

    def _filled(self, expression: ast.expr) -> ast.expr:
        """Return an expression with known values in place of names; each is used but once."""
        filler = _Filler(self._values)
        filled: ast.expr = filler.visit(expression)
        for name in filler.used:  # the call may have changed it
            del self._values[name]
        return filled

    def _claim(self, expression: ast.expr, found: doctest.Example) -> Claim | None:
        call = _awaited(expression)
        if found.exc_msg is not None:
            return Claim(call, None, found.exc_msg.split(":")[0].strip().rsplit(".", 1)[-1])
        if isinstance(call, ast.Compare):
            is_true = found.want.strip() in ("", "True")
            return _compared(call, self._node.name) if is_true else None
        if isinstance(call, ast.Call) and _is_print(call):
            shown = ast.Call(ast.Name("str", ast.Load()), call.args, [])
            return Claim(shown, ast.Constant(found.want.rstrip())) if found.want else None
        if not found.want.strip():
            returns = self._node.returns or ""
            is_none = "Optional" in returns or "None" in returns
            is_remarked = "#" in found.source
            return Claim(call, ast.Constant(None)) if is_none and not is_remarked else None
        expected = _wanted(found.want, self._setup)
        return None if expected is None else Claim(call, expected)


class _Filler(ast.NodeTransformer):
    def __init__(self, values: dict[str, ast.expr]) -> None:
        self._values = values
        self.used: set[str] = set()

    def visit_Name(self, name: ast.Name) -> ast.expr:
        if name.id not in self._values or not isinstance(name.ctx, ast.Load):
            return name
        self.used.add(name.id)
        return self._values[name.id]


def _awaited(expression: ast.expr) -> ast.expr:
    match expression:
        case ast.Await(value=inner):
            return inner
        case ast.Call(func=ast.Attribute(value=ast.Name("asyncio"), attr="run"), args=[inner]):
            return inner
    return expression


def _is_print(call: ast.Call) -> bool:
    is_plain = len(call.args) == 1 and not call.keywords
    return is_plain and isinstance(call.func, ast.Name) and call.func.id == "print"


def _wanted(want: str, setup: frozenset[str]) -> ast.expr | None:
    """Return the value a doctest shows; words below it are left away, a second value is not."""
    lines = want.strip().splitlines()
    for count in range(len(lines), 0, -1):
        value = parsed("\n".join(lines[:count]))
        if value is not None:
            value = spelled(value, setup)
            return value if is_value(value, setup) else None
        if len(lines[count - 1].split()) < 3:
            return None
    return None


def _compared(found: ast.expr, name: str) -> Claim | None:
    """Return what `f(1) == 2` claims, whichever side the call is on."""
    match found:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
            on_left, on_right = calls_name(left, name), calls_name(right, name)
            if on_left != on_right:
                call, value = (left, right) if on_left else (right, left)
                return Claim(_awaited(call), value)
    return None


def _asserted(lines: Sequence[str], start: int, node: FunctionNode) -> tuple[int, Claim | None]:
    """Return the line after the assert at a line, and what it claims; `start` if it is none."""
    for end in range(start + 1, min(len(lines), start + _MAX_ASSERT_LINES) + 1):
        body = statements("\n".join([lines[start].lstrip(), *lines[start + 1 : end]]))
        if len(body) == 1 and isinstance(body[0], ast.Assert):
            return end, _claim_of_test(body[0].test, node)
    return start, None


def _claim_of_test(test: ast.expr, node: FunctionNode) -> Claim | None:
    if isinstance(test, ast.Compare):
        claim = _compared(test, node.name)
        setup = names_of_setup(node.setup)
        is_usable = claim is not None and claim.expected is not None
        return claim if is_usable and is_value(claim.expected, setup) else None  # type: ignore[union-attr, arg-type]
    is_negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    call = test.operand if isinstance(test, ast.UnaryOp) and is_negated else test
    if node.returns == "bool" and isinstance(call, ast.Call):  # else only its truth is known
        return Claim(call, ast.Constant(not is_negated))
    return None
