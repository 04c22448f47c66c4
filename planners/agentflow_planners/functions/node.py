"""A function that is to be written, or has been: its signature, its meaning, its body.

Owns the value that planners which write functions have in common. Nothing here runs code or knows
of models. A node always parses, and the text it was read from is kept to the letter; its key says
what the function is for, never how it is done.
"""

import ast
import hashlib
import json
import keyword
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from agentflow.errors import ExpansionError
from agentflow_planners.functions.text.layout import (
    INDENT,
    dedented,
    indented,
    normal,
    read_tree,
    segment,
    shape,
    unreadable,
)
from agentflow_planners.functions.text.literals import docstring, type_words

Function = ast.FunctionDef | ast.AsyncFunctionDef
ParameterKind = Literal[
    "positional_only", "positional_or_keyword", "var_positional", "keyword_only", "var_keyword"
]


class Parameter(BaseModel):
    """A parameter of a function; annotation and default as they are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: ParameterKind
    annotation: str | None = None
    default: str | None = None


class FunctionNode(BaseModel):
    """A function, written or not.

    `signature` is everything up to and with the colon: comments above, decorators, `async`,
    parameters. `doc` is the docstring without its indentation, `body` the statements after it,
    dedented. `setup` is what the function is read in: imports, classes, constants. `needs` are the
    names of the other nodes it may call.

    Raises:
        ProgramError: The parts make no function of that name, or the setup does not parse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    signature: str
    doc: str = ""
    setup: str = ""
    needs: tuple[str, ...] = ()
    body: str | None = None

    @model_validator(mode="after")
    def _is_one_function(self) -> "FunctionNode":
        _check(self.setup)
        found = read_tree(self._text("..." if self.body is None else self.body)).body
        if len(found) != 1 or not isinstance(found[0], Function) or found[0].name != self.name:
            raise unreadable(f"the text is not one function {self.name}")
        if not self.signature.endswith(":"):
            raise unreadable(f"the signature of {self.name} must end with its colon")
        return self

    @classmethod
    def of_call(
        cls, name: str, arguments: Mapping[str, Any], doc: str, returns: str | None
    ) -> "FunctionNode":
        """Return the unwritten function that a call met at run time asks for.

        Raises:
            ExpansionError: The call has a name that no parameter can have.
        """
        for word in (name, *arguments):
            if not word.isidentifier() or keyword.iskeyword(word):
                raise ExpansionError(step=name, problem=f"{word!r} cannot be a name in Python")
        types = {word: type_words(value) for word, value in arguments.items()}
        listed = ", ".join(f"{word}: {kind}" if kind else word for word, kind in types.items())
        arrow = f" -> {returns}" if returns else ""
        return cls(name=name, signature=f"def {name}({listed}){arrow}:", doc=doc)

    @property
    def key(self) -> str:
        """The content address of what the function is for.

        It covers the signature, the docstring (without one the comment above) and those definitions
        of the setup that they speak of. Layout, imports and the body do not count, and neither do
        `needs`, which come with the body.
        """
        head = self._function()
        head.body = [ast.Expr(ast.Constant(...))]
        comment = "" if self.doc else _comment(self.signature)
        parts = [shape(head), self.doc, comment, *self._named_setup()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def is_written(self) -> bool:
        """Whether there is a body that does something."""
        return self.body is not None and _does_something(self.body)

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine function."""
        return isinstance(self._function(), ast.AsyncFunctionDef)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters in the order in which they are written."""
        lines = self.signature.split("\n")
        return tuple(
            Parameter(
                name=item.arg,
                kind=kind,
                annotation=segment(lines, item.annotation) if item.annotation else None,
                default=segment(lines, default) if default else None,
            )
            for item, kind, default in _arguments(self._function().args)
        )

    @property
    def returns(self) -> str | None:
        """The annotation of the result as it is written."""
        found = self._function().returns
        return segment(self.signature.split("\n"), found) if found else None

    def stub(self) -> str:
        """Return the function with `...` for a body."""
        return self._text("...")

    def source(self) -> str:
        """Return the whole function.

        Raises:
            ExpansionError: It is not written.
        """
        if self.body is None or not self.is_written:
            raise ExpansionError(step=self.name, problem=f"`{self.name}` has not been written")
        return self._text(self.body)

    def written(self, body: str, needs: Sequence[str] = ()) -> "FunctionNode":
        """Return the function with a body; `needs` replace those it had.

        Raises:
            ProgramError: The body does not parse as one.
        """
        text = dedented(normal(body).strip("\n"))
        if not read_tree(text).body:
            raise unreadable(f"the body of {self.name} is empty")
        return FunctionNode(**{**dict(self), "body": text, "needs": tuple(needs)})

    def _text(self, body: str) -> str:
        doc = [indented(docstring(self.doc, INDENT))] if self.doc else []
        return "\n".join([self.signature, *doc, indented(body)])

    def _function(self) -> Function:
        found = read_tree(f"{self.signature} ...").body[0]
        assert isinstance(found, Function)
        return found

    def _named_setup(self) -> list[str]:
        """Return the definitions that signature and docstring name, and those that these name."""
        words = set(re.findall(r"\w+", f"{self.signature} {self.doc}"))
        waiting = [
            item
            for item in read_tree(self.setup).body
            if not isinstance(item, ast.Import | ast.ImportFrom)
        ]
        found: list[ast.stmt] = []
        while named := [item for item in waiting if _defined(item) & words]:
            found += named
            waiting = [item for item in waiting if item not in named]
            words |= {
                part.id for item in named for part in ast.walk(item) if isinstance(part, ast.Name)
            }
        return [shape(item) for item in sorted(found, key=lambda item: item.lineno)]


def is_unfinished(body: Sequence[ast.stmt]) -> bool:
    """Return whether statements only hold a place: docstring, `...`, `pass`, NotImplementedError.

    Imports alone do nothing either.
    """
    return all(_holds_place(statement) for statement in body)


@lru_cache(maxsize=64)
def _check(setup: str) -> None:
    """Raise for a setup that does not parse; all functions of a module share one."""
    read_tree(setup)


@lru_cache(maxsize=256)
def _does_something(body: str) -> bool:
    return not is_unfinished(read_tree(body).body)


def _holds_place(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Raise(exc=ast.Name(id="NotImplementedError")):
            return True
        case ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError"))):
            return True
    return False


def _arguments(
    arguments: ast.arguments,
) -> list[tuple[ast.arg, ParameterKind, ast.expr | None]]:
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    found: list[tuple[ast.arg, ParameterKind, ast.expr | None]] = []
    for index, (item, default) in enumerate(zip(plain, defaults, strict=True)):
        is_only = index < len(arguments.posonlyargs)
        found.append((item, "positional_only" if is_only else "positional_or_keyword", default))
    if arguments.vararg:
        found.append((arguments.vararg, "var_positional", None))
    for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append((item, "keyword_only", default))
    if arguments.kwarg:
        found.append((arguments.kwarg, "var_keyword", None))
    return found


def _comment(signature: str) -> str:
    lines = signature.split("\n")
    return "\n".join(line.strip() for line in lines if line.lstrip().startswith("#"))


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {statement.name}
    return {
        item.id
        for item in ast.walk(statement)
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)
    }
