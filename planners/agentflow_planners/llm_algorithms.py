"""Algorithms whose sub-routine is a model: split the input, ask about each chunk, aggregate in code.

Source: Chen et al., Designing Algorithms Empowered by Language Models: An Analytical Framework, Case
  Studies, and Insights, arXiv:2407.14788.
Cost: tens of calls: ceil(items / chunk), and for map_reduce those that combine groups of `fan_in`.
Needs: nothing.
Published: none that were checked.

What follows for n items in chunks of m, so k = ceil(n / m) calls, from how they are aggregated (our words):
- counting: the sum is off by at most the sum of what the chunks are off by;
- max, and sorting by merging: an element is off by at most what the worst chunk is off by;
- retrieval: the chunk with the answer has to find it, and the others have to say that they do not;
- cost is the sum over the calls, k * (what every prompt repeats) + what the items cost; latency is the
  longest path: with p calls at a time about ceil(k / p) * (one call of m items).
So a small m makes each call easier and shorter and pays for the repeated prompt more often; errors of
counting add up over k, those of sorting and max do not. `chunk` is the m to try.

What differs, and why:
- chunks really run side by side; the authors' code runs them in turn and works out what parallel calls
  would take;
- what code can check is checked: a sorted chunk that is no ordered permutation of it, or a maximum that
  is not among its items, is asked for again with the reason, and without a sound one there is no answer.
  The authors measure such errors instead;
- a chunk that fails takes the run with it, since a sum with a hole is wrong;
- a text is cut between its lines, so chunks need no overlap;
- map_reduce merges partial answers by the model in groups, so no prompt outgrows the context.
"""

import heapq
import math
from collections import Counter
from itertools import pairwise
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from agentflow import Message, Result, Task, flow, generate, note, parallel
from agentflow.data import Data, encode
from agentflow.errors import ExpansionError, InputError
from agentflow_planners.shared.replies import sound
from agentflow_planners.shared.values import Count, Frozen
from agentflow_planners.shared.wording import question, shown, statement

Pattern = Literal["counting", "retrieval", "sorting", "max", "map_reduce"]
Items = list[Any]

MAX_SHOWN_CHARS = 20_000
ASKS = {
    "counting": "This is one part of the input. Count in this part only, and reply with `count`.",
    "retrieval": (
        "This is one part of the input, and the answer may be in another one. Reply with `found`, and "
        "with the `answer` if this part says it, else null. Do not guess."
    ),
    "sorting": "This is one part of the input. Reply with all its items in order, none left out.",
    "max": "This is one part of the input. Reply with its largest item alone, as `item`.",
    "map_reduce": "This is one part of the input. Answer for this part alone, briefly.",
}
COMBINE = "These are answers for parts of the input, in order. Combine them into one answer."


class Counted(Frozen):
    """What a model says of one chunk."""

    count: int = Field(ge=0)


@flow
async def llm_algorithms(
    task: Task,
    *,
    pattern: Pattern = "map_reduce",
    chunk: Count = 10,
    over: str = "",
    descending: bool = False,
    fan_in: Annotated[int, Field(ge=2)] = 8,
) -> Result:
    """Answer about a long input by asking about its chunks side by side.

    Args:
        task: One of its inputs is a list, or a text of many lines; the others go into every prompt.
        pattern: `counting` adds up, `sorting` merges and `max` compares numbers or strings, `retrieval`
            takes what most chunks with an answer say, `map_reduce` has the model combine.
        chunk: How many items (lines of a text) one call gets.
        over: Which input is split; may be left out if there is one list, or one input.
        descending: Sort the largest first.
        fan_in: How many partial answers map_reduce combines in one call.

    Raises:
        InputError: There is nothing to split, or items cannot be compared.
        ExpansionError: A chunk's answer is never sound, or none of them holds the answer.
        ModelError: A call failed for good.
    """
    name, items = _split_input(task, over)
    if pattern in ("sorting", "max"):
        _check_comparable(name, items)
    parts = [items[start : start + chunk] for start in range(0, len(items), chunk)]
    total = calls(len(items), chunk, fan_in if pattern == "map_reduce" else None)
    note(f"{len(items)} items in {len(parts)} chunks: {total} calls", calls=total)
    tasks = [task.model_copy(update={"inputs": {**task.inputs, name: part}}) for part in parts]
    found = await parallel(
        part_answer.named(f"chunk {number}")(part, pattern, name, descending)
        for number, part in enumerate(tasks, 1)
    )
    if pattern == "map_reduce":
        others = {key: value for key, value in task.inputs.items() if key != name}
        rest = task.model_copy(update={"inputs": others})
        return Result(output=await _combined(rest, found, fan_in))
    return Result(output=_aggregated(found, pattern, descending))


