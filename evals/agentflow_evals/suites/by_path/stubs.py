"""Make the task of a coding benchmark: a function to write, with a docstring that says what it does.

Owns how a signature is taken from reference code without the code, and how any text becomes a docstring.
Knows no benchmark.
"""

import ast

from agentflow.errors import ProgramError
from agentflow.sandbox.names import parse_program

PROGRAM_GOAL = (
    "Write the function `main`: a program that reads the standard input and prints to the standard "
    "output. The answer is the source of a Python module that defines it."
)
FUNCTION_GOAL = "Write the function. The answer is the source of a Python module that defines it."


def functions_of(source: str) -> dict[str, ast.FunctionDef]:
    """Return the functions that a module defines, by name; none if it is no Python."""
    try:
        tree = parse_program(source)
    except ProgramError:
        return {}
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def signature_of(node: ast.FunctionDef) -> str:
    """Return the first line of a function, without its colon."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"def {node.name}({ast.unparse(node.args)}){returns}"


def stub(signature: str, words: str) -> str:
    """Return an unwritten function with `words` as its docstring."""
    return f"{signature}:\n    {docstring(words)}\n    ...\n"


def docstring(words: str) -> str:
    """Return any text as a docstring, as it stands wherever Python can say it so."""
    words = words.strip().replace("\r\n", "\n")
    indented = words.replace("\n", "\n    ").replace("\n    \n", "\n\n")
    is_plain = '"""' not in words and not words.endswith(('"', "\\"))
    if not is_plain or "\0" in words:
        return repr(words)
    return f'{"r" if chr(92) in words else ""}"""{indented}"""'


def called_functions(tests: str, defined: dict[str, ast.FunctionDef]) -> list[str]:
    """Return which of the defined functions the tests call, in the order in which they stand.

    Raises:
        ProgramError: The tests are no Python.
    """
    calls = [node for node in ast.walk(parse_program(tests)) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    names = [call.func.id for call in calls if isinstance(call.func, ast.Name)]
    return [name for name in dict.fromkeys(names) if name in defined]
