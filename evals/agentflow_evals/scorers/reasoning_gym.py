"""The answer is right by the rules of the package reasoning-gym, which made the task.

The task is made again from its seed, so the check holds no answer. Some of the package's scorers let
Python evaluate what they are given: those see only answers that are arithmetic or plain literals.
"""

import ast
import json
import re
from typing import Any

import anyio.to_thread
from pydantic import Field

from agentflow.errors import InputError, ProgramError
from agentflow.sandbox.names import parse_program
from agentflow_evals.scorer import Options, Score, read_options, shown, verdict
from agentflow_evals.suites.procedural import Recipe, evaluates, made, version

MOST_CHARACTERS = 20_000
MOST_EVALUATED_CHARACTERS = 500
_MOST_POWER = 20
_MOST_PRODUCTS = 4  # of sums with letters: SymPy multiplies them out
_MOST_DIGITS = 20
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_LETTER = re.compile(r"[A-Za-z]")


class ReasoningGymOptions(Options):
    """`recipe` of the data set, `index` of the task in it, `version` of the package that made it."""

    recipe: Recipe
    index: int = Field(ge=0)
    version: str


async def reasoning_gym(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the package gives the answer its full mark; the value is the mark.

    Raises:
        InputError: The options are wrong, or another version of the package is installed.
        MissingExtraError: The package is not installed.
    """
    wanted = read_options(ReasoningGymOptions, "reasoning_gym", options)
    if wanted.version != version():
        problem = f"version: the task was made by {wanted.version}, installed is {version()}"
        raise InputError(step="check reasoning_gym", problem=problem)
    text = _text(output)
    if len(text) > MOST_CHARACTERS:
        return verdict(False, f"the answer has over {MOST_CHARACTERS:,} characters")
    return await anyio.to_thread.run_sync(_scored, wanted, text)


def _scored(wanted: ReasoningGymOptions, text: str) -> Score:
    dataset = made(wanted.recipe)
    if evaluates(dataset) and not is_harmless(text):
        return verdict(False, f"{shown(text)} is neither arithmetic nor a plain literal")
    try:
        found = float(dataset.score_answer(text, dataset[wanted.index]))
    except Exception as error:  # noqa: BLE001 - the package's scorers raise at answers they do not expect
        return verdict(False, f"the package's scorer: {type(error).__name__}")
    value = min(max(found, 0.0), 1.0)
    return Score(passed=value >= 1, value=value, explanation=f"{shown(text)} is worth {value:g}")


def _text(output: Any) -> str:
    if isinstance(output, str):
        return output.strip()
    try:
        return json.dumps(output)
    except (TypeError, ValueError, RecursionError):
        return shown(output)


def is_harmless(text: str) -> bool:
    """Whether Python and SymPy may evaluate a text: arithmetic with letters, a literal, or a word."""
    if len(text) > MOST_EVALUATED_CHARACTERS:
        return False
    try:
        tree = parse_program(text)
    except ProgramError:
        # Nothing that Python could evaluate either; what SymPy adds to its notation is not among these.
        return re.fullmatch(r"[\w\s,\[\]-]*", text) is not None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        return re.fullmatch(r"[\w\s]*", text) is not None
    value = tree.body[0].value
    return isinstance(value, ast.Name) or _is_arithmetic(value) or _is_literal(value)


def _is_arithmetic(tree: ast.expr) -> bool:
    if sum(map(_products_of_sums, ast.walk(tree))) > _MOST_PRODUCTS:
        return False
    waiting: list[tuple[ast.expr, bool]] = [(tree, False)]
    while waiting:
        node, in_power = waiting.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
            waiting += [(node.left, in_power), (node.right, in_power)]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            # A power of powers is a number without an end.
            if in_power or not _is_small(node.right):
                return False
            waiting.append((node.left, True))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
            waiting.append((node.operand, in_power))
        elif not (_is_letter(node) or _is_number(node)):
            return False
    return True


def _products_of_sums(node: ast.AST) -> int:
    """Return how often a node multiplies a sum with letters."""
    if not isinstance(node, ast.BinOp) or isinstance(node.op, ast.Add | ast.Sub):
        return 0
    parts = [part for side in (node.left, node.right) for part in ast.walk(side)]
    if not any(map(_is_sum, parts)) or not any(isinstance(part, ast.Name) for part in parts):
        return 0
    if not isinstance(node.op, ast.Pow) or not isinstance(node.right, ast.Constant):
        return 1
    return node.right.value if isinstance(node.right.value, int) else _MOST_PRODUCTS + 1


def _is_sum(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)


def _is_letter(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and _LETTER.fullmatch(node.id) is not None


def _is_small(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value <= _MOST_POWER


def _is_number(node: ast.expr) -> bool:
    if not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
        return False
    return len(shown(node.value)) <= _MOST_DIGITS


def _is_literal(tree: ast.expr) -> bool:
    try:
        ast.literal_eval(tree)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return False
    return True
