"""Whatever the program: side by side, in order, and plain CPython give the same value and calls."""

from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.sandbox.monty import MontySandbox
from tests.agentflow.sandbox.parts import run

NAMES = ("a", "b", "c")
names = st.sampled_from(NAMES)
atoms = names | st.integers(-3, 3).map(str)
calls = st.recursive(
    atoms,
    lambda inner: (
        st.builds("f({})".format, inner)
        | st.builds("g({}, y={})".format, inner, inner)
        | st.builds("({} + {})".format, inner, inner)
        | st.builds("({} if a > b else {})".format, inner, inner)
        | st.builds("max({}, {})".format, inner, inner)
        | st.builds("sum([f(i) for i in range({} % 3)])".format, inner)
        | st.builds("sum(g(i, y={}) for i in range(2))".format, inner)
    ),
    max_leaves=4,
)


def indent(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def assign(name: str, value: str) -> list[str]:
    return [f"{name} = {value}"]


# CPython 3.11.2 stores `a, a = f(), g()` in the wrong order and is no reference for it.
_STORED: dict[str, Any] = {}
exec("def last(a):\n    a, a = a + 1, a + 2\n    return a", _STORED)
STORES_IN_ORDER = _STORED["last"](0) == 2

simple = st.one_of(
    st.builds(assign, names, calls),
    st.builds(lambda name, value: [f"{name} += {value}"], names, calls),
    st.builds(lambda value: [value], calls),
    st.builds(
        lambda pair, value: [f"{pair[0]}, {pair[1]} = f({value}), g({value}, y=1)"],
        st.lists(names, min_size=2, max_size=2, unique=not STORES_IN_ORDER),
        atoms,
    ),
    st.builds(
        lambda name, value: [f"{name} = len([f(i) for i in range({value} % 4) if i != 1])"],
        names,
        atoms,
    ),
)
blocks = st.recursive(
    st.lists(simple, min_size=1, max_size=3).map(
        lambda parts: [line for part in parts for line in part]
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda test, body, other: [f"if {test} > 1:", *indent(body), "else:", *indent(other)],
            calls,
            inner,
            inner,
        ),
        st.builds(lambda body: ["for i in range(2):", *indent(body)], inner),
        st.builds(lambda first, second: [*first, *second], inner, inner),
        st.builds(
            lambda body, name: [
                "def own(a, b, c):",
                *indent(body),
                "    return a + b + c",
                f"{name} = own(a, b, c)",
            ],
            inner,
            names,
        ),
        st.builds(
            lambda body: ["try:", *indent([*body, "bad(1)"]), "except ValueError:", "    a = 7"],
            inner,
        ),
    ),
    max_leaves=4,
)


def make_host(seen: list[str]) -> dict[str, Any]:
    """Return pure functions that write down how they are called."""

    def f(x: int) -> int:
        seen.append(f"f({x})")
        return (3 * x + 1) % 17

    def g(x: int, y: int = 5) -> int:
        seen.append(f"g({x}, {y})")
        return (x - 2 * y) % 13

    def bad(x: int) -> int:
        seen.append(f"bad({x})")
        raise ValueError("bad")

    return {"f": f, "g": g, "bad": bad}


def in_cpython(code: str) -> tuple[Any, list[str]]:
    seen: list[str] = []
    scope = make_host(seen)
    body = "\n".join(indent(code.splitlines()))
    exec(f"def program(a, b, c):\n{body}", scope)
    return scope["program"](1, 2, 3), seen


async def in_sandbox(code: str, *, parallel: bool) -> tuple[Any, list[str]]:
    seen: list[str] = []
    sandbox = MontySandbox(workers=1)
    try:
        finished = await run(
            sandbox, code, {"a": 1, "b": 2, "c": 3}, parallel=parallel, **make_host(seen)
        )
    finally:
        await sandbox.aclose()
    return finished.value, seen


@settings(max_examples=80, deadline=None)
@given(blocks)
def test_all_ways_of_running_agree(lines: list[str]) -> None:
    code = "\n".join([*lines, "return [a, b, c]"])
    value, seen = in_cpython(code)
    in_order = anyio.run(lambda: in_sandbox(code, parallel=False))
    assert in_order == (value, seen), code
    overlapped, calls_made = anyio.run(lambda: in_sandbox(code, parallel=True))
    assert overlapped == value, code
    assert sorted(calls_made) == sorted(seen), code
