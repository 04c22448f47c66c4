"""What is said to a model that writes functions: FunCoder's steps in few words.

Owns the words of writing, dividing, repairing and asking for inputs. Every prompt about one function
begins with the same code, so that a server's prompt cache serves them all. No worked example: a small
model copies it.
"""

from agentflow import Message
from agentflow_planners.functions.node import FunctionNode

SYSTEM = "You write short, correct Python functions."

_CODE = """```python
{context}
```

"""

WRITE = f"{_CODE}Complete the function `{{name}}`."

DIVIDE = f"""{_CODE}Complete the function `{{name}}`. If a part of it is a problem of its own, call a new \
helper function for that part, and leave the helper unwritten after it: its signature with types, a \
docstring that says exactly what it returns, and `...`. If it is simple, write it whole."""

INPUTS = f"""{_CODE}List {{count}} different calls of `{{name}}`, one a line, no results: typical ones, edge \
cases, large ones."""

TESTS = f"""{_CODE}Write {{count}} different assertions that a correct `{{name}}` passes, one a line, of the \
form `assert {{name}}(...) == ...`."""

REPAIR = "That is wrong: {problem}\nWrite the corrected function."

CHATTER = ("```", "\nif __name__", "\nprint(", "\nassert ", "\n# Test", "\n# Example", "\n# test")


def writing(node: FunctionNode, context: str, *, continues: bool) -> list[Message]:
    """Return the conversation that asks for the whole function.

    Args:
        node: The function.
        context: What it is read in, its own stub last (`Library.context`).
        continues: Whether the model goes on from a begun reply; the function's head begins it then.
    """
    return _asked(WRITE.format(name=node.name, context=context), node, continues=continues)


def dividing(node: FunctionNode, context: str, *, continues: bool) -> list[Message]:
    """Return the conversation that asks for the function, new helpers left unwritten."""
    return _asked(DIVIDE.format(name=node.name, context=context), node, continues=continues)


def repairing(
    node: FunctionNode, context: str, *, code: str, problem: str, continues: bool
) -> list[Message]:
    """Return the conversation that shows what is wrong with `code` and asks for a better one."""
    turns = writing(node, context, continues=False)
    turns.append(Message(role="assistant", text=f"```python\n{code}\n```"))
    turns.append(Message(role="user", text=REPAIR.format(problem=problem)))
    return [*turns, opening(node)] if continues else turns


def asking_inputs(
    node: FunctionNode, context: str, *, count: int, continues: bool
) -> list[Message]:
    """Return the conversation that asks for calls of the function."""
    turns = _turns(INPUTS.format(name=node.name, context=context, count=count))
    return [*turns, _begun(f"{node.name}(")] if continues else turns


def asking_tests(node: FunctionNode, context: str, *, count: int, continues: bool) -> list[Message]:
    """Return the conversation that asks for assertions, as CodeT's authors do (arXiv:2207.10397)."""
    turns = _turns(TESTS.format(name=node.name, context=context, count=count))
    return [*turns, _begun(f"assert {node.name}(")] if continues else turns


def opening(node: FunctionNode) -> Message:
    """Return the beginning of a reply that holds the function: its head and docstring."""
    head = node.stub().rstrip().removesuffix("...").rstrip()
    return _begun(f"{head}\n")


def _asked(text: str, node: FunctionNode, *, continues: bool) -> list[Message]:
    turns = _turns(text)
    return [*turns, opening(node)] if continues else turns


def _turns(text: str) -> list[Message]:
    return [Message(role="system", text=SYSTEM), Message(role="user", text=text)]


def _begun(text: str) -> Message:
    return Message(role="assistant", text=f"```python\n{text}")