@flow
async def part_answer(task: Task, pattern: Pattern, name: str, descending: bool) -> Data:
    """Answer for one chunk, which is the input `name`."""
    ask = ASKS[pattern] + (" The largest comes first." if descending else "")
    said = [Message(role="user", text=f"{statement(task)}\n\n{ask}")]
    if pattern == "map_reduce":
        return (await generate(said)).text
    if pattern == "counting":
        return (await generate(said, output=Counted)).count
    if pattern == "retrieval":
        wanted = {"anyOf": [task.output_schema or {"type": "string"}, {"type": "null"}]}
        return await generate(said, output=_object(found={"type": "boolean"}, answer=wanted))
    items: Any = task.inputs[name]
    kind = {"type": "string" if isinstance(items[0], str) else "number"}
    shape = kind if pattern == "max" else {"type": "array", "items": kind}

    def problem(said: dict[str, Any]) -> str:
        answer = said["answer"]
        found, wanted = ([answer], [answer]) if pattern == "max" else (answer, items)
        return _flaw(found, wanted, items, descending)

    reply = await sound(said, _object(answer=shape), problem, step="part_answer")
    return cast("Data", reply["answer"])


@flow
async def combine(task: Task, partial: list[Data], *, is_last: bool) -> Data:
    """Make one answer of partial ones; the last has the task's shape."""
    told = "\n\n".join(f"{n}. {shown(one, MAX_SHOWN_CHARS)}" for n, one in enumerate(partial, 1))
    asked = question(task) if is_last else statement(task)
    prompt = f"{asked}\n\n{COMBINE}\n\n{told}"
    if is_last and task.output_schema is not None:
        return await generate(prompt, output=task.output_schema)
    return (await generate(prompt)).text


def calls(items: int, chunk: int, fan_in: int | None = None) -> int:
    """Return how many calls there are: ceil(n / m), and those that combine groups of `fan_in`."""
    number = total = math.ceil(items / chunk)
    while fan_in is not None:
        number = math.ceil(number / fan_in)
        total += number
        if number == 1:
            break
    return total


def _split_input(task: Task, over: str) -> tuple[str, Items]:
    lists = [name for name, value in task.inputs.items() if isinstance(value, list | tuple)]
    candidates = [over] if over else lists if len(lists) == 1 else list(task.inputs)
    value: Any = task.inputs.get(candidates[0]) if len(candidates) == 1 else None
    items = value.splitlines() if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not items:
        there = ", ".join(task.inputs) or "none"
        problem = f"give the input to split, no empty list or text, as `over` (inputs: {there})"
        raise InputError(step="llm_algorithms", problem=problem)
    return candidates[0], list(items)


def _check_comparable(name: str, items: Items) -> None:
    kinds = {type(item) for item in items}  # only NaN differs from itself
    if not (kinds <= {int, float} or kinds == {str}) or any(item != item for item in items):
        problem = f"the items of {name!r} must all be numbers, or all strings"
        raise InputError(step="llm_algorithms", problem=problem)


def _object(**fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def _flaw(found: Items, wanted: Items, items: Items, descending: bool) -> str:
    """Return why `found` is not `wanted` in order, with nothing that is not among the items."""
    if extra := list((Counter(found) - Counter(items)).elements()):
        return f"{extra[0]!r} is not among the items, or there too often"
    if missing := list((Counter(wanted) - Counter(found)).elements()):
        return f"{missing[0]!r} is missing"
    for left, right in pairwise(found):
        if left < right if descending else left > right:
            return f"{left!r} comes before {right!r}"
    return ""


def _aggregated(found: Items, pattern: Pattern, descending: bool) -> Any:
    if pattern == "counting":
        return sum(found)
    if pattern == "max":
        return max(found)
    if pattern == "sorting":
        return list(heapq.merge(*found, reverse=descending))
    said = [one["answer"] for one in found if one["found"] and one["answer"] is not None]
    if not said:
        raise ExpansionError(step="llm_algorithms", problem="no chunk holds the answer")
    keys = [repr(encode(answer)) for answer in said]
    winner, votes = Counter(keys).most_common(1)[0]  # among equals the first chunk's
    note(f"{len(said)} of {len(found)} chunks hold an answer, {votes} of them the same")
    return said[keys.index(winner)]


async def _combined(task: Task, partial: Items, fan_in: int) -> Any:
    while True:
        groups = [partial[start : start + fan_in] for start in range(0, len(partial), fan_in)]
        is_last = len(groups) == 1
        partial = await parallel(combine(task, group, is_last=is_last) for group in groups)
        if is_last:
            return partial[0]
