"""Libraries made of short texts, and what the programs made of them give."""

import textwrap
from typing import Any

from agentflow_planners.functions.library import Library
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.functions.source import read_module


def code(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


def one(text: str) -> FunctionNode:
    """Return the last function of a text, with what is around it."""
    return read_module(code(text)).functions[-1]


def library_of(text: str) -> Library:
    """Return a library of all functions of a module; the first is the root."""
    library = Library()
    first, *others = read_module(code(text)).functions
    library.add(first)
    for node in others:
        library.add(node, first.name)
    return library


def value(source: str, expression: str) -> Any:
    """Return what one of our own programs above makes of an expression."""
    names: dict[str, Any] = {}
    exec(source, names)
    return eval(expression, names)
