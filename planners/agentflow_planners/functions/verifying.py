"""Examples of what a function does, held against what candidates do.

Owns the evaluation of expected values, which happens in a process of its own: no candidate sees them.
"""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from agentflow import Trial, observe, parallel
from agentflow.sandbox.workers.protocol import Observation, Observed, TrialLimits
from agentflow_planners.functions.calls.examples import Example, passes
from agentflow_planners.functions.candidates import Candidate
from agentflow_planners.functions.encoded import shown
from agentflow_planners.functions.node import FunctionNode

LIMITS = TrialLimits(call_s=2.0, total_s=15.0)


class Suite(BaseModel):
    """Examples and what evaluating their expectations gave, None for those that raise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: tuple[Example, ...] = ()
    expected: tuple[Observation | None, ...] = ()

    @property
    def calls(self) -> tuple[str, ...]:
        """The calls of the examples."""
        return tuple(example.call for example in self.examples)

    def problems(self, seen: Sequence[Observation]) -> list[str]:
        """Return what is wrong with each example after what was seen of its call, "" where it holds."""
        triples = zip(self.examples, self.expected, seen, strict=True)
        return [_problem(example, expected, found) for example, expected, found in triples]


async def suite_of(node: FunctionNode, examples: Iterable[Example]) -> Suite:
    """Evaluate what examples expect; those whose expectation is no value are left out.

    Raises:
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    told = list(examples)
    calls = tuple(example.value_call for example in told if example.value_call is not None)
    seen = Observed()
    if calls:
        seen = await observe(Trial(source=node.setup, calls=calls, limits=LIMITS), name="expected")
    values = dict(zip(calls, seen.observations, strict=False))
    pairs = [(example, values.get(example.value_call or "")) for example in told]
    usable = [
        (example, value)
        for example, value in pairs
        if example.raises is not None or (value is not None and value.outcome == "returned")
    ]
    return Suite(
        examples=tuple(example for example, _ in usable),
        expected=tuple(value for _, value in usable),
    )


async def verified(candidates: Sequence[Candidate], suite: Suite) -> list[list[str]]:
    """Return for each candidate what is wrong with each example, "" where it holds."""
    sources = list(dict.fromkeys(candidate.source for candidate in candidates))
    trials = [Trial(source=source, calls=suite.calls, limits=LIMITS) for source in sources]
    found = dict(zip(sources, await parallel(map(observe, trials)), strict=True))
    return [_all_problems(found[candidate.source], suite) for candidate in candidates]


def _all_problems(seen: Observed, suite: Suite) -> list[str]:
    if seen.failure is not None:
        return [seen.failure.report] * len(suite.examples)
    return suite.problems(seen.observations)


def _problem(example: Example, expected: Observation | None, seen: Observation) -> str:
    if passes(example, seen, expected):
        return ""
    if example.raises is not None:
        return f"{example.call} must raise {example.raises}"
    if seen.outcome == "returned":
        what = f"it gives {shown(seen.value)}"
    else:
        what = seen.failure.report if seen.failure else _ENDS.get(seen.outcome, seen.outcome)
    return f"{example.call} must give {example.expected}, but {what}"


_ENDS = {
    "timeout": "it runs too long",
    "memory": "it needs too much memory",
    "too_large": "its result is too large",
    "crashed": "it ends the process",
}
