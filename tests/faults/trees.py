"""Flow trees as data: a description that hypothesis can make, and the flows that carry it out.

Owns the description, its execution, and what it must come to. A node is a dictionary, so it travels
as JSON to a child process and into the journal. Every leaf says that it runs by one line in a file.
"""

import os
import time
import zlib
from collections.abc import Iterator
from typing import Any

import anyio
from hypothesis import strategies as st

from agentflow import BranchFailure, flow, generate, parallel, tool
from agentflow.engine.notes import idempotency_key
from agentflow.errors import ToolError
from tests.parts import Scripted

Node = dict[str, Any]
MODULUS, CAUGHT, FAILED = 9973, 5000, 7000
counting: dict[str, Any] = {}  # where to write, and as which attempt; set in the child process

# What a tree looks like ------------------------------------------------------------------------

leaves = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["async", "sync", "effect", "sync effect", "model"]),
        "sleep_us": st.integers(0, 3000),
        "fails": st.sampled_from([False, False, False, False, True]),
    }
)
descents = st.fixed_dictionaries({"kind": st.just("descent"), "depth": st.integers(0, 2)})


def _branches(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["in turn", "collected", "all or nothing"]),
            "handles": st.booleans(),
            "parts": st.lists(inner, min_size=1, max_size=4),
        }
    )


nodes = st.recursive(leaves | descents, _branches, max_leaves=12)
trees = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["in turn", "collected"]),
        "handles": st.just(True),
        "parts": st.lists(_branches(nodes), min_size=2, max_size=4),
    }
)

# What it must come to --------------------------------------------------------------------------


def leaf_value(path: str, carry: int) -> int:
    """Return what a leaf makes of the value that came before it."""
    return (31 * carry + zlib.crc32(path.encode())) % MODULUS


def fails(node: Node) -> bool:
    """Return whether a node raises: its own doing, or a part's that it does not handle."""
    if "parts" in node:
        handled = node["handles"] or node["kind"] == "collected"
        return not handled and any(map(fails, node["parts"]))
    return bool(node.get("fails")) and node["kind"] != "model"


def outcome(node: Node, path: str = "0", carry: int = 1) -> int:
    """Return the result of a node that does not fail."""
    match node["kind"]:
        case "descent":
            return _descent_outcome(node["depth"], path, carry)
        case "in turn" | "all or nothing" if any(map(fails, node["parts"])):
            return CAUGHT
        case "in turn":
            for index, part in enumerate(node["parts"]):
                carry = outcome(part, f"{path}.{index}", carry)
            return carry
        case "collected" | "all or nothing":
            numbered = enumerate(node["parts"])
            values = [
                FAILED if fails(part) else outcome(part, f"{path}.{index}", carry)
                for index, part in numbered
            ]
            return sum(values) % MODULUS
        case _:
            return leaf_value(path, carry)


def _descent_outcome(depth: int, path: str, carry: int) -> int:
    value = leaf_value(f"{path}.leaf", carry)
    if depth:
        value += sum(_descent_outcome(depth - 1, f"{path}.{side}", value) for side in (0, 1))
    return value % MODULUS


def sure_leaves(node: Node, path: str = "0") -> Iterator[str]:
    """Yield the paths of the leaves that run whatever falls first."""
    parts = node.get("parts")
    if node["kind"] == "descent":
        yield from _descent_leaves(node["depth"], path)
    elif parts is None:
        yield path
    elif node["kind"] != "all or nothing" or not any(map(fails, parts)):
        for index, part in enumerate(parts):
            yield from sure_leaves(part, f"{path}.{index}")
            if node["kind"] == "in turn" and fails(part):
                return


def _descent_leaves(depth: int, path: str) -> Iterator[str]:
    yield f"{path}.leaf"
    if depth:
        for side in (0, 1):
            yield from _descent_leaves(depth - 1, f"{path}.{side}")


def effects(node: Node, path: str = "0") -> Iterator[str]:
    """Yield the paths of the leaves with effects."""
    if node["kind"] in ("effect", "sync effect"):
        yield path
    for index, part in enumerate(node.get("parts", ())):
        yield from effects(part, f"{path}.{index}")


# Carrying it out -------------------------------------------------------------------------------


def _ran(path: str) -> None:
    """Say that a leaf runs now, in one write that a kill cannot cut in two."""
    line = f"{counting['attempt']} {path} {idempotency_key()}\n"
    os.write(counting["file"], line.encode())


async def _works(path: str, carry: int, sleep_us: int, fails: bool) -> int:
    """Sleep, then raise or return a value."""
    _ran(path)
    await anyio.sleep(sleep_us / 1e6)
    if fails:
        raise LookupError(path)
    return leaf_value(path, carry)


def _works_in_a_thread(path: str, carry: int, sleep_us: int, fails: bool) -> int:
    """Sleep, then raise or return a value."""
    _ran(path)
    time.sleep(sleep_us / 1e6)
    if fails:
        raise LookupError(path)
    return leaf_value(path, carry)


LEAVES: dict[str, Any] = {
    "async": tool(name="works")(_works),
    "sync": tool(name="works_in_a_thread")(_works_in_a_thread),
    "effect": tool(name="changes", effect=True)(_works),
    "sync effect": tool(name="changes_in_a_thread", effect=True)(_works_in_a_thread),
}


def _answer(prompt: str) -> str:
    path, carry = prompt.split()
    _ran(path)
    return str(leaf_value(path, int(carry)))


def model() -> Scripted:
    """Return the model of the leaves of that kind."""
    return Scripted(_answer)


async def _node(node: Node, path: str, carry: int) -> int:
    kind = node["kind"]
    if kind == "descent":
        return await descent(node["depth"], path, carry)
    if kind == "model":
        return int((await generate(f"{path} {carry}")).text)
    if kind in LEAVES:
        found: int = await LEAVES[kind](path, carry, node["sleep_us"], node["fails"])
        return found
    return await branch(node, path, carry)


@flow
async def branch(node: Node, path: str, carry: int) -> int:
    """Carry out the parts of a node."""
    try:
        if node["kind"] == "in turn":
            for index, part in enumerate(node["parts"]):
                carry = await _node(part, f"{path}.{index}", carry)
            return carry
        parts = [_node(part, f"{path}.{index}", carry) for index, part in enumerate(node["parts"])]
        if node["kind"] == "all or nothing":
            return sum(await parallel(parts)) % MODULUS
        kept = await parallel(parts, collect=True)
        values = [FAILED if isinstance(value, BranchFailure) else value for value in kept]
        return sum(values) % MODULUS
    except ToolError:
        if not node["handles"]:
            raise
        return CAUGHT


@flow
async def descent(depth: int, path: str, carry: int) -> int:
    """Call a leaf, then this flow twice with what the leaf returned."""
    value: int = await LEAVES["async"](f"{path}.leaf", carry, 300 * depth, False)
    if depth:
        value += sum(await parallel(descent(depth - 1, f"{path}.{side}", value) for side in (0, 1)))
    return value % MODULUS
