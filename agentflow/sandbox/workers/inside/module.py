"""Load generated source as a module and evaluate calls in it.

Owns the namespace of the code. A call is taken apart before it runs, so that its arguments can be looked
at again after it.
"""

import ast
import builtins
import random
import re
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

from agentflow.sandbox.workers.inside.failing import remember_lines

_SEED = 0
_CALL_FILE = "<call>"
_TAKE = "__take_the_arguments__"
# A call whose brackets are plainly those of the call: it needs no syntax tree, which is slow.
_PLAIN = re.compile(
    r"""\s*([^\W\d]\w*)\(((?:[^()'"\\]|'[^'\\\n]*'|"[^"\\\n]*")*)\)\s*""",
)

Called = Callable[[], Any]


class Module:
    """One module of generated code; its classes belong to `name`, its frames to `file`."""

    def __init__(self, source: str, name: str, file: str) -> None:
        self.name, self.file = name, file
        self._source = source
        self._uses_chance = "random" in source
        self._module = types.ModuleType(name)
        self.names["__builtins__"] = builtins  # not this module's own: see boot.py

    @property
    def names(self) -> dict[str, Any]:
        """Everything the code has defined."""
        return vars(self._module)

    def load(self, names: Mapping[str, Any]) -> None:
        """Run the source, with `names` there from the beginning."""
        sys.modules[self.name] = self._module
        remember_lines(self.file, self._source)
        self.names.update(names)
        code = compile(self._source, self.file, "exec", dont_inherit=True)
        exec(code, self.names)  # noqa: S102 - this is what the jail is for

    def begin_call(self) -> None:
        """Have chance begin anew, for code that may use it."""
        if self._uses_chance:
            seed()

    def prepare(self, call: str) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Evaluate the function and the arguments of a call expression.

        Returns:
            What to call and with what; an expression that is no call becomes a function of nothing.
        """
        if plain := _PLAIN.fullmatch(call):
            text = f"{_TAKE}({plain[1]}, {plain[2]})"
            return self._taken(compile(text, _CALL_FILE, "eval", dont_inherit=True))
        tree = ast.parse(call.strip(), _CALL_FILE, "eval")
        node = tree.body
        if not isinstance(node, ast.Call):
            code = compile(tree, _CALL_FILE, "eval", dont_inherit=True)
            return (lambda: eval(code, self.names)), (), {}  # noqa: S307
        name = ast.copy_location(ast.Name(_TAKE, ast.Load()), node)
        taken = ast.Call(name, [node.func, *node.args], node.keywords)
        tree.body = ast.copy_location(taken, node)
        return self._taken(compile(tree, _CALL_FILE, "eval", dont_inherit=True))

    def _taken(self, code: types.CodeType) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        function, arguments, keywords = eval(code, self.names, {_TAKE: _take})  # noqa: S307
        return function, arguments, keywords


def seed() -> None:
    """Have chance begin as it always does; the zygote does this for all children."""
    random.seed(_SEED)


def _take(function: Any, /, *arguments: Any, **keywords: Any) -> tuple[Any, Any, Any]:
    return function, arguments, keywords
