"""Shapes in closed form: chain, map and reduce, tree; and the shape of a declared graph.

Owns the arithmetic of sub-tasks and tokens. With n items in chunks of m there are k = ceil(n/m) calls, each
of which repeats the instructions: more chunks cost more prompt tokens and let more run at once. Where all
calls take the time t and p may run at once, the calls take ceil(k/p) t.

Source: Chen et al., On the Design and Analysis of LLM-Based Algorithms, arXiv:2407.14788 (parallel,
hierarchical and recursive decomposition).
"""

from collections.abc import Mapping
from dataclasses import replace

from agentflow.errors import EvaluationError
from agentflow.graph import Graph
from agentflow_evals.prediction.shape import Call, Part, Shape, Work


def chain(calls: int, call: Call, *, carried_tokens: int = 0) -> Shape:
    """Return `calls` calls, one after the other; each prompt is `carried_tokens` longer than the last.

    Raises:
        EvaluationError: There are no calls.
    """
    _at_least_one(calls=calls)
    parts: dict[str, Part] = {
        str(place): replace(call, input_tokens=call.input_tokens + place * carried_tokens)
        for place in range(calls)
    }
    return Shape(parts, {str(place): [str(place - 1)] for place in range(1, calls)})


def map_reduce(
    items: int, chunk: int, *, each: Call, item: Call, merge: Call | None = None
) -> Shape:
    """Return calls over `items` in chunks of at most `chunk`, and a call that merges their answers.

    Args:
        items: How many there are.
        chunk: How many a call gets.
        each: What every call reads and writes whatever the size of its chunk.
        item: What one item adds to it.
        merge: What the merging call reads besides the answers, and writes; None merges by code.

    Raises:
        EvaluationError: A number is below one.
    """
    _at_least_one(items=items, chunk=chunk)
    sizes = [min(chunk, items - start) for start in range(0, items, chunk)]
    parts: dict[str, Part] = {
        f"map {place}": _plus(each, item, size) for place, size in enumerate(sizes)
    }
    if merge is None:
        return Shape(parts)
    answers = sum(part.output_tokens for part in parts.values() if isinstance(part, Call))
    mapped = list(parts)
    parts["merge"] = replace(merge, input_tokens=merge.input_tokens + answers)
    return Shape(parts, {"merge": mapped})


def tree(
    branching: int, depth: int, *, leaf: Call, split: Call | None = None, merge: Call | None = None
) -> Shape:
    """Return a recursion: a call splits a task into `branching`, and one merges their answers.

    `depth` is the number of levels above the leaves; there are branching ** depth leaves and
    (branching ** depth - 1) / (branching - 1) splits. A merge reads the answers below it.

    Raises:
        EvaluationError: `branching` is below one or `depth` negative.
    """
    _at_least_one(branching=branching, levels=depth + 1)
    parts: dict[str, Part] = {}
    needs: dict[str, list[str]] = {}

    def grow(path: str, level: int, above: list[str]) -> tuple[str, int]:
        """Return the last part of the sub-tree and how long its answer is."""
        if level == depth:
            parts[path], needs[path] = leaf, above
            return path, leaf.output_tokens
        top = f"{path} split"
        parts[top], needs[top] = split or Work(), above
        below = [grow(f"{path}.{branch}", level + 1, [top]) for branch in range(branching)]
        written = sum(tokens for _, tokens in below)
        end = f"{path} merge"
        read = merge and replace(merge, input_tokens=merge.input_tokens + written)
        parts[end], needs[end] = read or Work(), [name for name, _ in below]
        return end, merge.output_tokens if merge else written

    grow("0", 0, [])
    return Shape(_by_level(parts), needs)


def graph_shape(graph: Graph, nodes: Mapping[str, Part | Shape]) -> Shape:
    """Return the shape of a declared graph, given what each of its nodes does.

    Raises:
        EvaluationError: A node is missing, or there is none of that name.
    """
    odd = sorted(set(graph.nodes) ^ set(nodes))
    if odd:
        problem = f"the shape of graph {graph.name} needs one entry a node; check {', '.join(odd)}"
        raise EvaluationError(problem=problem)
    parts: dict[str, Part] = {}
    needs: dict[str, list[str]] = {}
    for name, declared in graph.nodes.items():
        _embed(name, nodes[name], list(declared.needs), parts, needs)
    return Shape(parts, needs)


def _embed(
    name: str,
    node: Part | Shape,
    above: list[str],
    parts: dict[str, Part],
    needs: dict[str, list[str]],
) -> None:
    """Add a node; of a shape in it, `name` is its end, which others wait for."""
    if not isinstance(node, Shape):
        parts[name], needs[name] = node, above
        return
    for inner, part in node.parts.items():
        parts[f"{name}/{inner}"] = part
        waits_for = [f"{name}/{other}" for other in node.needs[inner]]
        needs[f"{name}/{inner}"] = waits_for or above
    parts[name], needs[name] = Work(), [f"{name}/{inner}" for inner in node.parts]


def _by_level(parts: dict[str, Part]) -> dict[str, Part]:
    """Return the parts of a tree as the engine meets them: level by level, merges at the end."""
    place = {name: index for index, name in enumerate(parts)}
    return dict(
        sorted(
            parts.items(), key=lambda pair: (pair[0].partition(" ")[0].count("."), place[pair[0]])
        )
    )


def _plus(each: Call, item: Call, size: int) -> Call:
    return replace(
        each,
        input_tokens=each.input_tokens + size * item.input_tokens,
        output_tokens=each.output_tokens + size * item.output_tokens,
        cached_tokens=each.cached_tokens + size * item.cached_tokens,
    )


def _at_least_one(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise EvaluationError(problem=f"{name} is at least 1, not {number}")
