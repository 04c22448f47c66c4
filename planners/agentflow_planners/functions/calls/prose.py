"""Find what documentation claims in plain words: `f(1) == 2`, `f(1) ➞ 2`, `Input: .. Output: ..`.

Owns the forms in which people write examples outside of doctests. A form counts only where both
sides parse as they stand and nothing around the call could change its meaning; the rest is prose.
"""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from agentflow_planners.functions.calls.expressions import (
    calls_name,
    found_calls,
    is_value,
    names_of_setup,
    parsed,
    spelled,
)
from agentflow_planners.functions.node import FunctionNode

_MAX_LINES = 12  # of one value
_MAX_CUTS = 60
_MAX_LINE = 2_000  # longer lines are no prose

# What may stand before a call on its line: nothing, a bullet, or words; no operator or bracket.
_BEFORE = re.compile(r"[\w:;,.!?`][\s`]*$|^\s*(?:[-*•>#]+|\(?\d+[.):])?[\s`]*$")
_NOT_BEFORE = re.compile(r"\b(?:not|in|is|or|lambda|return|await|if|while|def)\s*$")

_SAYS = r"(?:returns?|gives?|yields?|outputs?|produces?|equals?|evaluates?\s+to|results?\s+in)"
_IS = r"(?:is|be|return|give|yield|output|produce|equal|evaluate\s+to)"
_SUBJECT = r"(?:output|result|answer|value|function|return\s+value|expected\s+output)"
_GAP, _SPACE = r"\s{1,40}", r"[^\S\n]{0,40}"  # bounded: text may be nothing but spaces
_LEADS = re.compile(
    rf"""`?(?:
        {_SPACE}\n[\s\#]{{0,40}}(?:={{1,2}}>|-{{1,2}}>|[➞→⇒]|(?:expected\s)?output:|returns?:)
      | {_SPACE}\#?{_SPACE}(?:={{1,3}}>?|-{{1,2}}>|[➞→⇒⟶↦])
      | {_SPACE}\#{_SPACE}(?:{_SAYS}\b:?)?
      | ,?{_GAP}(?:the{_GAP}{_SUBJECT}{_GAP})?(?:should|must|will|would){_GAP}{_IS}\b
      | ,?{_GAP}(?:the{_GAP}{_SUBJECT}{_GAP}is|{_SAYS}|is|becomes)\b:?
    ){_SPACE}\n?{_SPACE}""",
    re.VERBOSE | re.IGNORECASE,
)
_RAISES = re.compile(
    rf"""`?{_SPACE}[\#,]?{_SPACE}(?:
        (?:={{1,2}}>|-{{1,2}}>|[➞→⇒])?\s{{0,40}}(?:(?:should|must|will|would){_GAP})?
        (?:raises?|throws?){_GAP}
      | (?:={{1,2}}>|-{{1,2}}>|[➞→⇒]){_SPACE}(?=(?:an?{_GAP})?`?[\w.]*(?:Error|Exception)\b)
    )(?:an?{_GAP})?`?(?:\w+\.)*(?P<type>[A-Z]\w*)""",
    re.VERBOSE,
)
_CUT = re.compile(
    r"\s+\#|\s+\(|[,;.]\s|[,;.]+\s*$|\s+(?:because|since|as|where|so)\s|\s+and\s+`?\w+\(|\s+//|\s+--|`"
)
_EQUATION = re.compile(r"(?<![=!<>])=(?![=>])")
_GIVEN = re.compile(
    rf"""^[^\w\n]*(?:for|if|when|with|given)\s+(?P<given>[A-Za-z_]\w*\s*=.+?)[,;:]?\s+
        the\s+{_SUBJECT}\s+(?:(?:should|must|will|would)\s+)?{_IS}\b:?\s*(?P<rest>\S.*)$""",
    re.VERBOSE | re.IGNORECASE,
)
_INPUT = re.compile(r"^[^\w\n]*(?:sample\s+)?inputs?\s*\d*\s*[:=]\s*(?P<given>\S.*)$", re.I)
_OUTPUT = re.compile(
    r"(?:^|[,;]|\s)[^\w\n]{0,8}(?:sample\s+|expected\s+)?outputs?\s*\d*\s*[:=]\s*", re.IGNORECASE
)


class Claim(NamedTuple):
    """A call, and the value it is said to have or the type it is said to raise."""

    call: ast.expr
    expected: ast.expr | None
    raises: str | None = None


def claims_in(text: str, node: FunctionNode) -> Iterator[Claim]:
    """Yield what the text claims of a function, in no form that Python itself would read."""
    reader = _Reader(text, node)
    yield from reader.after_calls()
    yield from reader.given_then()
    yield from reader.inputs_and_outputs()


