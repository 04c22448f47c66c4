"""Reading functions out of replies, and whether they are called as was asked."""

import contextlib

import pytest
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.functions.source import (
    Module,
    read_module,
    read_reply,
    same_signature,
)

from agentflow.errors import ProgramError

WANTED = read_module("def f(x):\n    return x + 1")


@pytest.mark.parametrize(
    "reply",
    [
        "def f(x):\n    return x + 1",
        "Sure!\n```python\ndef f(x):\n    return x + 1\n```\nIt adds one.",
        "```\ndef f(x):\n    return x + 1\n```",
        "~~~py\ndef f(x):\n    return x + 1\n~~~",
        "Sure:\n\n```python\ndef f(x):\n    return x + 1",
        "Sure:\ndef f(x):\n    return x + 1\n\nThis function adds one to x.",
        "def f(x):\n    return x + 1\n```\nThis adds one. Run it:\n```bash\npython f.py\n```",
        "def f(x):\n    return x + 1\n```\nIt gives `2`:\n```python\nprint(f(1))\n```",
        "1. First:\n   ```python\n   def f(x):\n       return x + 1\n   ```\n2. Done",
        "```python\ndef f(x)\n    return\n```\nBetter:\n```python\ndef f(x):\n    return x + 1\n```",
        "```json\n{}\n```\n```python\ndef f(x):\n    return x + 1\n```\n```text\nx = 1\n```",
        "```python\ndef f(x):\n    return x + 1\n\ndef g(y):\n    z = (y\n",
        "```python\ndef f(x):\n    return x + 1\n\nThen `f(1)` is 2, isn't it.\n```",
        "    return None\n```\nor\n```python\ndef f(x):\n    return x + 1\n```",
    ],
)
def test_a_reply_in_any_wrapping_gives_the_function(reply: str) -> None:
    assert read_reply(reply) == WANTED


def test_several_fences_make_one_module() -> None:
    module = read_reply(
        "```python\nimport math\n```\nThen\n```python\ndef g(x): return math.pi\n```\nand\n"
        "```python\ndef f(x): return g(x)\n```"
    )
    assert module.setup == ("import math",)
    assert [node.needs for node in module.functions] == [(), ("g",)]


def test_of_a_last_fence_that_is_cut_short_the_whole_functions_are_read() -> None:
    module = read_reply(
        "```python\ndef g(y): return y\n```\n```python\ndef f(x): return x\n\ndef h(y):\n    z = (y\n"
    )
    assert [node.name for node in module.functions] == ["g", "f"]


def test_functions_of_a_reply_without_any_body_are_stubs() -> None:
    module = read_reply(
        "```python\ndef f(x):\n    return g(x)\n\ndef g(\n    x,\n):\n    # TODO: double it\n\n"
        "def h(x):\n```"
    )
    told = [(node.name, node.is_written, node.doc) for node in module.functions]
    assert told == [("f", True, ""), ("g", False, "double it"), ("h", False, "")]


@pytest.mark.parametrize("reply", ["", "I cannot do that.", "Yes", "```python\n```", "```\n1\n```"])
def test_a_reply_without_code_is_a_typed_error(reply: str) -> None:
    with pytest.raises(ProgramError):
        read_reply(reply)


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return " + "(" * 10_000,
        "def f(x):\n    return " + "[" * 150 + "]" * 150 + ".x" * 150,
        "x = " + "-" * 20_000 + "1",
        "def f(x):\n    return " + " + ".join(["x"] * 5_000),
        "\n".join(" " * depth + "if x:" for depth in range(300)),
        "def f(x):\n    return '\x00'",
        "x = '\ud800'",
        "x = 1\n" * 200_000,
        "def f(): pass\n" * 600,
        "def f(x)",
        "```python\n" * 5_000,
        "def f(x):\n" * 1_500,
        "import a\nfrom the list we take (\n" * 700,
    ],
)
def test_hostile_text_is_a_typed_error(text: str) -> None:
    with pytest.raises(ProgramError):
        read_module(text)
    with contextlib.suppress(ProgramError):  # or what is whole is taken
        assert isinstance(read_reply(text), Module)


# Signatures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("def f(x: List[int], y=1) -> Optional[str]:", "def f(x: list[int], y = 1):", True),
        ("def f(x: 'Union[int, None]'):", "def f(x: Optional[int]):", True),
        ("def f(x: int | str | None):", "def f(x: Optional[Union[str, int]]):", True),
        ("def f(x: list):", "def f(x: typing.List[int]):", True),
        ("def f(x: Any):", "def f(x: dict[str, int]):", True),
        ("def f(x):", "@cache\ndef f(x: int) -> int:", True),
        ("def f(x):", "def f(y):", False),
        ("def f(x):", "def f(x, y):", False),
        ("def f(x):", "def f(x, /):", False),
        ("def f(x):", "def f(*x):", False),
        ("def f(x=1):", "def f(x=2):", False),
        ("def f(x=1):", "def f(x=True):", False),
        ("def f(x=1):", "def f(x):", False),
        ("def f(x: int):", "def f(x: str):", False),
        ("def f(x: list[int]):", "def f(x: list[str]):", False),
        ("def f(x: list):", "def f(x: dict[str, int]):", False),
        ("def f(x) -> int:", "def f(x) -> str:", False),
        ("def f(x):", "async def f(x):", False),
    ],
)
def test_signatures_are_compared_by_meaning(one: str, other: str, *, wanted: bool) -> None:
    nodes = [FunctionNode(name="f", signature=text) for text in (one, other)]
    assert same_signature(*nodes) is wanted
    assert same_signature(*reversed(nodes)) is wanted
