"""Identity by lineage: no order of running or finishing changes who a step is."""

import asyncio
import random
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow import AgentflowError, Runner, flow, parallel, tool
from agentflow.journal.records import RunRecord

pytestmark = pytest.mark.anyio

CHAINS, LENGTH = 8, 3
memory = Runner(journal=":memory:")


@tool
async def answer(chain: int, position: int, pauses: int) -> str:
    """Answer after giving others their turn `pauses` times."""
    for _ in range(pauses):
        await anyio.sleep(0)
    return f"{chain}.{position}"


async def chain_of(chain: int, pauses: list[int]) -> list[str]:
    return [await answer(chain, position, pauses[position]) for position in range(LENGTH)]


@flow
async def with_parallel(pauses: list[list[int]]) -> list[list[str]]:
    return await parallel(chain_of(chain, pauses[chain]) for chain in range(CHAINS))


@flow
async def with_gather(pauses: list[list[int]]) -> list[list[str]]:
    return list(await asyncio.gather(*(chain_of(chain, pauses[chain]) for chain in range(CHAINS))))


@flow
async def with_task_group(pauses: list[list[int]]) -> list[list[str]]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(chain_of(chain, pauses[chain])) for chain in range(CHAINS)]
    return [task.result() for task in tasks]


def outputs_by_key(record: RunRecord) -> dict[bytes, bytes | None]:
    return {step.key: step.output for step in record.steps.values()}


@pytest.mark.parametrize("branches", [with_parallel, with_gather, with_task_group])
async def test_interleaved_branches_keep_their_identities_whatever_the_schedule(
    branches: Any,
) -> None:
    generator = random.Random(7)
    seen = set()
    for _trial in range(20):
        pauses = [[generator.randrange(5) for _ in range(LENGTH)] for _ in range(CHAINS)]
        result = await memory.run_async(branches, pauses)
        leaves = [step for step in result.record.steps.values() if step.kind == "tool"]
        seen.add(frozenset((step.key, step.output) for step in leaves))
    assert len(seen) == 1
    assert len(next(iter(seen))) == CHAINS * LENGTH


@pytest.mark.parametrize("branches", [with_parallel, with_gather, with_task_group])
async def test_replay_gives_every_branch_its_own_results(branches: Any, journal: str) -> None:
    generator = random.Random(11)
    runner = Runner(journal=journal)
    pauses = [[generator.randrange(9) for _ in range(LENGTH)] for _ in range(CHAINS)]
    first = await runner.run_async(branches, pauses)
    again = await runner.replay(branches, first.id)
    assert again.output == first.output
    assert outputs_by_key(again.record) == outputs_by_key(first.record)


Shape = st.recursive(
    st.just(()), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8
)


@flow
async def grow(shape: Any, pauses: list[int]) -> int:
    """Call a tool, then a flow for each part of the shape, all side by side."""
    own = pauses[len(repr(shape)) % len(pauses)]
    parts = await parallel(answer(0, 0, own), *(grow(part, pauses) for part in shape))
    return 1 + sum(part for part in parts if isinstance(part, int))


@settings(max_examples=25, deadline=None)
@given(
    shape=Shape,
    left=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    right=st.lists(st.integers(0, 4), min_size=1, max_size=5),
)
def test_any_tree_has_the_same_identities_under_any_schedule(
    shape: Any, left: list[int], right: list[int]
) -> None:
    first, second = memory.run(grow, shape, left), memory.run(grow, shape, right)
    assert first.output == second.output
    assert {step.key for step in first.record.steps.values()} == {
        step.key for step in second.record.steps.values()
    }
    assert len(first.record.steps) == len({step.key for step in first.record.steps.values()})


@flow
async def twice_the_same() -> int:
    first = await answer(1, 1, 0)
    second = await answer(1, 1, 0)
    return len({first, second})


async def test_the_same_call_twice_is_two_steps() -> None:
    record = (await memory.run_async(twice_the_same)).record
    assert len({step.key for step in record.steps.values()}) == 3


async def test_a_flow_outside_a_run_says_how_to_run_it() -> None:
    with pytest.raises(
        AgentflowError, match=r"twice_the_same was called outside a run: .*agentflow"
    ):
        await twice_the_same()
