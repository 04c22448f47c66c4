"""pydantic-graph, which keeps everything in memory. The tree is a step that runs its graph again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic_graph import GraphBuilder, StepContext, reduce_sum

from benchmarks import workloads
from benchmarks.peers.contract import Once
from benchmarks.workloads import FIRST, Question, Workload, follow_up

Built = tuple[Any, Any]  # a graph and its input


@asynccontextmanager
async def opened(_configuration: str, _folder: Path, workload: Workload) -> AsyncIterator[Once]:
    """Yield one run of `workload`; see the contract."""
    build = {"chain": _chain, "typed": _typed, "fan": _fan, "tree": _tree, "chains": _chains}
    graph, given = build[workload.shape](workload)

    async def once() -> int:
        result = await graph.run(inputs=given)
        return result.number if isinstance(result, Question) else int(result)

    yield once


def _chain(workload: Workload) -> Built:
    builder = GraphBuilder(input_type=int, output_type=int)

    @builder.step
    async def step(context: StepContext[None, None, int]) -> int:
        return await workloads.advance(context.inputs)

    again = builder.match(int, matches=lambda place: place < workload.length)
    builder.add(
        builder.edge_from(builder.start_node).to(step),
        builder.edge_from(step).to(
            builder.decision()
            .branch(again.to(step))
            .branch(builder.match(int).to(builder.end_node))
        ),
    )
    return builder.build(), 0


def _typed(workload: Workload) -> Built:
    builder = GraphBuilder(input_type=Question, output_type=Question)

    @builder.step
    async def step(context: StepContext[None, None, Question]) -> Question:
        return follow_up(await workloads.answer(context.inputs))

    again = builder.match(Question, matches=lambda asked: asked.number < workload.length)
    builder.add(
        builder.edge_from(builder.start_node).to(step),
        builder.edge_from(step).to(
            builder.decision()
            .branch(again.to(step))
            .branch(builder.match(Question).to(builder.end_node))
        ),
    )
    return builder.build(), FIRST


def _fan(workload: Workload) -> Built:
    builder = GraphBuilder(input_type=int, output_type=int)

    @builder.step
    async def step(context: StepContext[None, None, int]) -> int:
        return await workloads.advance(context.inputs)

    @builder.step
    async def last(context: StepContext[None, None, int]) -> int:
        await asyncio.sleep(0)
        return context.inputs

    total = builder.join(reduce_sum, initial=0)
    builder.add(
        builder.edge_from(builder.start_node)
        .transform(lambda context: range(context.inputs))
        .map()
        .to(step),
        builder.edge_from(step).to(total),
        builder.edge_from(total).to(last),
        builder.edge_from(last).to(builder.end_node),
    )
    return builder.build(), workload.width


def _tree(workload: Workload) -> Built:
    builder = GraphBuilder(input_type=int, output_type=int)

    @builder.step
    async def expand(context: StepContext[None, None, int]) -> int:
        await asyncio.sleep(0)
        if context.inputs == 0:
            return 1
        child = context.inputs - 1
        return 1 + sum(await asyncio.gather(graph.run(inputs=child), graph.run(inputs=child)))

    builder.add(
        builder.edge_from(builder.start_node).to(expand),
        builder.edge_from(expand).to(builder.end_node),
    )
    graph = builder.build()
    return graph, workload.length


def _chains(workload: Workload) -> Built:
    """Map over the chains; each goes round its own loop, then waits in the join."""
    builder = GraphBuilder(input_type=int, output_type=int)
    body = workloads.pause if workload.uneven else workloads.advance

    @builder.step
    async def step(context: StepContext[None, None, int]) -> int:
        return await body(context.inputs)

    total = builder.join(reduce_sum, initial=0)
    again = builder.match(int, matches=lambda place: place % workload.length != 0)
    builder.add(
        builder.edge_from(builder.start_node)
        .transform(lambda context: [number * workload.length for number in range(context.inputs)])
        .map()
        .to(step),
        builder.edge_from(step).to(
            builder.decision().branch(again.to(step)).branch(builder.match(int).to(total))
        ),
        builder.edge_from(total).to(builder.end_node),
    )
    return builder.build(), workload.width