class _Reader:
    def __init__(self, text: str, node: FunctionNode) -> None:
        self._text, self._node = text, node
        self._lines = text.splitlines()
        self._setup = names_of_setup(node.setup)

    def after_calls(self) -> Iterator[Claim]:
        unclaimed = 0  # up to here nothing is read: `the sum of f(1) and f(2) is 3`
        for start, end in found_calls(self._text, self._node.name):
            claim = self._claim(start, end) if start >= unclaimed else None
            if claim is not None:
                yield claim
            else:
                line_end = self._text.find("\n", end)
                unclaimed = line_end if line_end >= 0 else len(self._text)

    def _claim(self, start: int, end: int) -> Claim | None:
        call = parsed(self._text[start:end])
        before = self._text[self._text.rfind("\n", 0, start) + 1 : start]
        if (
            call is None
            or len(before) > _MAX_LINE
            or not _BEFORE.search(before)
            or _NOT_BEFORE.search(before)
        ):
            return None
        if raises := _RAISES.match(self._text, end):
            return Claim(call, None, raises["type"])
        leads = _LEADS.match(self._text, end)
        value = self._value(self._text[leads.end() :]) if leads else None
        return None if value is None else Claim(call, value)

    def given_then(self) -> Iterator[Claim]:
        for line in self._lines:
            if len(line) <= _MAX_LINE and (match := _GIVEN.match(line)):
                call, value = self._bindings(match["given"]), self._value(match["rest"])
                if call is not None and value is not None:
                    yield Claim(call, value)

    def inputs_and_outputs(self) -> Iterator[Claim]:
        for index, line in enumerate(self._lines):
            if not (match := _INPUT.match(line)):
                continue
            block = "\n".join([match["given"], *self._lines[index + 1 : index + _MAX_LINES]])
            if not (output := _OUTPUT.search(block)):
                continue
            given = block[: output.start()].strip().strip("`")
            call, value = self._bindings(given, is_whole=True), self._value(block[output.end() :])
            if call is not None and value is not None:
                yield Claim(call, value)

    def _value(self, rest: str) -> ast.expr | None:
        """Return the value that a text begins with; None if that could be read in two ways."""
        lines = rest.splitlines()[:_MAX_LINES]
        for reading in _readings(lines[0]) if lines else ():
            value = parsed(reading)
            if value is None:
                value = _last_of_equation(reading)
            if value is None or calls_name(value, self._node.name):
                continue
            if _is_bare_tuple(value):
                return None
            value = spelled(value, self._setup)
            if is_value(value, self._setup):
                return value
        return self._tall_value(lines)

    def _tall_value(self, lines: list[str]) -> ast.expr | None:
        for count in range(2, len(lines) + 1):
            value = parsed("\n".join(lines[:count]))
            if value is not None and not _is_bare_tuple(value) and is_value(value, self._setup):
                return value
        return None

    def _bindings(self, text: str, *, is_whole: bool = False) -> ast.Call | None:
        """Return the call with the arguments a text lists, by name or, if alone, by place."""
        ends = [len(text)] if is_whole else [m.start() for m in re.finditer(r"[\s,;]|$", text)]
        for end in ends[:-_MAX_CUTS:-1]:
            call = parsed(f"{self._node.name}({text[:end].strip().rstrip(',;')})")
            if isinstance(call, ast.Call) and self._fits(call):
                return self._placed(call)
        return None

    def _fits(self, call: ast.Call) -> bool:
        parameters = self._node.parameters
        names = {item.name for item in parameters}
        if any(item.kind.startswith("var_") for item in parameters):
            return False
        if call.args:
            return len(call.args) == len(parameters) and not call.keywords
        given = {keyword.arg for keyword in call.keywords}
        return given <= names and {p.name for p in parameters if p.default is None} <= given

    def _placed(self, call: ast.Call) -> ast.Call:
        """Return a call with its named arguments by place, as far as that goes without a gap."""
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        for parameter in self._node.parameters:
            if parameter.kind == "keyword_only" or parameter.name not in named:
                break
            call.args.append(named.pop(parameter.name))
        call.keywords = [ast.keyword(arg=name, value=value) for name, value in named.items()]
        return call


def _readings(line: str) -> Iterator[str]:
    """Yield the beginnings of a line that may be a value, longest first."""
    line = line.strip().lstrip("`").strip()
    ends = [len(line), *(match.start() for match in _CUT.finditer(line))]
    for end in sorted(set(ends), reverse=True)[:_MAX_CUTS]:
        text = line[:end].strip()
        if text:
            yield text[:-1] if re.search(r"\d\.$", text) else text


def _is_bare_tuple(value: ast.expr) -> bool:
    """Return whether this is `1, 2`, which in a sentence may as well be two things."""
    if not isinstance(value, ast.Tuple) or not value.elts:
        return False
    return value.elts[0].col_offset == value.col_offset


def _last_of_equation(text: str) -> ast.expr | None:
    """Return the last part of `1 + 2 = 3` if all its parts are the same number."""
    parts = [parsed(part) for part in _EQUATION.split(text)]
    numbers = [None if part is None else _arithmetic(part) for part in parts]
    if len(parts) < 2 or None in numbers or len(set(numbers)) > 1:
        return None
    return parts[-1]


def _arithmetic(expression: ast.expr) -> float | None:
    """Return what sums and products of plain numbers come to."""
    match expression:
        case ast.Constant(value=int() | float() as value) if abs(value) < 1e9:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _arithmetic(operand)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() as op, right=right):
            x, y = _arithmetic(left), _arithmetic(right)
            if x is None or y is None:
                return None
            return x + y if isinstance(op, ast.Add) else x - y if isinstance(op, ast.Sub) else x * y
    return None
